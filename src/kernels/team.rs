//! Threads that do the same work side by side and wait for each other between its parts.
//!
//! A step of decoding is a few hundred parts of some microseconds each. So whoever waits looks again and again before it lets
//! the core go: to be woken by the system takes longer than most parts do.

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// Looks at the others before giving the core to somebody else for a moment.
const SPINS: usize = 2_000;
/// Looks for new work before falling asleep: longer than what lies between two steps.
const PATIENCE: usize = 20_000;

/// Threads kept for work that is handed to all of them at once. The one who hands it out is a member too.
#[derive(Debug)]
pub struct Team {
    state: Arc<State>,
    others: Vec<JoinHandle<()>>,
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

/// What members do.
type Job = dyn Fn(Member<'_>) + Sync;

/// What a team shares.
struct State {
    count: usize,
    job: UnsafeCell<Option<&'static Job>>,
    /// Jobs handed out so far.
    jobs: AtomicUsize,
    /// Members that have done the current one, the one who handed it out apart.
    done: AtomicUsize,
    stop: AtomicBool,
    asleep: Vec<AtomicBool>,
    barrier: Barrier,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

// SAFETY: the job is written by `run` while no other member works or looks at it, and read by them after they have seen `jobs` change.
#[allow(unsafe_code)]
unsafe impl Send for State {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for State {}

impl Team {
    /// # Errors
    /// If the system gives no threads.
    pub fn new(count: usize) -> io::Result<Self> {
        let count = count.max(1);
        let state = Arc::new(State {
            count,
            job: UnsafeCell::new(None),
            jobs: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            asleep: (0..count).map(|_| AtomicBool::new(false)).collect(),
            barrier: Barrier::default(),
        });
        let mut team = Self {
            state,
            others: Vec::new(),
        };
        for index in 1..count {
            let state = Arc::clone(&team.state);
            let builder = thread::Builder::new().name(format!("decode-{index}"));
            team.others.push(builder.spawn(move || state.work(index))?);
        }
        Ok(team)
    }

    /// Threads in the team.
    pub fn count(&self) -> usize {
        self.state.count
    }

    /// Does `work` on every thread at the same time.
    ///
    /// # Panics
    /// If a member panics.
    pub fn run(&mut self, work: impl Fn(Member<'_>) + Sync) {
        let state = &self.state;
        let job: &(dyn Fn(Member<'_>) + Sync + '_) = &work;
        // SAFETY: only the lifetime changes. The job is gone from the state, and every member has left it, before this function
        // returns or unwinds: `Finish` sees to it. Nobody reads the cell now, since all have done the job before.
        #[allow(unsafe_code)]
        unsafe {
            *state.job.get() = Some(std::mem::transmute::<
                &(dyn Fn(Member<'_>) + Sync + '_),
                &'static Job,
            >(job));
        }
        state.done.store(0, Ordering::Relaxed);
        state.jobs.fetch_add(1, Ordering::SeqCst);
        for (asleep, other) in state.asleep[1..].iter().zip(&self.others) {
            if asleep.load(Ordering::SeqCst) {
                other.thread().unpark();
            }
        }
        let finish = Finish(state);
        {
            let _watch = Watch(&state.barrier);
            work(state.member(0));
        }
        drop(finish);
        assert!(
            !state.barrier.broken.load(Ordering::Acquire),
            "a thread of the team has panicked"
        );
    }

    /// Does `work` on this thread alone, for work that is too little to be shared.
    pub fn alone(&mut self, work: impl Fn(Member<'_>)) {
        work(Member {
            index: 0,
            count: 1,
            barrier: &self.state.barrier,
        });
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        for other in self.others.drain(..) {
            other.thread().unpark();
            let _ = other.join(); // a panic was reported by `run`
        }
    }
}

/// Waits until the others have left the job.
struct Finish<'a>(&'a State);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        let mut wait = Wait::default();
        while self.0.done.load(Ordering::Acquire) + 1 < self.0.count {
            wait.a_moment();
        }
    }
}

impl State {
    fn member(&self, index: usize) -> Member<'_> {
        Member {
            index,
            count: self.count,
            barrier: &self.barrier,
        }
    }

    /// The life of a member: job after job.
    fn work(&self, index: usize) {
        let mut seen = 0;
        while let Some(jobs) = self.next_job(index, seen) {
            seen = jobs;
            // SAFETY: `run` wrote the job before it changed `jobs`, and waits until this member has done it.
            #[allow(unsafe_code)]
            let job = unsafe { *self.job.get() };
            let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _watch = Watch(&self.barrier);
                if let Some(job) = job {
                    job(self.member(index));
                }
            }));
            self.done.fetch_add(1, Ordering::Release);
            if worked.is_err() {
                return; // nobody hands out jobs to a broken team
            }
        }
    }

    /// Waits for a job after the `seen`-th; none if there will be none.
    fn next_job(&self, index: usize, seen: usize) -> Option<usize> {
        let mut looks = 0;
        loop {
            let jobs = self.jobs.load(Ordering::SeqCst);
            if self.stop.load(Ordering::SeqCst) {
                return None;
            }
            if jobs != seen {
                return Some(jobs);
            }
            looks += 1;
            if looks < PATIENCE {
                spin_loop();
                continue;
            }
            // Whoever hands out a job sees the flag, or this thread sees the job; an early wake-up is harmless.
            self.asleep[index].store(true, Ordering::SeqCst);
            if self.jobs.load(Ordering::SeqCst) == seen && !self.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            self.asleep[index].store(false, Ordering::SeqCst);
            looks = 0;
        }
    }
}

/// Looks a while, then gives the core to others between looks.
#[derive(Default)]
struct Wait {
    looks: usize,
}

impl Wait {
    fn a_moment(&mut self) {
        self.looks += 1;
        if self.looks < SPINS {
            spin_loop();
        } else {
            thread::yield_now();
        }
    }
}

impl Member<'_> {
    /// Waits until every member is here.
    ///
    /// # Panics
    /// If another member has panicked and will not come.
    pub fn wait(&self) {
        if self.count > 1 {
            self.barrier.wait(self.count);
        }
    }

