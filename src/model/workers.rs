//! Rows of a forward pass, shared out among the cores.
//!
//! burn's CPU backend uses every core for large matrix products only; all else (attention, norms, element-wise operations, the products of a
//! small model) runs on one. So each core takes some of the rows through the whole network and back. Losses are sums over rows, so their
//! gradients add up; they are added in the rows' order, so the result depends on the number of workers but never on their timing.

use std::panic::resume_unwind;
use std::thread;

use burn::tensor::Device;

use crate::device;
use crate::kernels::cores;

/// Most workers: in training each holds gradients of its own, and large products use the other cores anyway.
const MAX_WORKERS: usize = 4;

/// How many workers a forward pass on `device` is shared among: the cores of the CPU, or one for a GPU, which is parallel itself.
pub fn workers(device: &Device) -> usize {
    if !device::is_cpu(device) {
        return 1;
    }
    cores().min(MAX_WORKERS)
}

/// Does `work` on consecutive parts of `rows`, one for each worker of `device` at most; the results are in the rows' order.
///
/// A part is padded to its longest row, so the parts are cut where their padded sizes come out most even; `tokens` is a row's length.
/// Rows in the order of their lengths waste least.
pub fn share_out<T: Sync, R: Send>(
    device: &Device,
    rows: &[T],
    tokens: impl Fn(&T) -> usize,
    work: impl Fn(&[T]) -> R + Sync,
) -> Vec<R> {
    side_by_side(&even_parts(rows, workers(device), tokens), work)
}

/// Does `work` on every part at the same time, each on a thread of its own.
pub fn side_by_side<T: Sync, R: Send>(parts: &[&[T]], work: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    if let [part] = parts {
        return vec![work(part)];
    }
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = parts
            .iter()
            .map(|part| scope.spawn(move || work(part)))
            .collect();
        let result = |thread: thread::ScopedJoinHandle<'_, R>| {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        threads.into_iter().map(result).collect()
    })
}

/// Consecutive parts of `rows`, at most `count`: those whose largest padded size is the smallest possible.
fn even_parts<T>(rows: &[T], count: usize, tokens: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let lengths: Vec<usize> = rows.iter().map(|row| tokens(row).max(1)).collect();
    let longest = lengths.iter().copied().max().unwrap_or(1);
    let (mut low, mut high) = (longest, longest * rows.len().max(1));
    while low < high {
        let limit = low.midpoint(high);
        if sizes_within(&lengths, limit).len() <= count.max(1) {
            high = limit;
        } else {
            low = limit + 1;
        }
    }
    cut(rows, sizes_within(&lengths, high))
}

/// Consecutive parts of `rows` whose padded sizes are at most `limit` tokens, or one row if it is longer.
pub fn parts_within<T>(rows: &[T], tokens: impl Fn(&T) -> usize, limit: usize) -> Vec<&[T]> {
    let lengths: Vec<usize> = rows.iter().map(|row| tokens(row).max(1)).collect();
    cut(rows, sizes_within(&lengths, limit))
}

fn cut<T>(rows: &[T], sizes: Vec<usize>) -> Vec<&[T]> {
    let mut rest = rows;
    let mut take = |size| {
        let (part, others) = rest.split_at(size);
        rest = others;
        part
    };
    sizes.into_iter().map(&mut take).collect()
}

/// How many rows each part has if every part takes rows until its padded size would exceed `limit`, which no row exceeds alone.
fn sizes_within(lengths: &[usize], limit: usize) -> Vec<usize> {
    let mut sizes = Vec::new();
    let (mut size, mut longest) = (0, 0);
    for &length in lengths {
        if size > 0 && longest.max(length).saturating_mul(size + 1) > limit {
            sizes.push(size);
            (size, longest) = (0, 0);
        }
        (size, longest) = (size + 1, longest.max(length));
    }
    sizes.push(size);
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_worked_on_once_and_in_order() {
        for workers in 0..5 {
            for count in 0..9_usize {
                let rows: Vec<usize> = (0..count).collect();
                let parts =
                    side_by_side(&even_parts(&rows, workers, |&row| row), <[usize]>::to_vec);
                assert!(parts.len() <= workers.max(1));
                assert_eq!(parts.concat(), rows);
            }
        }
    }

    #[test]
    fn parts_have_even_padded_sizes_rather_than_even_numbers_of_rows() {
        // 4 · 30 and 2 · 60 tokens; three rows each would be 3 · 20 and 3 · 60.
        let rows = [10, 20, 20, 30, 50, 60];
        let parts = even_parts(&rows, 2, |&row| row);
        assert_eq!(parts, [&rows[..4], &rows[4..]]);
        assert_eq!(even_parts(&[5, 5, 5, 5], 4, |&row| row).len(), 4);
        assert_eq!(even_parts(&rows, 1, |&row| row), [&rows[..]]);
    }

    #[test]
    fn a_worker_s_panic_is_the_caller_s() {
        let parts: [&[i32]; 2] = [&[1], &[2]];
        let caught =
            std::panic::catch_unwind(|| side_by_side(&parts, |part| assert_eq!(part, [1])));
        assert!(caught.is_err());
    }
}
