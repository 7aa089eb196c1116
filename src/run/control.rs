//! How a job is watched and stopped.
//!
//! A trainer reports to an [`Observer`] and asks its [`StopFlag`] after every step. Ctrl-C while a job
//! listens sets the flag: the job finishes its step, writes a checkpoint and returns. Ctrl-C a second
//! time, a moment later, or when no job listens, ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What a trainer says while it works. Every method may be ignored.
pub trait Observer: Send {
    /// Within a step: `done` of `total` units of the phase `name` (such as `rollout`).
    fn phase(&mut self, name: &str, done: usize, total: usize) {
        let _ = (name, done, total);
    }

    /// Step `step` of `total` is done (the first is 1), with the metrics worth showing.
    fn step(&mut self, step: usize, total: usize, metrics: &[(&str, f64)]) {
        let _ = (step, total, metrics);
    }

    /// Until the first step is done, the job is slow: kernels for a GPU are compiled at their first use.
    fn compiling(&mut self) {}

    /// Something that a person should know.
    fn note(&mut self, text: &str) {
        let _ = text;
    }
}

/// Ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// The job that Ctrl-C stops; there is one signal handler per process and so one such place.
static LISTENING: Mutex<Listening> = Mutex::new(Listening {
    flag: Weak::new(),
    asked: None,
});

struct Listening {
    flag: Weak<AtomicBool>,
    /// When the job was asked to stop.
    asked: Option<Instant>,
}

/// Signals that come within this time are one: a terminal that is closed sends several.
const TOGETHER: Duration = Duration::from_millis(300);

/// A request to stop, shared by whoever may ask and the job that obeys.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// A flag that nobody has set; Ctrl-C does not set it.
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag that the next Ctrl-C sets, as long as it or a clone exists.
    pub fn on_ctrl_c() -> Self {
        let flag = Self::default();
        *LISTENING.lock().unwrap_or_else(PoisonError::into_inner) = Listening {
            flag: Arc::downgrade(&flag.0),
            asked: None,
        };
        flag
    }

    /// Asks the job to stop after its step.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Has somebody asked?
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What an interrupt means at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// A job listens and has just been asked to stop.
    Stopping,
    /// It came together with the one before and asks for nothing more.
    Same,
    /// Nobody listens, or the job was asked before: end the process.
    Abort,
}

/// Handles one Ctrl-C; `main` calls this from the signal handler.
pub fn interrupt() -> Interrupt {
    interrupt_at(Instant::now())
}

fn interrupt_at(now: Instant) -> Interrupt {
    let mut listening = LISTENING.lock().unwrap_or_else(PoisonError::into_inner);
    let since = |asked| now.saturating_duration_since(asked);
    match listening.flag.upgrade() {
        Some(flag) if !flag.swap(true, Ordering::Relaxed) => {
            listening.asked = Some(now);
            Interrupt::Stopping
        }
        _ if listening.asked.is_some_and(|asked| since(asked) < TOGETHER) => Interrupt::Same,
        _ => Interrupt::Abort,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_interrupt_stops_the_job_and_a_later_one_aborts() {
        let flag = StopFlag::on_ctrl_c();
        let seen_by_trainer = flag.clone();
        assert!(!seen_by_trainer.is_set());
        let first = Instant::now();
        let later = |ms| interrupt_at(first + Duration::from_millis(ms));
        assert_eq!(later(0), Interrupt::Stopping);
        assert!(seen_by_trainer.is_set());
        assert_eq!((later(2), later(299)), (Interrupt::Same, Interrupt::Same));
        assert_eq!(later(300), Interrupt::Abort);
        drop((flag, seen_by_trainer));
        assert_eq!(later(50), Interrupt::Same, "it is just ending");
        assert_eq!(later(400), Interrupt::Abort, "no job listens any more");
    }

    #[test]
    fn a_plain_flag_is_set_by_hand() {
        let flag = StopFlag::new();
        flag.clone().stop();
        assert!(flag.is_set());
    }
}
