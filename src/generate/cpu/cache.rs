//! Keys and values of the rows being decoded: a slot for each, of one size, made once.

use std::io;
use std::ops::Range;

use memmap2::MmapMut;

use crate::kernels::{Full, HeadCache, Shared, lanes_of_head};
use crate::model::config::DecoderConfig;

/// All slots' keys and values.
#[derive(Debug)]
pub(super) struct Cache {
    /// Lanes, in memory that the system clears where it is used and when.
    memory: MmapMut,
    shape: Shape,
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    slots: usize,
    heads: usize,
    width: usize,
    lanes: usize,
}

impl Cache {
    /// Room for `capacity` positions in each of the `slots`.
    ///
    /// # Errors
    /// If the system gives no memory.
    pub(super) fn new(config: &DecoderConfig, slots: usize, capacity: usize) -> io::Result<Self> {
        let (heads, width) = (config.num_key_value_heads, config.head_dim);
        let shape = Shape {
            slots,
            heads,
            width,
            lanes: lanes_of_head(width, capacity),
        };
        let all = config.num_hidden_layers * slots * heads * shape.lanes;
        let memory = MmapMut::map_anon((all * size_of::<Full>()).max(1))?;
        Ok(Self { memory, shape })
    }

    fn lanes(&mut self) -> &mut [Full] {
        // SAFETY: any bits are numbers.
        #[allow(unsafe_code)]
        let (_, lanes, _) = unsafe { self.memory.align_to_mut() };
        lanes
    }

    /// Gives slot `to` the first `positions` of slot `from`.
    pub(super) fn share_prefix(&mut self, from: usize, to: usize, positions: usize) {
        let shape = self.shape;
        let lanes = self.lanes();
        let layers = lanes.len() / (shape.slots * shape.heads * shape.lanes).max(1);
        for layer in 0..layers {
            for head in 0..shape.heads {
                let (source, target) = (shape.head(layer, from, head), shape.head(layer, to, head));
                let [source, target] = disjoint(lanes, source, target);
                let source = HeadCache::new(source, shape.width);
                HeadCache::new(target, shape.width).copy_from(&source, positions);
            }
        }
    }

    /// For the members of a team.
    pub(super) fn shared(&mut self) -> SharedCache<'_> {
        SharedCache {
            shape: self.shape,
            lanes: Shared::new(self.lanes()),
        }
    }
}

impl Shape {
    fn head(&self, layer: usize, slot: usize, head: usize) -> Range<usize> {
        let index = (layer * self.slots + slot) * self.heads + head;
        index * self.lanes..(index + 1) * self.lanes
    }
}

/// Two ranges of one slice that don't overlap, in the order asked for.
fn disjoint(lanes: &mut [Full], first: Range<usize>, second: Range<usize>) -> [&mut [Full]; 2] {
    if first.start < second.start {
        let (before, after) = lanes.split_at_mut(second.start);
        [&mut before[first], &mut after[..second.len()]]
    } else {
        let (before, after) = lanes.split_at_mut(first.start);
        [&mut after[..first.len()], &mut before[second]]
    }
}

/// The cache while a team is at work on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SharedCache<'a> {
    lanes: Shared<'a, Full>,
    shape: Shape,
}

impl<'a> SharedCache<'a> {
    /// One head of one slot in one layer.
    ///
    /// # Safety
    /// Nobody else may use it meanwhile.
    #[allow(unsafe_code)]
    pub(super) unsafe fn head(
        &self,
        layer: usize,
        slot: usize,
        head: usize,
    ) -> HeadCache<&'a mut [Full]> {
        // SAFETY: heads don't overlap, and the caller promises that nobody else has this one.
        let lanes = unsafe { self.lanes.part(self.shape.head(layer, slot, head)) };
        HeadCache::new(lanes, self.shape.width)
    }

    /// The same, to be read.
    ///
    /// # Safety
    /// Nobody may write to it meanwhile.
    #[allow(unsafe_code)]
    pub(super) unsafe fn seen(
        &self,
        layer: usize,
        slot: usize,
        head: usize,
    ) -> HeadCache<&'a [Full]> {
        // SAFETY: the caller promises that nobody writes.
        let lanes = unsafe { self.lanes.seen(self.shape.head(layer, slot, head)) };
        HeadCache::new(lanes, self.shape.width)
    }
}
