//! Where packed weights lie: in a few large maps, which Linux can keep in pages of 2 MB.
//!
//! A product walks through all weights. In pages of 4 KB every sixty-fourth term of a panel begins a new one, which has to be looked up,
//! and at whose end reading ahead stops.

use std::mem::MaybeUninit;
use std::ops::Deref;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::MmapMut;

use super::lanes::Full;

/// Bytes of a map, if nobody needs more at once.
const MAP: usize = 64 << 20;
/// Less than this is not worth a place in a map.
const LEAST: usize = 1 << 17;

/// Numbers that stay as they are once they have been written.
#[derive(Debug, Clone)]
pub(super) enum Kept<L> {
    /// On the heap: few, or soon forgotten.
    Heap(Vec<L>),
    /// In a map.
    Mapped(Place<L>),
}

/// Part of a map.
#[derive(Debug, Clone)]
pub(super) struct Place<L> {
    start: *const L,
    length: usize,
    _map: Arc<Map>,
}

// SAFETY: nothing in it changes, and the map lives as long.
#[allow(unsafe_code)]
unsafe impl<L: Send + Sync> Send for Place<L> {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl<L: Send + Sync> Sync for Place<L> {}

impl<L: Copy> Kept<L> {
    /// `length` lanes, on the heap or, if they are many and will stay, in a map with others.
    ///
    /// # Safety
    /// `fill` must write every one.
    #[allow(unsafe_code)]
    pub(super) unsafe fn filled(
        length: usize,
        will_stay: bool,
        fill: impl FnOnce(&mut [MaybeUninit<L>]),
    ) -> Self {
        let bytes = length * size_of::<L>();
        let place = (will_stay && bytes >= LEAST)
            .then(|| Map::take(bytes))
            .flatten();
        // SAFETY: as the caller promises.
        unsafe { Self::filled_there(place, length, fill) }
    }

    /// The same in a map of their own, which ends with them.
    ///
    /// # Safety
    /// As of [`Self::filled`].
    #[allow(unsafe_code)]
    pub(super) unsafe fn filled_apart(
        length: usize,
        fill: impl FnOnce(&mut [MaybeUninit<L>]),
    ) -> Self {
        // SAFETY: as the caller promises.
        unsafe { Self::filled_there(Map::apart(length * size_of::<L>()), length, fill) }
    }

    /// In this place, or on the heap if there is none.
    ///
    /// # Safety
    /// `fill` must write every one, and the place must have room for so many.
    #[allow(unsafe_code)]
    unsafe fn filled_there(
        place: Option<(Arc<Map>, *mut u8)>,
        length: usize,
        fill: impl FnOnce(&mut [MaybeUninit<L>]),
    ) -> Self {
        if let Some((map, start)) = place {
            let start = start.cast::<MaybeUninit<L>>();
            // SAFETY: so many bytes are there for nobody else, on a cache line of their own.
            fill(unsafe { slice::from_raw_parts_mut(start, length) });
            return Self::Mapped(Place {
                start: start.cast_const().cast(),
                length,
                _map: map,
            });
        }
        let mut lanes = Vec::with_capacity(length);
        fill(&mut lanes.spare_capacity_mut()[..length]);
        // SAFETY: there is room for so many, and the caller promises that all were written.
        unsafe {
            lanes.set_len(length);
        }
        Self::Heap(lanes)
    }
}

impl<L> Deref for Kept<L> {
    type Target = [L];

    fn deref(&self) -> &[L] {
        match self {
            Self::Heap(lanes) => lanes,
            // SAFETY: so many were written there, and the map is alive.
            #[allow(unsafe_code)]
            Self::Mapped(place) => unsafe { slice::from_raw_parts(place.start, place.length) },
        }
    }
}

/// A map whose parts are given away one after the other. It ends when the last of them is forgotten.
#[derive(Debug)]
struct Map {
    start: *mut u8,
    length: usize,
    used: Mutex<usize>,
    _memory: MmapMut,
}

// SAFETY: `start` is the map's own, and no part is given away twice.
#[allow(unsafe_code)]
unsafe impl Send for Map {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Map {}

/// The map that is being given away.
static OPEN: Mutex<Weak<Map>> = Mutex::new(Weak::new());

impl Map {
    /// So many bytes from a cache line's beginning; none if the system has no memory to map.
    fn take(bytes: usize) -> Option<(Arc<Self>, *mut u8)> {
        let bytes = bytes.next_multiple_of(align_of::<Full>());
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(map) = open.upgrade()
            && let Some(start) = map.part(bytes)
        {
            return Some((map, start));
        }
        let map = Arc::new(Self::new(bytes.max(MAP))?);
        *open = Arc::downgrade(&map);
        let start = map.part(bytes)?;
        Some((map, start))
    }

    /// A map for nothing else.
    fn apart(bytes: usize) -> Option<(Arc<Self>, *mut u8)> {
        let map = Arc::new(Self::new(bytes)?);
        let start = map.part(bytes)?;
        Some((map, start))
    }

    fn new(length: usize) -> Option<Self> {
        let mut memory = MmapMut::map_anon(length).ok()?;
        // Where the system refuses, pages are small, and that is all.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Some(Self {
            start: memory.as_mut_ptr(),
            length,
            used: Mutex::new(0),
            _memory: memory,
        })
    }

    /// The next bytes that nobody has.
    fn part(&self, bytes: usize) -> Option<*mut u8> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let end = used.checked_add(bytes).filter(|&end| end <= self.length)?;
        let start = self.start.wrapping_add(*used);
        *used = end;
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(length: usize, first: u32) -> Kept<u32> {
        let fill = |room: &mut [MaybeUninit<u32>]| {
            room.iter_mut().zip(first..).for_each(|(room, number)| {
                room.write(number);
            });
        };
        // SAFETY: every one is written.
        #[allow(unsafe_code)]
        unsafe {
            Kept::filled(length, true, fill)
        }
    }

    #[test]
    fn a_map_of_its_own_ends_with_what_is_in_it() {
        let fill = |room: &mut [MaybeUninit<u32>]| room.fill(MaybeUninit::new(7));
        // SAFETY: every one is written.
        #[allow(unsafe_code)]
        let kept = unsafe { Kept::filled_apart(1000, fill) };
        let Kept::Mapped(Place { _map: map, .. }) = &kept else {
            panic!("on the heap");
        };
        let map = Arc::downgrade(map);
        assert!(kept.iter().eq([&7; 1000]));
        drop(kept);
        assert!(map.upgrade().is_none());
    }

    #[test]
    fn what_is_kept_stays_apart() {
        let lengths = [LEAST / 4, 3, LEAST / 4 + 1, MAP / 4 - LEAST, 70_001];
        let kept = lengths.map(|length| numbered(length, length as u32));
        let copies = kept.clone();
        for (kept, length) in kept.iter().zip(lengths) {
            assert_eq!(matches!(kept, Kept::Mapped(_)), length * 4 >= LEAST);
            assert_eq!(kept.as_ptr() as usize % 4, 0);
        }
        drop(kept);
        for (kept, length) in copies.iter().zip(lengths) {
            assert_eq!(kept.len(), length);
            assert!(kept.iter().copied().eq((length as u32..).take(length)));
        }
    }
}
