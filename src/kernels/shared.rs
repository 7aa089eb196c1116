//! A buffer that several threads write, each its own part.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

/// So many numbers in memory that nobody has to clear first.
///
/// # Safety
/// `fill` must set every one.
#[allow(unsafe_code)]
pub(super) unsafe fn filled(length: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(length);
    fill(&mut numbers.spare_capacity_mut()[..length]);
    // SAFETY: there is room for so many, and the caller promises that all were set.
    unsafe { numbers.set_len(length) };
    numbers
}

/// A slice whose disjoint parts may be written by different threads at the same time.
#[derive(Debug)]
pub struct Shared<'a, T = f32> {
    start: *mut T,
    length: usize,
    slice: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: it is an exclusive borrow; whoever takes a part promises that nobody else has it.
#[allow(unsafe_code)]
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}

impl<'a> Shared<'a> {
    /// The same as a place to write to.
    ///
    /// # Safety
    /// Nothing uninitialised may be written.
    #[allow(unsafe_code)]
    pub(super) unsafe fn unwritten(self) -> Shared<'a, MaybeUninit<f32>> {
        Shared {
            start: self.start.cast(),
            length: self.length,
            slice: PhantomData,
        }
    }
}

impl<'a, T> Shared<'a, T> {
    /// Of the whole slice.
    pub fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            length: slice.len(),
            slice: PhantomData,
        }
    }

    /// One part, to be written.
    ///
    /// # Safety
    /// While the part is in use, no other part that overlaps it may be.
    ///
    /// # Panics
    /// If the part is not within the slice.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    pub unsafe fn part(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.length);
        // SAFETY: the range is within the slice, and the caller promises that nobody else uses it.
        unsafe {
            std::slice::from_raw_parts_mut(self.start.add(range.start), range.end - range.start)
        }
    }

    /// One part, to be read.
    ///
    /// # Safety
    /// While it is in use, no part that overlaps it may be written.
    ///
    /// # Panics
    /// If the part is not within the slice.
    #[allow(unsafe_code)]
    pub unsafe fn seen(&self, range: Range<usize>) -> &'a [T] {
        // SAFETY: as for `part`, of which the caller takes none that may be written.
        assert!(range.start <= range.end && range.end <= self.length);
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.end - range.start) }
    }

    /// A part of which parts will be taken.
    ///
    /// # Panics
    /// If it is not within the slice.
    #[must_use]
    pub fn within(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.length);
        Self {
            start: self.start.wrapping_add(range.start),
            length: range.len(),
            slice: PhantomData,
        }
    }

    /// Numbers.
    pub fn len(&self) -> usize {
        self.length
    }

    /// None?
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}
