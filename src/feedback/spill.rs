//! A map from hashes to small values that lies in memory while it is small, and in a nameless
//! temporary file from then on: what an import knows of millions of rows takes no more memory than
//! what it knows of some thousand.
//!
//! The file is one open-addressing table. An entry is a key of eight bytes and its value; a key of
//! zero is a free slot. A key's slot is given by its upper bits, so that doubling the table copies it
//! from front to back. The system removes the file when it is closed, however the process ends.
//!
//! [`sort`] sorts rows in the same way, and [`seen`] is a set; [`Room`] says where files lie.

mod room;
pub mod seen;
pub mod sort;

pub use room::{Room, RoomError};

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
#[cfg(not(unix))]
use std::io::{SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Entries that are held in memory before they move to the disk. Few in unit tests, so that those of the
/// import go there too.
const IN_MEMORY: usize = if cfg!(test) { 1 << 6 } else { 1 << 16 };
/// Slots that are read at once: at three quarters full, a key is hardly ever farther away.
const WINDOW: u64 = 32;
/// Bytes of a key.
const KEY: usize = size_of::<u64>();

/// A map from 64-bit hashes to values of `N` bytes.
pub struct Spill<const N: usize> {
    folder: PathBuf,
    in_memory: usize,
    front: HashMap<u64, [u8; N]>,
    table: Option<Table<N>>,
}

impl<const N: usize> Spill<N> {
    /// An empty map whose file would lie on the file system of `folder`, which need not be there
    /// yet.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            in_memory: IN_MEMORY,
            front: HashMap::new(),
            table: None,
        }
    }

    /// An empty map that holds no more than `room` does, and no more than others.
    pub fn within(room: &Room) -> Self {
        let entries = room.held() / Table::<N>::ENTRY;
        Self {
            in_memory: entries.clamp(1, IN_MEMORY),
            ..Self::new(room.folder())
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn get(&self, key: u64) -> io::Result<Option<[u8; N]>> {
        // Zero marks a free slot.
        let key = key.max(1);
        match &self.table {
            None => Ok(self.front.get(&key).copied()),
            Some(table) => table.find(key).map(|(_, value)| value),
        }
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn insert(&mut self, key: u64, value: [u8; N]) -> io::Result<()> {
        let key = key.max(1);
        if let Some(table) = &mut self.table {
            if table.is_full() {
                *table = table.doubled(&self.folder)?;
            }
            return table.insert(key, value);
        }
        self.front.insert(key, value);
        if self.front.len() > self.in_memory {
            let slots = (self.in_memory as u64 * 4).next_power_of_two();
            let mut table = Table::new(&self.folder, slots)?;
            for (key, value) in std::mem::take(&mut self.front) {
                table.insert(key, value)?;
            }
            self.table = Some(table);
        }
        Ok(())
    }
}

/// The table on disk.
struct Table<const N: usize> {
    file: File,
    /// A power of two, at least [`WINDOW`].
    slots: u64,
    used: u64,
}

impl<const N: usize> Table<N> {
    const ENTRY: usize = KEY + N;

    fn new(folder: &Path, slots: u64) -> io::Result<Self> {
        let slots = slots.max(WINDOW);
        let file = nameless_file(folder)?;
        file.set_len(slots * Self::ENTRY as u64)?;
        Ok(Self {
            file,
            slots,
            used: 0,
        })
    }

    /// Longer searches begin at three quarters.
    fn is_full(&self) -> bool {
        self.used >= self.slots / 4 * 3
    }

    /// The slot where a key is or would be, and its value.
    fn find(&self, key: u64) -> io::Result<(u64, Option<[u8; N]>)> {
        let mut window = vec![0; WINDOW as usize * Self::ENTRY];
        let mut slot = key >> (u64::BITS - self.slots.trailing_zeros());
        loop {
            let count = WINDOW.min(self.slots - slot);
            let window = &mut window[..count as usize * Self::ENTRY];
            read_at(&self.file, window, slot * Self::ENTRY as u64)?;
            for (at, entry) in (slot..).zip(window.chunks_exact(Self::ENTRY)) {
                match parts(entry) {
                    (0, _) => return Ok((at, None)),
                    (there, value) if there == key => return Ok((at, Some(value))),
                    _ => {}
                }
            }
            slot = (slot + count) % self.slots;
        }
    }

    fn insert(&mut self, key: u64, value: [u8; N]) -> io::Result<()> {
        let (slot, there) = self.find(key)?;
        self.used += u64::from(there.is_none());
        let entry = [&key.to_le_bytes()[..], &value].concat();
        write_at(&self.file, &entry, slot * Self::ENTRY as u64)
    }

    fn doubled(&mut self, folder: &Path) -> io::Result<Self> {
        let mut larger = Self::new(folder, self.slots * 2)?;
        self.file.rewind()?;
        let mut entries = BufReader::with_capacity(1 << 16, &self.file);
        let mut entry = vec![0; Self::ENTRY];
        for _ in 0..self.slots {
            entries.read_exact(&mut entry)?;
            let (key, value) = parts(&entry);
            if key != 0 {
                larger.insert(key, value)?;
            }
        }
        Ok(larger)
    }
}

/// A file without a name on the file system of `folder`, which need not be there yet.
fn nameless_file(folder: &Path) -> io::Result<File> {
    let there = folder.ancestors().find(|folder| folder.is_dir());
    tempfile::tempfile_in(there.unwrap_or(Path::new(".")))
}

/// One call of the system where there is one: an import makes some ten of them for each row.
#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

#[cfg(not(unix))]
fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

/// Key and value of an entry.
fn parts<const N: usize>(entry: &[u8]) -> (u64, [u8; N]) {
    let (mut key, mut value) = ([0; KEY], [0; N]);
    key.copy_from_slice(&entry[..KEY]);
    value.copy_from_slice(&entry[KEY..]);
    (u64::from_le_bytes(key), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn small(folder: &Path, in_memory: usize) -> Spill<4> {
        Spill {
            in_memory,
            ..Spill::new(folder)
        }
    }

    #[test]
    fn what_does_not_fit_into_memory_is_found_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut map = small(&dir.path().join("not/there/yet"), 100);
        // Odd multiples of a large odd number: all different, spread over all bits.
        let key = |n: u32| u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for n in 0..20_000_u32 {
            map.insert(key(n), n.to_le_bytes()).unwrap();
            assert!(map.front.len() <= 100);
        }
        map.insert(key(7), [7, 7, 7, 7]).unwrap();
        let table = map.table.as_ref().unwrap();
        assert_eq!((table.used, table.slots), (20_000, 32_768));
        for n in (0..20_000_u32).filter(|n| *n != 7) {
            assert_eq!(map.get(key(n)).unwrap(), Some(n.to_le_bytes()), "{n}");
        }
        assert_eq!(map.get(key(7)).unwrap(), Some([7, 7, 7, 7]));
        assert_eq!(map.get(key(20_000)).unwrap(), None);
        // The file has no name that a crash could leave behind.
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    proptest! {
        #[test]
        fn it_says_what_a_map_in_memory_says(
            // Keys that crowd at both ends of the table, zero among them.
            entries in prop::collection::vec((prop_oneof![0..40_u64, u64::MAX - 40..=u64::MAX, any::<u64>()], any::<u8>()), 0..300)
        ) {
            let dir = tempfile::tempdir().unwrap();
            let (mut map, mut expected) = (small(dir.path(), 5), HashMap::new());
            for (key, value) in entries {
                map.insert(key, [value; 4]).unwrap();
                expected.insert(key.max(1), [value; 4]);
            }
            for (key, value) in expected {
                prop_assert_eq!(map.get(key).unwrap(), Some(value));
            }
            prop_assert_eq!(map.get(1 << 40).unwrap(), None);
        }
    }
}
