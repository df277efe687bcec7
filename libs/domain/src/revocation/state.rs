//! What every serving thread reads: the lists, floors, keys and the lease, lock-free.

#[cfg(any(test, feature = "contract"))]
mod fork;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};

use crate::ids::{KeyId, Seq, Serial, TenantId};
use crate::revocation::{
    AllGuards, Guards, KeySet, LIST_SERIALS, LogEntry, PublicKey, SerialRange, Snapshot, StatusList,
};
use crate::time::{BootInstant, Timestamp};

/// What the lists and floors say of a serial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing has ended it.
    Live,
    /// It has ended.
    Ended,
}

type Lists = HashMap<u64, Arc<StatusList>>;

#[derive(Debug, Default)]
struct Floors {
    everyone: Serial,
    tenants: HashMap<TenantId, Serial>,
}

impl Floors {
    fn raise(&mut self, tenant: Option<&TenantId>, through: Serial) {
        let floor = match tenant {
            Some(tenant) => self.tenants.entry(tenant.clone()).or_default(),
            None => &mut self.everyone,
        };
        *floor = through.max(*floor);
    }

    fn cover(&self, tenant: &TenantId, serial: Serial) -> bool {
        let tenants = self.tenants.get(tenant).copied().unwrap_or_default();
        serial <= self.everyone.max(tenants)
    }
}

/// A follower's whole knowledge, shared with the threads that answer. Written by the follower's
/// driver alone, but for [`Self::end`]; read by anybody, without a lock.
///
/// The order of a decision (see [`crate::usecase::validate`]): load [`Self::deadline`] first,
/// judge, and *last* compare a fresh reading of the boot clock with the deadline loaded first.
#[derive(Debug, Default)]
pub struct RevocationState {
    lists: ArcSwap<Lists>,
    floors: ArcSwap<Floors>,
    /// Serials that were skipped, in their order.
    skipped: ArcSwap<Vec<SerialRange>>,
    keys: ArcSwap<KeySet>,
    applied: AtomicU64,
    deadline: AtomicU64,
    /// Authority time minus boot time, in microseconds.
    time_offset: AtomicI64,
    reaped_through: AtomicI64,
}

impl RevocationState {
    /// A state that knows nothing and holds no lease.
    pub fn new() -> Self {
        Self::default()
    }

    /// Until when the lease in force allows local answers; zero where there is none.
    pub fn deadline(&self) -> BootInstant {
        BootInstant(self.deadline.load(Ordering::Acquire))
    }

    /// The last entry of the gapless prefix that is visible here.
    pub fn applied(&self) -> Seq {
        Seq(self.applied.load(Ordering::Acquire))
    }

    /// What is known of a serial of a tenant.
    pub fn standing(&self, tenant: &TenantId, serial: Serial) -> Standing {
        self.standing_under::<AllGuards>(tenant, serial)
    }

    /// [`Self::standing`], by the guards that hold.
    pub(crate) fn standing_under<G: Guards>(&self, tenant: &TenantId, serial: Serial) -> Standing {
        let (list, index) = serial.place();
        let bit = self
            .lists
            .load()
            .get(&list)
            .is_some_and(|list| list.is_ended(index));
        if bit
            || (G::FLOORS_READ && self.floors.load().cover(tenant, serial))
            || (G::SKIPPED_SERIALS_READ && self.is_skipped(serial))
        {
            Standing::Ended
        } else {
            Standing::Live
        }
    }

    fn is_skipped(&self, serial: Serial) -> bool {
        let skipped = self.skipped.load();
        let after = skipped.partition_point(|range| range.first <= serial);
        after > 0 && skipped[after - 1].contains(serial)
    }

    /// The keys in service.
    pub fn keys(&self) -> Guard<Arc<KeySet>> {
        self.keys.load()
    }

    /// The authority's time at `now`, as told by the last grant and aged on the boot clock. It may
    /// run ahead of the true one by the round trip of that grant, never behind it by more than
    /// the clocks drift within a lease.
    pub fn server_time(&self, now: BootInstant) -> Timestamp {
        let boot = i64::try_from(now.0 / 1_000).unwrap_or(i64::MAX);
        Timestamp(
            self.time_offset
                .load(Ordering::Acquire)
                .saturating_add(boot),
        )
    }

