//! Threads that do the same work side by side and wait for each other between its parts.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Looks at the others before giving the core away: some microseconds, longer than a part of a step takes to even out.
const SPINS: usize = 20_000;

/// Threads kept for work that is handed to all of them at once.
#[derive(Debug)]
pub struct Team {
    pool: ThreadPool,
}

/// One of a team at work.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// 0 to `count - 1`.
    pub index: usize,
    /// Threads in the team.
    pub count: usize,
    barrier: &'a Barrier,
}

impl Team {
    /// # Errors
    /// If the system gives no threads.
    pub fn new(count: usize) -> Result<Self, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(count.max(1))
            .thread_name(|index| format!("decode-{index}"))
            .build()?;
        Ok(Self { pool })
    }

    /// Threads in the team.
    pub fn count(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Does `work` on every thread at the same time; the results are in the members' order.
    ///
    /// # Panics
    /// If a member panics.
    pub fn run<R: Send>(&self, work: impl Fn(Member<'_>) -> R + Sync) -> Vec<R> {
        let barrier = Barrier::default();
        self.pool.broadcast(|context| {
            let member = Member {
                index: context.index(),
                count: context.num_threads(),
                barrier: &barrier,
            };
            let watch = Watch(&barrier);
            let result = work(member);
            drop(watch);
            result
        })
    }
}

impl Member<'_> {
    /// Waits until every member is here.
    ///
    /// # Panics
    /// If another member has panicked and will not come.
    pub fn wait(&self) {
        self.barrier.wait(self.count);
    }

    /// This member's share of `count` things: consecutive ones.
    pub fn share(&self, count: usize) -> std::ops::Range<usize> {
        count * self.index / self.count..count * (self.index + 1) / self.count
    }
}

#[derive(Debug, Default)]
struct Barrier {
    arrived: AtomicUsize,
    passed: AtomicUsize,
    broken: AtomicBool,
}

impl Barrier {
    fn wait(&self, count: usize) {
        let passed = self.passed.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == count {
            self.arrived.store(0, Ordering::Release);
            self.passed.store(passed + 1, Ordering::Release);
            return;
        }
        let mut spins = 0;
        while self.passed.load(Ordering::Acquire) == passed {
            assert!(
                !self.broken.load(Ordering::Acquire),
                "another thread of the team has panicked"
            );
            spins += 1;
            if spins < SPINS {
                spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

/// Tells the others of a panic.
struct Watch<'a>(&'a Barrier);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.broken.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_passes_before_all_have_come() {
        let team = Team::new(3).unwrap();
        let count = AtomicUsize::new(0);
        for round in 1..=200 {
            let seen = team.run(|member| {
                count.fetch_add(1, Ordering::SeqCst);
                member.wait();
                let seen = count.load(Ordering::SeqCst);
                member.wait();
                seen
            });
            assert_eq!(seen, [3 * round; 3]);
        }
    }

    #[test]
    fn shares_cover_everything_once() {
        let team = Team::new(3).unwrap();
        for count in 0..10 {
            let shares = team.run(|member| member.share(count));
            let all: Vec<usize> = shares.into_iter().flatten().collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_member_s_panic_frees_the_others() {
        let team = Team::new(2).unwrap();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            team.run(|member| {
                assert_eq!(member.index, 0, "the other one fails");
                member.wait();
            })
        }));
        assert!(caught.is_err());
    }
}
