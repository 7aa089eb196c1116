//! How a job is watched and stopped.
//!
//! A trainer reports to an [`Observer`] and asks its [`StopFlag`] after every step. Ctrl-C while a job
//! listens sets the flag: the job finishes its step, writes a checkpoint and returns. Ctrl-C a second
//! time, or when no job listens, ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

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
static LISTENING: Mutex<Weak<AtomicBool>> = Mutex::new(Weak::new());

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
        *LISTENING.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&flag.0);
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
    /// Nobody listens, or the job was asked before: end the process.
    Abort,
}

/// Handles one Ctrl-C; `main` calls this from the signal handler.
pub fn interrupt() -> Interrupt {
    let listening = LISTENING
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .upgrade();
    match listening {
        Some(flag) if !flag.swap(true, Ordering::Relaxed) => Interrupt::Stopping,
        _ => Interrupt::Abort,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_interrupt_stops_the_job_and_the_second_aborts() {
        let flag = StopFlag::on_ctrl_c();
        let seen_by_trainer = flag.clone();
        assert!(!seen_by_trainer.is_set());
        assert_eq!(interrupt(), Interrupt::Stopping);
        assert!(seen_by_trainer.is_set());
        assert_eq!(interrupt(), Interrupt::Abort);
        drop((flag, seen_by_trainer));
        assert_eq!(interrupt(), Interrupt::Abort, "no job listens any more");
    }

    #[test]
    fn a_plain_flag_is_set_by_hand() {
        let flag = StopFlag::new();
        flag.clone().stop();
        assert!(flag.is_set());
    }
}
