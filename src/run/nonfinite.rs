//! Updates that were skipped because a loss or gradient was not finite.

use serde::{Deserialize, Serialize};

/// How many, in all and in a row; flattened into the state that a job's checkpoints hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonFinite {
    /// In all.
    #[serde(rename = "nonfinite")]
    pub total: usize,
    /// Since the last good update.
    pub in_a_row: usize,
}

impl NonFinite {
    /// Counts one update that was `applied`, or skipped.
    pub fn count(&mut self, applied: bool) {
        self.total += usize::from(!applied);
        self.in_a_row = if applied { 0 } else { self.in_a_row + 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_update_ends_the_row_but_not_the_total() {
        let mut skipped = NonFinite::default();
        for applied in [false, true, false, false] {
            skipped.count(applied);
        }
        assert_eq!((skipped.total, skipped.in_a_row), (3, 2));
        let json = serde_json::to_string(&skipped).unwrap();
        assert_eq!(json, r#"{"nonfinite":3,"in_a_row":2}"#);
    }
}
