//! The network between validators, APIs and the database: what it loses, doubles and delays.

use super::event::{ApiId, ValidatorId};
use super::rng::Rng;
use super::{MICRO, MILLI, Nanos};

/// Kinds of link, as bits: a cut may take any of them and leave the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults(pub u8);

impl Faults {
    /// From validators to APIs: requests.
    pub const REQUESTS: Self = Self(1);
    /// From APIs to validators: answers.
    pub const REPLIES: Self = Self(2);
    /// From APIs to validators: broadcast entries.
    pub const PUBLICATIONS: Self = Self(4);
    /// From validators to APIs: acknowledgements.
    pub const ACKNOWLEDGEMENTS: Self = Self(8);
    /// Between APIs and the database.
    pub const DATABASE: Self = Self(16);
    /// Everything between APIs and validators.
    pub const BUS: Self = Self(15);

    const fn touches(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    api: Option<ApiId>,
    validator: Option<ValidatorId>,
    links: Faults,
    mended: bool,
}

/// The network's condition.
#[derive(Debug, Clone, Default)]
pub struct Network {
    cuts: Vec<Cut>,
    lost: u64,
    doubled: u64,
    delayed: u64,
}

impl Network {
    /// Cuts links; gives the number to mend them by.
    pub fn cut(
        &mut self,
        api: Option<ApiId>,
        validator: Option<ValidatorId>,
        links: Faults,
    ) -> usize {
        self.cuts.push(Cut {
            api,
            validator,
            links,
            mended: false,
        });
        self.cuts.len() - 1
    }

    /// Mends the cut of that number.
    pub fn mend(&mut self, number: usize) {
        self.cuts[number].mended = true;
    }

    /// Mends everything.
    pub fn heal(&mut self) {
        *self = Self {
            cuts: std::mem::take(&mut self.cuts),
            ..Self::default()
        };
        self.cuts.iter_mut().for_each(|cut| cut.mended = true);
    }

    /// Sets how bad it is, in thousandths.
    pub const fn weather(&mut self, lost: u64, doubled: u64, delayed: u64) {
        self.lost = lost;
        self.doubled = doubled;
        self.delayed = delayed;
    }

    /// Whether that link works between these two.
    pub fn connects(&self, link: Faults, api: ApiId, validator: Option<ValidatorId>) -> bool {
        !self.cuts.iter().any(|cut| {
            let same_validator = match (cut.validator, validator) {
                (Some(cut), Some(other)) => cut == other,
                // A database link has no validator; a cut of one validator leaves it alone.
                (Some(_), None) => false,
                (None, _) => true,
            };
            let same_api = cut.api.is_none_or(|cut| cut == api);
            !cut.mended && cut.links.touches(link) && same_validator && same_api
        })
    }

    /// After what delays the copies of a message arrive, if any do.
    pub fn deliveries(&self, rng: &mut Rng) -> [Option<Nanos>; 2] {
        let first = (!rng.chance(self.lost)).then(|| self.delay(rng));
        let second = rng.chance(self.doubled).then(|| self.delay(rng));
        [first, second]
    }

    fn delay(&self, rng: &mut Rng) -> Nanos {
        if rng.chance(self.delayed) {
            return match rng.below(20) {
                0..10 => rng.between(MILLI, 50 * MILLI),
                10..19 => rng.between(50 * MILLI, 2_200 * MILLI),
                _ => rng.between(2_000 * MILLI, 9_000 * MILLI),
            };
        }
        rng.between(50 * MICRO, 1_500 * MICRO)
    }
}