    /// Every session due before this has been ended, as told by the last grant.
    pub fn reaped_through(&self) -> Timestamp {
        Timestamp(self.reaped_through.load(Ordering::Acquire))
    }

    /// The numbers of the lists that have a bit set.
    pub fn lists(&self) -> Vec<u64> {
        self.lists.load().keys().copied().collect()
    }

    /// The bits of a list, if it has any set.
    pub fn list_bits(&self, list: u64) -> Option<Vec<u8>> {
        let bits = self.lists.load().get(&list).map(|list| list.to_bytes());
        let (lowest, highest) = (Serial::at(list, 0)?, Serial::at(list, LIST_SERIALS - 1)?);
        let skipped = self.skipped.load();
        let mut skipped = skipped
            .iter()
            .filter(|range| range.first <= highest && range.last >= lowest)
            .peekable();
        if skipped.peek().is_none() {
            return bits;
        }
        let whole = StatusList::new();
        if let Some(bits) = bits {
            whole.merge(&bits);
        }
        for range in skipped {
            let (from, to) = (range.first.max(lowest), range.last.min(highest));
            (from.place().1..=to.place().1).for_each(|index| whole.end(index));
        }
        Some(whole.to_bytes())
    }

    /// Makes an entry visible. May be repeated.
    pub(super) fn apply(&self, entry: &LogEntry) {
        match entry {
            LogEntry::Ended(serials) => serials.iter().for_each(|&serial| self.end(serial)),
            LogEntry::Floor { tenant, through } => self.raise_floor(tenant.as_ref(), *through),
            LogEntry::KeyAdded(key) => self.change_keys(|keys| keys.add(key.clone())),
            LogEntry::KeyRetired(kid) => self.change_keys(|keys| keys.retire(kid)),
        }
    }

    /// Starts from the first part of a snapshot, whose lists follow by [`Self::merge_list`]. The lease must have been
    /// given up before.
    ///
    /// Bits and floors already known stay: an ended serial never lives again in any history, and a
    /// thread in the middle of a decision, with the deadline of the old lease in hand, must not
    /// find a list emptied under it. Nor a key that is known to be `retired` back in service, as it is
    /// in a snapshot that was taken before.
    pub(super) fn adopt(&self, snapshot: &Snapshot, retired: &BTreeSet<KeyId>) {
        self.applied.store(0, Ordering::Release);
        let mut skipped = Vec::clone(&self.skipped.load());
        skipped.extend(&snapshot.skipped);
        skipped.sort_unstable();
        skipped.dedup();
        self.skipped.store(Arc::new(merged(skipped)));
        self.adopt_floors(snapshot);
        let keys = snapshot.keys.iter();
        let keys = keys.filter(|key| !retired.contains(&key.kid)).cloned();
        self.keys.store(Arc::new(keys.collect::<KeySet>()));
    }

    /// Takes over the floors of a part of a snapshot.
    pub(super) fn adopt_floors(&self, snapshot: &Snapshot) {
        let current = self.floors.load();
        let mut floors = Floors {
            everyone: current.everyone,
            tenants: current.tenants.clone(),
        };
        for (tenant, through) in &snapshot.floors {
            floors.raise(tenant.as_ref(), *through);
        }
        self.floors.store(Arc::new(floors));
    }

    /// Adds the bits of a list.
    pub(super) fn merge_list(&self, list: u64, bits: &[u8]) {
        self.list(list).merge(bits);
    }

    /// Says that everything up to `seq` is visible: after the last of it was made so.
    pub(super) fn set_applied(&self, seq: Seq) {
        self.applied.store(seq.0, Ordering::Release);
    }

    /// Sets the lease's end; zero for "no lease".
    pub(super) fn set_deadline(&self, deadline: BootInstant) {
        self.deadline.store(deadline.0, Ordering::Release);
    }

    /// Takes over what a grant says of the authority's time. `asked` is when it was asked for:
    /// reckoned from there the estimate may run ahead by a round trip, so that a token is refused
    /// a moment early rather than accepted late.
    pub(super) fn set_times(
        &self,
        asked: BootInstant,
        server_time: Timestamp,
        reaped_through: Timestamp,
    ) {
        let boot = i64::try_from(asked.0 / 1_000).unwrap_or(i64::MAX);
        self.time_offset
            .store(server_time.0.saturating_sub(boot), Ordering::Release);
        self.reaped_through
            .store(reaped_through.0, Ordering::Release);
    }

