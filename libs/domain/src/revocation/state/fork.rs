//! Copies of a state, for whoever explores what might happen next from one moment on.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::{Lists, RevocationState};
use crate::revocation::StatusList;

impl RevocationState {
    /// The same knowledge, sharing nothing that can change with this one. Costs a copy of every
    /// list.
    #[must_use]
    pub fn fork(&self) -> Self {
        let copy = |list: &Arc<StatusList>| {
            let fresh = StatusList::new();
            fresh.merge(&list.to_bytes());
            Arc::new(fresh)
        };
        let lists: Lists = self
            .lists
            .load()
            .iter()
            .map(|(&number, list)| (number, copy(list)))
            .collect();
        Self {
            lists: ArcSwap::from_pointee(lists),
            // Replaced as a whole whenever they change, never changed in place.
            floors: ArcSwap::new(self.floors.load_full()),
            skipped: ArcSwap::new(self.skipped.load_full()),
            keys: ArcSwap::new(self.keys.load_full()),
            applied: AtomicU64::new(self.applied.load(Ordering::Acquire)),
            deadline: AtomicU64::new(self.deadline.load(Ordering::Acquire)),
            time_offset: AtomicI64::new(self.time_offset.load(Ordering::Acquire)),
            reaped_through: AtomicI64::new(self.reaped_through.load(Ordering::Acquire)),
        }
    }
}

impl Hash for RevocationState {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let mut lists = self.lists();
        lists.sort_unstable();
        for list in lists {
            (list, self.list_bits(list)).hash(hasher);
        }
        let floors = self.floors.load();
        let mut tenants: Vec<_> = floors.tenants.iter().collect();
        tenants.sort_unstable();
        (floors.everyone, tenants).hash(hasher);
        self.skipped.load().hash(hasher);
        let keys = self.keys.load();
        let mut names: Vec<_> = keys.iter().map(|key| &key.kid).collect();
        names.sort_unstable();
        names.hash(hasher);
        self.applied.load(Ordering::Acquire).hash(hasher);
        self.deadline.load(Ordering::Acquire).hash(hasher);
        self.time_offset.load(Ordering::Acquire).hash(hasher);
        self.reaped_through.load(Ordering::Acquire).hash(hasher);
    }
}
