//! Room for what products make of their factors.

use std::cell::Cell;
use std::mem;
use std::slice;

use super::lanes::{Brief, Packable, Pair};
use super::panels::WIDTH;

thread_local! {
    /// One for each use.
    static ROOMS: [Cell<Vec<Brief>>; Use::COUNT] = const { [const { Cell::new(Vec::new()) }; Use::COUNT] };
}

/// What room is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The first factor: rows, or the columns that a gradient has for rows.
    Left,
    /// The second factor's columns.
    Right,
    /// Panels.
    Panels,
}

impl Use {
    const COUNT: usize = Self::Panels as usize + 1;
}

/// Room that a product leaves to the thread's next: a decoder asks for it hundreds of times for every token. What is in it was left there.
#[derive(Debug)]
pub(super) struct Room {
    used: Use,
    lanes: Vec<Brief>,
}

impl Room {
    /// This thread's.
    pub(super) fn take(used: Use) -> Self {
        let lanes = ROOMS.with(|rooms| rooms[used as usize].take());
        Self { used, lanes }
    }

    /// So many lanes.
    pub(super) fn lanes(&mut self, length: usize) -> &mut [Brief] {
        let held = self.lanes.len().max(length);
        self.lanes.resize(held, Brief::ZERO);
        &mut self.lanes[..length]
    }

    /// So many pairs, which begin with a cache line.
    pub(super) fn pairs(&mut self, length: usize) -> &mut [Pair] {
        let lanes = self.lanes(length.div_ceil(WIDTH));
        // SAFETY: a lane is sixteen pairs and nothing else, and there are lanes enough for so many.
        #[allow(unsafe_code)]
        unsafe {
            slice::from_raw_parts_mut(lanes.as_mut_ptr().cast(), length)
        }
    }

    /// So that nothing passes for a zero that was only left from before.
    #[cfg(test)]
    pub(super) fn spoil(length: usize) {
        for used in [Use::Left, Use::Right, Use::Panels] {
            let spoilt = Brief([Pair(u32::MAX); WIDTH]);
            Self::take(used).lanes(length).fill(spoilt);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let lanes = mem::take(&mut self.lanes);
        ROOMS.with(|rooms| rooms[self.used as usize].set(lanes));
    }
}
