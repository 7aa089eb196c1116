//! Batches of token rows with their masks: lengths are carried, never recovered by comparing ids with a pad id.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Rows of equal length. Padding may stand anywhere; `mask` is true on real tokens.
#[derive(Debug, Clone)]
pub struct TokenBatch {
    /// `[batch · time]`, row by row.
    pub ids: Vec<u32>,
    /// `[batch · time]`: true on real tokens.
    pub mask: Vec<bool>,
    /// Rows.
    pub batch: usize,
    /// Tokens in a row, padding included.
    pub time: usize,
}

impl TokenBatch {
    /// Pads on the left to the longest row, or to `at_least`: the last token of every row is in the last column.
    pub fn left_padded(rows: &[&[u32]], pad: u32, at_least: usize) -> Self {
        Self::padded(rows, pad, at_least, |row, time| time - row.len())
    }

    /// Pads on the right to the longest row, or to `at_least`.
    pub fn right_padded(rows: &[&[u32]], pad: u32, at_least: usize) -> Self {
        Self::padded(rows, pad, at_least, |_, _| 0)
    }

    fn padded(
        rows: &[&[u32]],
        pad: u32,
        at_least: usize,
        start: impl Fn(&[u32], usize) -> usize,
    ) -> Self {
        let time = longest(rows).max(at_least);
        let mut ids = vec![pad; rows.len() * time];
        let mut mask = vec![false; rows.len() * time];
        for (index, row) in rows.iter().enumerate() {
            let from = index * time + start(row, time);
            ids[from..from + row.len()].copy_from_slice(row);
            mask[from..from + row.len()].fill(true);
        }
        Self {
            ids,
            mask,
            batch: rows.len(),
            time,
        }
    }

    /// Position ids: the number of real tokens before each token in its row.
    pub fn positions(&self) -> Vec<usize> {
        let mut positions = Vec::with_capacity(self.mask.len());
        for row in self.mask.chunks(self.time.max(1)) {
            let mut seen = 0_usize;
            for &real in row {
                positions.push(seen);
                seen += usize::from(real);
            }
        }
        positions
    }

    /// The batch without its pads.
    pub fn packed(&self) -> PackedTokens {
        let mut starts = vec![0];
        let mut places = Vec::with_capacity(self.mask.len());
        for row in 0..self.batch {
            let all = row * self.time..(row + 1) * self.time;
            places.extend(all.filter(|&place| self.mask[place]));
            starts.push(places.len());
        }
        let positions = starts.windows(2).flat_map(|row| 0..row[1] - row[0]);
        PackedTokens {
            ids: places.iter().map(|&place| self.ids[place]).collect(),
            positions: positions.collect(),
            starts,
            places,
        }
    }

    /// Flat index of the last real token of every row; an empty row gives its first column.
    pub fn last_real(&self) -> Vec<usize> {
        let last = |row: &[bool]| row.iter().rposition(|&real| real).unwrap_or(0);
        (0..self.batch)
            .map(|b| b * self.time + last(&self.mask[b * self.time..(b + 1) * self.time]))
            .collect()
    }
}

/// Rows of any length, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedTokens {
    /// All tokens.
    pub ids: Vec<u32>,
    /// The number of tokens before each in its row.
    pub positions: Vec<usize>,
    /// Where each row starts, and where the last ends.
    pub starts: Vec<usize>,
    /// Flat index of each token in the padded batch.
    pub places: Vec<usize>,
}

fn longest(rows: &[&[u32]]) -> usize {
    rows.iter().map(|row| row.len()).max().unwrap_or(0)
}

/// Row-major values as a tensor, without another copy.
pub fn tensor_of<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Whole numbers as an index tensor.
pub fn indices(values: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.map(|v| v as i32).collect();
    Tensor::from_ints(values.as_slice(), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_have_no_position_and_are_never_last() {
        let right = TokenBatch::right_padded(&[&[7, 8, 9], &[5]], 0, 0);
        assert_eq!(right.ids, [7, 8, 9, 5, 0, 0]);
        assert_eq!(right.last_real(), [2, 3]);
        let left = TokenBatch::left_padded(&[&[7, 8, 9], &[5]], 0, 0);
        assert_eq!(left.ids, [7, 8, 9, 0, 0, 5]);
        assert_eq!(left.positions(), [0, 1, 2, 0, 0, 0]);
        assert_eq!(left.last_real(), [2, 5]);
    }

    #[test]
    fn a_packed_batch_has_the_real_tokens_only() {
        let left = TokenBatch::left_padded(&[&[7, 8, 9], &[], &[5, 6]], 0, 0).packed();
        assert_eq!(left.ids, [7, 8, 9, 5, 6]);
        assert_eq!(left.positions, [0, 1, 2, 0, 1]);
        assert_eq!(left.starts, [0, 3, 3, 5]);
        assert_eq!(left.places, [0, 1, 2, 7, 8]);
    }

    #[test]
    fn a_real_token_with_the_pad_id_stays_real() {
        let batch = TokenBatch::right_padded(&[&[4, 2], &[2]], 2, 3);
        assert_eq!(batch.mask, [true, true, false, true, false, false]);
    }
}
