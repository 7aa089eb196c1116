//! Rows of a forward pass, shared out among the cores.
//!
//! burn's CPU backend uses every core for large matrix products only; all else (attention, norms, element-wise operations, the products of a
//! small model) runs on one. So each core takes some of the rows through the whole network and back. Losses are sums over rows, so their
//! gradients add up; they are added in the rows' order, so the result depends on the number of workers but never on their timing.

use std::panic::resume_unwind;
use std::thread;

use burn::tensor::Device;

use crate::device;

/// Most workers: in training each holds gradients of its own, and large products use the other cores anyway.
const MAX_WORKERS: usize = 4;

/// How many workers a forward pass on `device` is shared among: the cores of the CPU, or one for a GPU, which is parallel itself.
pub fn workers(device: &Device) -> usize {
    if !device::is_cpu(device) {
        return 1;
    }
    thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_WORKERS))
}

/// Does `work` on consecutive parts of `rows`, at most `workers` of them and side by side; the results are in the rows' order.
pub fn share_out<T: Sync, R: Send>(
    rows: &[T],
    workers: usize,
    work: impl Fn(&[T]) -> R + Sync,
) -> Vec<R> {
    let share = rows.len().div_ceil(workers.max(1)).max(1);
    if rows.len() <= share {
        return vec![work(rows)];
    }
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = rows
            .chunks(share)
            .map(|part| scope.spawn(move || work(part)))
            .collect();
        let result = |thread: thread::ScopedJoinHandle<'_, R>| {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        threads.into_iter().map(result).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_worked_on_once_and_in_order() {
        for workers in 0..5 {
            for count in 0..9_usize {
                let rows: Vec<usize> = (0..count).collect();
                let parts = share_out(&rows, workers, <[usize]>::to_vec);
                assert!(parts.len() <= workers.max(1));
                assert_eq!(parts.concat(), rows);
            }
        }
    }

    #[test]
    fn a_worker_s_panic_is_the_caller_s() {
        let caught =
            std::panic::catch_unwind(|| share_out(&[1, 2], 2, |part| assert_eq!(part, [1])));
        assert!(caught.is_err());
    }
}
