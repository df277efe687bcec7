//! How many sessions there are and have been, by what. Kept as counters that move with every
//! change, because counting rows would take as long as there are rows.

use std::collections::{BTreeMap, HashMap};

use crate::device::DeviceKind;
use crate::ids::TenantId;
use crate::session::{EndReason, Session};

/// One counter of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Sessions ever started.
    Created,
    /// Sessions now active.
    Active,
    /// Of those, the ones started from this country (ISO 3166-1 alpha-2); `None` where unknown.
    Country(Option<String>),
    /// Of those, the ones on this kind of device.
    Kind(DeviceKind),
    /// Sessions that ended for this reason.
    Ended(EndReason),
}

impl Counter {
    /// Which counters a session's start moves, each by one.
    pub fn of_start(session: &Session) -> [Self; 4] {
        let [active, country, kind] = Self::of_active(session);
        [Self::Created, active, country, kind]
    }

    /// Which counters a session's end for `reason` moves, and by how much.
    pub fn of_end(session: &Session, reason: EndReason) -> [(Self, i64); 4] {
        let [active, country, kind] = Self::of_active(session);
        [
            (Self::Ended(reason), 1),
            (active, -1),
            (country, -1),
            (kind, -1),
        ]
    }

    /// Which counters an active session counts in. By what never changes about a session.
    fn of_active(session: &Session) -> [Self; 3] {
        [
            Self::Active,
            Self::Country(session.network.place.country.clone()),
            Self::Kind(session.device.agent.kind),
        ]
    }

    /// The names it is stored by: of the kind of counter, and of this one among those.
    pub fn names(&self) -> (&'static str, &str) {
        match self {
            Self::Created => ("created", ""),
            Self::Active => ("active", ""),
            Self::Country(country) => ("country", country.as_deref().unwrap_or("")),
            Self::Kind(kind) => ("kind", kind.as_str()),
            Self::Ended(reason) => ("ended", reason.as_str()),
        }
    }

    /// The counter of those names, if there is one.
    pub fn from_names(counter: &str, label: &str) -> Option<Self> {
        match counter {
            "created" => Some(Self::Created),
            "active" => Some(Self::Active),
            "country" => Some(Self::Country((!label.is_empty()).then(|| label.to_owned()))),
            "kind" => DeviceKind::from_name(label).map(Self::Kind),
            "ended" => EndReason::from_name(label).map(Self::Ended),
            _ => None,
        }
    }
}

/// How many sessions there are and have been. What is zero isn't listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Now active.
    pub active: i64,
    /// Ever started.
    pub created: i64,
    /// Ended, by why.
    pub ended: HashMap<EndReason, i64>,
    /// Active, by country; `None` where it is unknown.
    pub by_country: BTreeMap<Option<String>, i64>,
    /// Active, by the kind of device.
    pub by_kind: HashMap<DeviceKind, i64>,
    /// Active, by tenant.
    pub by_tenant: BTreeMap<TenantId, i64>,
}

impl SessionStats {
    /// Adds what one counter of one tenant says.
    pub fn add(&mut self, tenant: &TenantId, counter: Counter, count: i64) {
        match counter {
            Counter::Created => self.created += count,
            Counter::Active => {
                self.active += count;
                *self.by_tenant.entry(tenant.clone()).or_default() += count;
            }
            Counter::Country(country) => *self.by_country.entry(country).or_default() += count,
            Counter::Kind(kind) => *self.by_kind.entry(kind).or_default() += count,
            Counter::Ended(reason) => *self.ended.entry(reason).or_default() += count,
        }
        self.ended.retain(|_, count| *count != 0);
        self.by_country.retain(|_, count| *count != 0);
        self.by_kind.retain(|_, count| *count != 0);
        self.by_tenant.retain(|_, count| *count != 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;

    #[test]
    fn every_counter_is_found_by_its_names() {
        let session = sample::session();
        let ends = EndReason::ALL
            .into_iter()
            .flat_map(|reason| Counter::of_end(&session, reason))
            .map(|(counter, _)| counter);
        let named = Counter::Country(Some("SE".into()));
        for counter in ends.chain(Counter::of_start(&session)).chain([named]) {
            let (kind, label) = counter.names();
            assert_eq!(Counter::from_names(kind, label), Some(counter.clone()));
        }
        assert_eq!(Counter::from_names("weather", ""), None);
    }

    #[test]
    fn a_start_and_its_end_leave_only_history() {
        let (session, mut stats) = (sample::session(), SessionStats::default());
        for counter in Counter::of_start(&session) {
            stats.add(&session.tenant, counter, 1);
        }
        assert_eq!((stats.active, stats.by_tenant.len()), (1, 1));
        for (counter, by) in Counter::of_end(&session, EndReason::Idle) {
            stats.add(&session.tenant, counter, by);
        }
        let expected = SessionStats {
            created: 1,
            ended: HashMap::from([(EndReason::Idle, 1)]),
            ..SessionStats::default()
        };
        assert_eq!(stats, expected);
    }
}