    /// Remembers what the authority has said of a serial, ahead of the log: that it has ended. By
    /// any thread, and before the refusal is returned: the lease that comes next may have been
    /// granted before the end, and a refusal is never taken back.
    pub fn end(&self, serial: Serial) {
        let (list, index) = serial.place();
        self.list(list).end(index);
    }

    fn list(&self, list: u64) -> Arc<StatusList> {
        if let Some(found) = self.lists.load().get(&list) {
            return Arc::clone(found);
        }
        let fresh = Arc::new(StatusList::new());
        // Whoever comes first puts it there, for everybody.
        self.lists.rcu(|lists| {
            let mut lists = Lists::clone(lists);
            lists.entry(list).or_insert_with(|| Arc::clone(&fresh));
            lists
        });
        let found = self.lists.load().get(&list).map(Arc::clone);
        found.unwrap_or(fresh)
    }

    fn raise_floor(&self, tenant: Option<&TenantId>, through: Serial) {
        let current = self.floors.load();
        let mut floors = Floors {
            everyone: current.everyone,
            tenants: current.tenants.clone(),
        };
        floors.raise(tenant, through);
        self.floors.store(Arc::new(floors));
    }

    fn change_keys(&self, change: impl FnOnce(&mut KeySet)) {
        let mut keys = KeySet::clone(&self.keys.load());
        change(&mut keys);
        self.keys.store(Arc::new(keys));
    }

    /// Whether `key` is in service, by its `kid`.
    pub fn knows_key(&self, kid: &KeyId) -> bool {
        self.keys.load().get(kid.as_str()).is_some()
    }

    /// The keys in service, for publication.
    pub fn public_keys(&self) -> Vec<Arc<PublicKey>> {
        self.keys.load().iter().cloned().collect()
    }
}

/// The same serials, in ranges that neither overlap nor touch, in their order.
fn merged(sorted: Vec<SerialRange>) -> Vec<SerialRange> {
    let mut ranges: Vec<SerialRange> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match ranges.last_mut() {
            Some(last) if range.first.0 <= last.last.0.saturating_add(1) => {
                last.last = last.last.max(range.last);
            }
            _ => ranges.push(range),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample::tenant;

    fn ended(state: &RevocationState, name: &str, serial: u64) -> bool {
        state.standing(&tenant(name), Serial(serial)) == Standing::Ended
    }

    #[test]
    fn a_serial_beyond_the_newest_known_list_is_live() {
        let state = RevocationState::new();
        assert!(!ended(
            &state,
            "a",
            u64::from(crate::revocation::LIST_SERIALS) * 9
        ));
    }

    #[test]
    fn an_ended_serial_is_ended_in_every_tenant_and_its_neighbours_live() {
        let state = RevocationState::new();
        state.apply(&LogEntry::Ended(vec![Serial(41), Serial(5_000_000)]));
        assert!(ended(&state, "a", 41) && ended(&state, "b", 41) && ended(&state, "a", 5_000_000));
        assert!(
            !ended(&state, "a", 40) && !ended(&state, "a", 42) && !ended(&state, "a", 5_000_001)
        );
    }

    #[test]
    fn a_floor_covers_its_tenant_up_to_its_serial_and_never_sinks() {
        let state = RevocationState::new();
        let floor = |name: &str, through| LogEntry::Floor {
            tenant: Some(tenant(name)),
            through: Serial(through),
        };
        state.apply(&floor("a", 10));
        state.apply(&floor("a", 3));
        assert!(ended(&state, "a", 10) && !ended(&state, "a", 11) && !ended(&state, "b", 10));
        state.apply(&LogEntry::Floor {
            tenant: None,
            through: Serial(20),
        });
        assert!(ended(&state, "b", 20) && !ended(&state, "b", 21));
    }

    #[test]
    fn server_time_ages_on_the_boot_clock() {
        let state = RevocationState::new();
        state.set_times(BootInstant(5_000_000), Timestamp(1_000_000), Timestamp(0));
        assert_eq!(
            state.server_time(BootInstant(8_000_000)),
            Timestamp(1_003_000)
        );
    }
}
