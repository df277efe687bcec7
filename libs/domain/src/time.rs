//! Two kinds of time. Wall time says *when* (what people and tokens call time); boot time says
//! *how long* (what leases and fences are measured by). They are never mixed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment in microseconds since 1970-01-01T00:00:00Z, the finest both database engines keep.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment `seconds` after 1970-01-01T00:00:00Z.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Whole seconds since 1970, rounded down: the `NumericDate` of RFC 7519.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment `by` later; the far future saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros(by)))
    }

    /// The moment `by` earlier; the far past saturates.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros(by)))
    }

    /// The moment as RFC 3339 writes it, in UTC and with microseconds. Only the years 0 to 9999
    /// have such a name; a moment outside them is written as the nearest that has.
    pub fn rfc3339(self) -> String {
        const DAY: i64 = 86_400;
        let bounded = self
            .0
            .clamp(-62_167_219_200_000_000, 253_402_300_799_999_999);
        let (seconds, micros) = (bounded.div_euclid(1_000_000), bounded.rem_euclid(1_000_000));
        let (year, month, day) = date(seconds.div_euclid(DAY));
        let clock = seconds.rem_euclid(DAY);
        let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }

    /// How long after `earlier` this is; zero where it isn't after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Years are
/// taken to begin in March, so that the leap day is the last of its year.
const fn date(since_1970: i64) -> (i64, i64, i64) {
    const FOUR_CENTURIES: i64 = 146_097;
    let from_march_0 = since_1970 + 719_468;
    let era = from_march_0.div_euclid(FOUR_CENTURIES);
    let of_era = from_march_0.rem_euclid(FOUR_CENTURIES);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + 400 * era;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A reading of a clock that never steps and also runs while the machine sleeps
/// (`CLOCK_BOOTTIME`), in nanoseconds. Comparable only with readings of the same machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootInstant(pub u64);

impl BootInstant {
    /// The reading `by` later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero where it isn't after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_down_before_1970_too() {
        assert_eq!(Timestamp(-1).unix_seconds(), -1);
        assert_eq!(Timestamp(1_999_999).unix_seconds(), 1);
    }

    #[test]
    fn moments_are_written_as_rfc_3339_says() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (951_868_799_999_999, "2000-02-29T23:59:59.999999Z"),
            (1_800_000_000_000_001, "2027-01-15T08:00:00.000001Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999999Z"),
            (i64::MIN, "0000-01-01T00:00:00.000000Z"),
        ];
        for (micros, written) in cases {
            assert_eq!(Timestamp(micros).rfc3339(), written);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = date(-200_000);
        for number in -199_999..200_000 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == last => (year, month + 1, 1),
                (_, day) => (year, month, day + 1),
            };
            assert_eq!(date(number), (year, month, day));
        }
    }

    #[test]
    fn the_ends_of_time_saturate() {
        assert_eq!(Timestamp(i64::MAX).plus(Duration::MAX), Timestamp(i64::MAX));
        assert_eq!(Timestamp(5).since(Timestamp(7)), Duration::ZERO);
        assert_eq!(
            BootInstant(u64::MAX).plus(Duration::from_secs(1)),
            BootInstant(u64::MAX)
        );
    }
}
