//! From `[label]` of `rlhf.toml` to the plan of the queue.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use crate::config::LabelConfig;
use crate::feedback::item::{Item, SamplesError};
use crate::feedback::known::{self, GOLD_PREFIX};
use crate::feedback::lines::{Lines, RowError};
use crate::feedback::queue::checks::Checks;
use crate::feedback::queue::order::{Order, Strategy};
use crate::feedback::queue::roster::Roster;
use crate::feedback::queue::{Plan, Target};

/// Longest row of a file of scores, in bytes.
const MAX_SCORE_ROW: usize = 1 << 16;
const MS_PER_HOUR: u64 = 3_600_000;

/// The roster of the project.
pub fn roster(settings: &LabelConfig) -> Roster {
    Roster {
        annotators: settings.annotators.clone(),
        overlap: settings.overlap,
        reassign_after_ms: (settings.reassign_after > 0)
            .then(|| settings.reassign_after.saturating_mul(MS_PER_HOUR)),
    }
}

/// The plan for the project in `dir`; items with a known answer are added to `items`.
///
/// # Errors
/// Files of scores or of known answers that cannot be read, by file and line.
pub fn of_project(
    settings: &LabelConfig,
    dir: &Path,
    items: &mut Vec<Item>,
) -> color_eyre::Result<Plan> {
    Ok(Plan {
        seed: settings.seed,
        order: order(settings)?,
        checks: checks(settings, dir, items)?,
        roster: roster(settings),
        target: (settings.daily_target > 0).then(|| Target {
            per_day: settings.daily_target,
            day_began_ms: day_began_ms(),
        }),
        ..Plan::default()
    })
}

fn order(settings: &LabelConfig) -> Result<Order, RowError> {
    let informative = settings.order == Strategy::Informative;
    let file = settings.scores.as_deref().filter(|_| informative);
    Ok(Order {
        strategy: settings.order,
        random_share: settings.random_share,
        scores: file.map(scores).transpose()?.unwrap_or_default(),
    })
}

#[derive(Deserialize)]
struct ScoreRow {
    item: String,
    score: f64,
}

fn scores(path: &Path) -> Result<HashMap<String, f64>, RowError> {
    let mut lines = Lines::open(path, MAX_SCORE_ROW)?;
    let mut scores = HashMap::new();
    while let Some(row) = lines.next_row()? {
        let ScoreRow { item, score } = row.parse()?;
        if scores.insert(item, score).is_some() {
            return Err(row.error("this item has a score on an earlier line"));
        }
    }
    Ok(scores)
}

fn checks(
    settings: &LabelConfig,
    dir: &Path,
    items: &mut Vec<Item>,
) -> Result<Checks, SamplesError> {
    let known = known::prepare(&dir.join("gold"), &dir.join("samples"))?;
    let ids: HashSet<String> = known.items.iter().map(|item| item.id.clone()).collect();
    items.retain(|item| !ids.contains(&item.id) && !item.batch.starts_with(GOLD_PREFIX));
    items.extend(known.items);
    Ok(Checks {
        known: ids,
        gold_share: settings.gold_share,
        repeat_share: settings.repeat_share,
    })
}

/// Midnight, where the annotator is.
fn day_began_ms() -> u64 {
    let midnight = jiff::Zoned::now().start_of_day();
    let ms = midnight.map_or(0, |midnight| midnight.timestamp().as_millisecond());
    u64::try_from(ms).unwrap_or(0)
}
