//! The learning rate of each update: linear warm-up, then a decay.

use std::f64::consts::PI;

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// Straight to 0, which the update after the last one would have.
    Linear,
    /// Half a cosine to 0: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, without restarts.
    Cosine,
    /// Not at all.
    Constant,
}

/// A learning-rate schedule over a known number of updates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The largest learning rate, reached at the end of the warm-up.
    pub learning_rate: f64,
    /// Updates of the warm-up; update i < w has (i + 1)/w of the peak, so that none is wasted at 0.
    pub warmup_updates: usize,
    /// Updates in all.
    pub total_updates: usize,
    /// What follows the warm-up.
    pub decay: Decay,
}

impl Schedule {
    /// The learning rate of an update, counted from 0. Without warm-up the linear and cosine decays
    /// are those of transformers' `get_scheduler`.
    pub fn at(&self, update: usize) -> f64 {
        if update < self.warmup_updates {
            return self.learning_rate * (update + 1) as f64 / self.warmup_updates as f64;
        }
        let length = self
            .total_updates
            .saturating_sub(self.warmup_updates)
            .max(1);
        let progress = ((update - self.warmup_updates) as f64 / length as f64).min(1.0);
        self.learning_rate
            * match self.decay {
                Decay::Linear => 1.0 - progress,
                Decay::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
                Decay::Constant => 1.0,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(decay: Decay, warmup_updates: usize) -> Vec<f64> {
        let schedule = Schedule {
            learning_rate: 8.0,
            warmup_updates,
            total_updates: 4 + warmup_updates,
            decay,
        };
        (0..=schedule.total_updates)
            .map(|update| schedule.at(update))
            .collect()
    }

    #[test]
    fn each_decay_update_by_update() {
        assert_eq!(rates(Decay::Linear, 0), [8.0, 6.0, 4.0, 2.0, 0.0]);
        assert_eq!(
            rates(Decay::Constant, 2),
            [4.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0]
        );
        let cosine = rates(Decay::Cosine, 0);
        for (got, expected) in cosine.iter().zip([8.0, 6.828_427, 4.0, 1.171_573, 0.0]) {
            assert!((got - expected).abs() < 1e-6, "{cosine:?}");
        }
    }

    #[test]
    fn warm_up_climbs_to_the_peak() {
        assert_eq!(rates(Decay::Linear, 4)[..6], [2.0, 4.0, 6.0, 8.0, 8.0, 6.0]);
    }

    #[test]
    fn past_the_end_the_rate_stays_at_the_last_value() {
        let schedule = Schedule {
            learning_rate: 1.0,
            warmup_updates: 3,
            total_updates: 2,
            decay: Decay::Linear,
        };
        assert_eq!(schedule.at(100), 0.0);
    }
}
