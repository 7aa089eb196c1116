//! Rows of a forward or backward pass, shared out among the cores.
//!
//! On the CPU every operation runs on one core, so each core takes some of the rows through the whole network and back. Losses are sums over
//! rows, so their gradients add up; they are added in the rows' order, so the result depends on the number of workers but never on their timing.

use std::cmp::Reverse;
use std::panic::resume_unwind;
use std::thread;

use burn::tensor::Device;

use crate::device;
use crate::kernels::cores;

use super::transformer::Decoder;

/// Most workers where all weights are trained: each holds gradients as large as the weights.
const DENSE_WORKERS: usize = 4;
/// Tokens that a worker takes through all layers and back at a time where the weights are frozen: enough for its products to be efficient. One
/// token's activations take about 8 · hidden + 3 · intermediate numbers in every layer that is trained.
const FROZEN_TOKENS: usize = 320;
/// The same where all weights are trained: each turn makes gradients as large as the weights, which should be worth their addition.
const DENSE_TOKENS: usize = 1024;

/// How many workers a pass on `device` is shared among: the cores of the CPU, or one for a GPU, which is parallel itself.
pub fn workers(device: &Device) -> usize {
    if device::is_cpu(device) { cores() } else { 1 }
}

/// Does `work` on consecutive parts of `rows`, one for each worker of `device` at most; the results are in the rows' order.
///
/// The parts are cut where their sizes come out most even; `tokens` is a row's length.
pub fn share_out<T: Sync, R: Send>(
    device: &Device,
    rows: &[T],
    tokens: impl Fn(&T) -> usize,
    work: impl Fn(&[T]) -> R + Sync,
) -> Vec<R> {
    side_by_side(&even_parts(rows, workers(device), tokens), work)
}

/// Forward and backward: `work` on parts of `rows` that are small enough for their activations, the results put together by `add` in
/// the rows' order. A GPU takes all rows at once.
pub fn share_out_turns<T: Sync, R: Send + Default>(
    decoder: &Decoder,
    rows: &[T],
    tokens: impl Fn(&T) -> usize + Sync,
    work: impl Fn(&[T]) -> R + Sync,
    add: impl Fn(&mut R, R) + Sync,
) -> R {
    let device = decoder.embedding.device();
    let (most, limit) = turns(decoder, &device);
    let parts = even_parts(rows, workers(&device).min(most), &tokens);
    let add = |mut sum, part| {
        add(&mut sum, part);
        sum
    };
    let of_worker = |rows: &[T]| {
        let turns = rows.iter().map(&tokens).sum::<usize>().div_ceil(limit);
        let parts = even_parts(rows, turns, &tokens).into_iter();
        parts.map(&work).fold(R::default(), &add)
    };
    let results = side_by_side(&parts, of_worker);
    results.into_iter().fold(R::default(), add)
}

/// Consecutive parts of `rows`, each small enough for the activations of all workers at once.
pub fn in_turns<'a, T>(
    decoder: &Decoder,
    rows: &'a [T],
    tokens: impl Fn(&T) -> usize,
) -> Vec<&'a [T]> {
    let device = decoder.embedding.device();
    let (most, limit) = turns(decoder, &device);
    let limit = limit.saturating_mul(workers(&device).min(most));
    let count = rows.iter().map(&tokens).sum::<usize>().div_ceil(limit);
    even_parts(rows, count, tokens)
}

/// Which of `rows` each worker takes so that their tokens are even: longest first, to who has least.
pub fn spread<T>(decoder: &Decoder, rows: &[T], tokens: impl Fn(&T) -> usize) -> Vec<Vec<usize>> {
    let device = decoder.embedding.device();
    let count = workers(&device).min(turns(decoder, &device).0);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&row| Reverse(tokens(&rows[row])));
    let mut shares = vec![(0, Vec::new()); count.min(rows.len())];
    for row in order {
        if let Some((sum, share)) = shares.iter_mut().min_by_key(|(sum, _)| *sum) {
            *sum += tokens(&rows[row]);
            share.push(row);
        }
    }
    shares.into_iter().map(|(_, share)| share).collect()
}

/// Most workers of a backward pass, and most tokens of a turn, more or less: a row is never cut.
pub fn turns(decoder: &Decoder, device: &Device) -> (usize, usize) {
    if !device::is_cpu(device) {
        return (1, usize::MAX);
    }
    if !decoder.frozen {
        return (DENSE_WORKERS, DENSE_TOKENS);
    }
    let layers = decoder.blocks.len();
    let trained = layers - decoder.constant_layers();
    (usize::MAX, FROZEN_TOKENS * layers / trained.max(1))
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

/// Consecutive parts of `rows`, at most `count`: those whose largest size is the smallest possible.
fn even_parts<T>(rows: &[T], count: usize, tokens: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let lengths: Vec<usize> = rows.iter().map(|row| tokens(row).max(1)).collect();
    let longest = lengths.iter().copied().max().unwrap_or(1);
    let (mut low, mut high) = (longest, lengths.iter().sum::<usize>().max(1));
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

fn cut<T>(rows: &[T], sizes: Vec<usize>) -> Vec<&[T]> {
    let mut rest = rows;
    let mut take = |size| {
        let (part, others) = rest.split_at(size);
        rest = others;
        part
    };
    sizes.into_iter().map(&mut take).collect()
}

/// How many rows each part has if every part takes rows until its size would exceed `limit`.
fn sizes_within(lengths: &[usize], limit: usize) -> Vec<usize> {
    let mut sizes = Vec::new();
    let (mut size, mut tokens) = (0, 0_usize);
    for &length in lengths {
        if size > 0 && tokens + length > limit {
            sizes.push(size);
            (size, tokens) = (0, 0);
        }
        (size, tokens) = (size + 1, tokens + length);
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
    fn parts_have_even_sizes_rather_than_even_numbers_of_rows() {
        // 80 and 110 tokens; three rows each would be 50 and 140.
        let rows = [10, 20, 20, 30, 50, 60];
        let parts = even_parts(&rows, 2, |&row| row);
        assert_eq!(parts, [&rows[..4], &rows[4..]]);
        assert_eq!(even_parts(&[5, 5, 5, 5], 4, |&row| row).len(), 4);
        assert_eq!(even_parts(&rows, 1, |&row| row), [&rows[..]]);
    }

    #[test]
    fn few_rows_are_spread_by_their_length() {
        let device = device::cpu().device;
        let decoder = crate::model::LanguageModel::embedded(&device)
            .unwrap()
            .decoder;
        let rows = [83, 56, 107, 82, 71, 43, 67, 49];
        let shares = spread(&decoder, &rows, |&row| row);
        let count = workers(&device).min(turns(&decoder, &device).0);
        assert_eq!(shares.len(), count.min(rows.len()));
        let mut all = shares.concat();
        all.sort_unstable();
        assert_eq!(all, (0..rows.len()).collect::<Vec<_>>());
        let sums = || {
            shares
                .iter()
                .map(|share| share.iter().map(|&row| rows[row]).sum::<usize>())
        };
        assert!(sums().max().unwrap() - sums().min().unwrap() <= 107);
        if count == 2 {
            assert_eq!(sums().max(), Some(281));
        }
        assert!(spread(&decoder, &rows[..0], |&row| row).is_empty());
    }

    #[test]
    fn a_worker_s_panic_is_the_caller_s() {
        let parts: [&[i32]; 2] = [&[1], &[2]];
        let caught =
            std::panic::catch_unwind(|| side_by_side(&parts, |part| assert_eq!(part, [1])));
        assert!(caught.is_err());
    }
}
