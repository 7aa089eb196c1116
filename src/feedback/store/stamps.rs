//! Where a session takes its time and its ids from.

use crate::feedback::record::UtcMillis;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};
use ulid::Ulid;

/// Clock and randomness of a session. Tests bring their own; see [`Stamps::system`] for real ones.
pub struct Stamps {
    now_ms: Box<dyn FnMut() -> i64 + Send>,
    random: Box<dyn FnMut() -> u128 + Send>,
}

impl Stamps {
    /// Stamps from a clock (milliseconds since 1970, UTC) and a source of random bits.
    pub fn new(
        now_ms: impl FnMut() -> i64 + Send + 'static,
        random: impl FnMut() -> u128 + Send + 'static,
    ) -> Self {
        Self {
            now_ms: Box::new(now_ms),
            random: Box::new(random),
        }
    }

    /// The wall clock, and the random keys that the standard library takes from the system.
    pub fn system() -> Self {
        let random = || {
            let bits = || u128::from(RandomState::new().build_hasher().finish());
            bits() << 64 | bits()
        };
        Self::new(system_now_ms, random)
    }

    /// The time now.
    pub fn now(&mut self) -> UtcMillis {
        UtcMillis((self.now_ms)())
    }

    /// A ULID of the present that is greater than `last`, even if the clock went backwards.
    pub fn id_after(&mut self, last: Ulid) -> Ulid {
        let now = u64::try_from((self.now_ms)()).unwrap_or(0);
        let fresh = Ulid::from_parts(now, (self.random)());
        fresh.max(Ulid(last.0.saturating_add(1)))
    }
}

fn system_now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_when_the_clock_falls() {
        let mut clock = [5_000, 4_000, 3_000].into_iter();
        let mut stamps = Stamps::new(move || clock.next().unwrap(), || 7);
        let first = stamps.id_after(Ulid::nil());
        assert_eq!((first.timestamp_ms(), first.random()), (5_000, 7));
        let second = stamps.id_after(first);
        let third = stamps.id_after(second);
        assert_eq!((second.0, third.0), (first.0 + 1, first.0 + 2));
    }
}
