//! One bit per serial: the layout of the IETF Token Status List with one-bit statuses.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ids::Serial;

/// Serials per list.
pub const LIST_SERIALS: u32 = 1 << 20;

/// Bytes per list.
pub const LIST_BYTES: usize = LIST_SERIALS as usize / 8;

impl Serial {
    /// The list it is in, and its index there.
    pub fn place(self) -> (u64, u32) {
        let index = self.0 % u64::from(LIST_SERIALS);
        (
            self.0 / u64::from(LIST_SERIALS),
            u32::try_from(index).unwrap_or_default(),
        )
    }

    /// The serial at `index` of `list`, if there is one.
    pub fn at(list: u64, index: u32) -> Option<Self> {
        if index >= LIST_SERIALS {
            return None;
        }
        list.checked_mul(LIST_SERIALS.into())?
            .checked_add(index.into())
            .map(Self)
    }
}

/// A list of [`LIST_SERIALS`] bits: 0 is live, 1 is ended. Bits are only ever set, by any thread,
/// and read by any other without a lock.
#[derive(Debug)]
pub struct StatusList {
    words: Box<[AtomicU64]>,
}

impl StatusList {
    /// A list in which everything lives.
    pub fn new() -> Self {
        Self {
            words: (0..LIST_SERIALS / 64).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Sets every bit that is set in `bytes`: byte `i` holds the indices `8i` to `8i + 7`, the
    /// least significant bit first. Bytes beyond the list are passed over.
    pub fn merge(&self, bytes: &[u8]) {
        for (word, chunk) in self.words.iter().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..chunk.len()].copy_from_slice(chunk);
            word.fetch_or(u64::from_le_bytes(padded), Ordering::Release);
        }
    }

    /// The bits as [`StatusList::merge`] takes them.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words
            .iter()
            .flat_map(|word| word.load(Ordering::Acquire).to_le_bytes())
            .collect()
    }

    /// Marks an index as ended; whoever sees a later release of this thread sees the bit.
    ///
    /// # Panics
    /// Where `index` isn't below [`LIST_SERIALS`].
    pub fn end(&self, index: u32) {
        self.words[index as usize / 64].fetch_or(1 << (index % 64), Ordering::Release);
    }

    /// Whether an index is marked as ended.
    ///
    /// # Panics
    /// Where `index` isn't below [`LIST_SERIALS`].
    pub fn is_ended(&self, index: u32) -> bool {
        self.words[index as usize / 64].load(Ordering::Acquire) & (1 << (index % 64)) != 0
    }
}

impl Default for StatusList {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn every_serial_has_one_place(serial in any::<u64>()) {
            let (list, index) = Serial(serial).place();
            prop_assert_eq!(Serial::at(list, index), Some(Serial(serial)));
        }

        #[test]
        fn exactly_the_ended_are_ended(ended in proptest::collection::hash_set(0..LIST_SERIALS, 0..50), probe in 0..LIST_SERIALS) {
            let list = StatusList::new();
            for &index in &ended {
                list.end(index);
            }
            let copy = StatusList::new();
            copy.merge(&list.to_bytes());
            let all: HashSet<u32> = ended.iter().copied().chain([probe]).collect();
            for index in all {
                prop_assert_eq!(list.is_ended(index), ended.contains(&index));
                prop_assert_eq!(copy.is_ended(index), ended.contains(&index));
            }
        }
    }

    #[test]
    fn the_layout_is_that_of_the_token_status_list() {
        let list = StatusList::new();
        list.end(0);
        list.end(9);
        assert_eq!(list.to_bytes()[..3], [0b0000_0001, 0b0000_0010, 0]);
        assert_eq!(list.to_bytes().len(), LIST_BYTES);
    }

    #[test]
    fn no_serial_beyond_a_list_or_beyond_u64() {
        assert_eq!(Serial::at(0, LIST_SERIALS), None);
        assert_eq!(Serial::at(u64::MAX, 0), None);
    }
}