    /// This member for work that is its own, in which it waits for nobody.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self {
            index: 0,
            count: 1,
            barrier: self.barrier,
        }
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
        let mut wait = Wait::default();
        while self.passed.load(Ordering::Acquire) == passed {
            assert!(
                !self.broken.load(Ordering::Acquire),
                "another thread of the team has panicked"
            );
            wait.a_moment();
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
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn nobody_passes_before_all_have_come() {
        let mut team = Team::new(3).unwrap();
        let count = AtomicUsize::new(0);
        for round in 1..=200 {
            team.run(|member| {
                count.fetch_add(1, Ordering::SeqCst);
                member.wait();
                assert_eq!(count.load(Ordering::SeqCst), 3 * round);
                member.wait();
            });
        }
    }

    #[test]
    fn shares_cover_everything_once_and_members_wake_up() {
        let mut team = Team::new(3).unwrap();
        for count in 0..10 {
            // Longer than anybody looks before falling asleep.
            (0..50 * PATIENCE).for_each(|_| spin_loop());
            let shares = Mutex::new(vec![Vec::new(); 3]);
            team.run(|member| {
                shares.lock().unwrap()[member.index] = member.share(count).collect();
            });
            let all = shares.into_inner().unwrap().concat();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn alone_there_is_nobody_to_wait_for() {
        let mut team = Team::new(2).unwrap();
        team.alone(|member| {
            assert_eq!((member.index, member.count), (0, 1));
            member.wait();
        });
    }

    #[test]
    fn a_member_s_panic_frees_the_others() {
        for culprit in 0..2 {
            let mut team = Team::new(2).unwrap();
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                team.run(|member| {
                    assert_ne!(member.index, culprit, "this one fails");
                    member.wait();
                });
            }));
            assert!(caught.is_err());
        }
    }
}
