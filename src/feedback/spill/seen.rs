//! A set of ids or hashes, on disk where memory does not hold it.

use super::{Room, RoomError, Spill};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

/// A set of keys of `N` bytes. It is exact: whole keys are compared.
pub struct Seen<const N: usize> {
    keys: Spill<N>,
    room: Room,
}

impl<const N: usize> Seen<N> {
    /// An empty set.
    pub fn new(room: &Room) -> Self {
        Self {
            keys: Spill::within(room),
            room: room.clone(),
        }
    }

    /// Adds a key; true if it is a new one.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn insert(&mut self, key: [u8; N]) -> Result<bool, RoomError> {
        let (slot, found) = self.place(&key).map_err(self.room.failed())?;
        if !found {
            let inserted = self.keys.insert(slot, key);
            inserted.map_err(self.room.failed())?;
        }
        Ok(!found)
    }

    /// Whether a key was added.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn contains(&self, key: [u8; N]) -> Result<bool, RoomError> {
        let place = self.place(&key).map_err(self.room.failed())?;
        Ok(place.1)
    }

    /// Where a key is, or would be: keys with one hash follow each other.
    fn place(&self, key: &[u8; N]) -> io::Result<(u64, bool)> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let mut slot = hasher.finish();
        loop {
            match self.keys.get(slot)? {
                None => return Ok((slot, false)),
                Some(there) if there == *key => return Ok((slot, true)),
                Some(_) => slot = slot.wrapping_add(1),
            }
        }
    }
}

impl<const N: usize> fmt::Debug for Seen<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_new_once_in_memory_and_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let room = Room::beside(&dir.path().join("out")).holding(300);
        let mut seen = Seen::new(&room);
        for n in 0..1000_u64 {
            let key = (n / 2).to_be_bytes();
            assert_eq!(seen.insert(key).unwrap(), n % 2 == 0, "{n}");
        }
        assert!(seen.contains(499_u64.to_be_bytes()).unwrap());
        assert!(!seen.contains(500_u64.to_be_bytes()).unwrap());
    }
}
