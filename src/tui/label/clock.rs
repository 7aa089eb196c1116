//! Where the time goes, from monotonic times that are handed in.

use crate::feedback::record::Time;

/// Without input for this long, a person is taken to be away.
pub const IDLE_MS: u64 = 180_000;

/// Times of the pair on the screen and of the session, in milliseconds of the driver's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    shown_at: u64,
    last_input: u64,
    now: u64,
    active: u64,
    first_key: Option<u64>,
    changes: u32,
    session_active: u64,
    /// How long the process was stopped while the pair was on the screen.
    stopped: u64,
}

impl Clock {
    /// A clock that starts at `now`.
    pub fn new(now: u64) -> Self {
        Self {
            shown_at: now,
            last_input: now,
            now,
            ..Self::default()
        }
    }

    /// Time passes without a key.
    pub fn tick(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// A key was pressed: the time since the last one was active, up to [`IDLE_MS`].
    pub fn key(&mut self, now: u64) {
        self.tick(now);
        let active = self.now.saturating_sub(self.last_input).min(IDLE_MS);
        self.active += active;
        self.session_active += active;
        self.last_input = self.now;
        let shown = self.shown_ms();
        self.first_key.get_or_insert(shown);
    }

    /// The process was stopped after the last tick and goes on now: nobody saw the screen between.
    pub fn resume(&mut self, now: u64) {
        let gap = now.saturating_sub(self.now);
        self.stopped += gap;
        self.last_input += gap;
        self.tick(now);
    }

    fn shown_ms(&self) -> u64 {
        self.now.saturating_sub(self.shown_at + self.stopped)
    }

    /// The decision was changed before it was committed.
    pub fn change(&mut self) {
        self.changes += 1;
    }

    /// A new pair appears.
    pub fn show(&mut self, now: u64) {
        self.tick(now);
        let session_active = self.session_active_ms();
        *self = Self {
            session_active,
            ..Self::new(self.now)
        };
    }

    /// The time of the last tick or key.
    pub fn now_ms(&self) -> u64 {
        self.now
    }

    /// Whether a key read at `at` is older than what is on the screen.
    pub fn is_stale(&self, at: u64) -> bool {
        at < self.shown_at
    }

    /// Nothing was pressed for so long that the person seems to be away.
    pub fn is_idle(&self) -> bool {
        self.now.saturating_sub(self.last_input) >= IDLE_MS
    }

    /// Active milliseconds of the whole session.
    pub fn session_active_ms(&self) -> u64 {
        self.session_active + self.now.saturating_sub(self.last_input).min(IDLE_MS)
    }

    /// The times of the pair on the screen, for its record.
    pub fn time(&self) -> Time {
        Time {
            shown_ms: self.shown_ms(),
            active_ms: self.active,
            first_key_ms: self.first_key,
            changes: self.changes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_active_time() {
        let mut clock = Clock::new(1_000);
        clock.key(5_000);
        clock.tick(184_999);
        assert!(!clock.is_idle());
        clock.tick(185_000);
        assert!(clock.is_idle());
        clock.key(605_000);
        clock.change();
        let expected = Time {
            shown_ms: 604_000,
            active_ms: 4_000 + 180_000,
            first_key_ms: Some(4_000),
            changes: 1,
        };
        assert_eq!(clock.time(), expected);
        assert_eq!(clock.session_active_ms(), 184_000);
    }

    #[test]
    fn the_time_in_which_the_process_was_stopped_counts_nowhere() {
        let mut clock = Clock::new(0);
        clock.key(1_000);
        clock.tick(3_000);
        clock.resume(603_000);
        assert!(!clock.is_idle(), "a person has just come back");
        assert_eq!(clock.session_active_ms(), 3_000);
        clock.key(604_000);
        let expected = Time {
            shown_ms: 4_000,
            active_ms: 4_000,
            first_key_ms: Some(1_000),
            changes: 0,
        };
        assert_eq!(clock.time(), expected);
        clock.show(605_000);
        clock.resume(705_000);
        clock.key(706_000);
        assert_eq!(clock.time().first_key_ms, Some(1_000));
        assert!(!clock.is_stale(605_000), "typed before the stop");
    }

    #[test]
    fn a_new_pair_starts_afresh_but_the_session_goes_on() {
        let mut clock = Clock::new(0);
        clock.key(10_000);
        clock.show(10_050);
        assert_eq!(clock.time(), Time::default());
        assert_eq!(clock.session_active_ms(), 10_050);
        assert!(clock.is_stale(10_049));
        assert!(!clock.is_stale(10_050));
    }

    #[test]
    fn a_clock_that_goes_backwards_harms_nothing() {
        let mut clock = Clock::new(5_000);
        clock.key(3_000);
        clock.show(1_000);
        clock.key(2_000);
        assert_eq!(
            clock.time(),
            Time {
                first_key_ms: Some(0),
                ..Time::default()
            }
        );
    }
}
