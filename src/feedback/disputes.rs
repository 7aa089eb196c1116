//! What a moderator looks at: items on which people disagree, or one annotator's judgements.
//!
//! An adjudication is a judgement like any other, made as blind as any other: the moderator sees the
//! answers and not who said what about them, and not even on which items opinions were divided how.
//! Its record says `origin: adjudication` and names the judgements it settles; those stay as they
//! are, count in statistics, and are left out of exports ([`super::labels`]).

use super::labels::{Label, Labels};
use super::queue::Disputes;
use super::record::{Kind, Origin, Outcome, Purpose, Record};
use std::collections::{BTreeMap, HashMap};

/// The items on which people's unsettled judgements name different winners or outcomes, with those
/// judgements. "Cannot judge" is no opinion; strength is no disagreement; simulated annotators,
/// checks and repeats have no say.
pub fn disagreements(labels: &Labels) -> Disputes {
    let mut by_item: BTreeMap<usize, Vec<&Record>> = BTreeMap::new();
    for label in labels.labels.iter().filter(|label| is_open(label)) {
        let record = &label.record;
        if !record.is_simulated() && record.outcome != Some(Outcome::CannotJudge) {
            by_item.entry(label.item).or_default().push(record);
        }
    }
    by_item
        .into_iter()
        .filter(|(_, records)| records.iter().any(|r| opinion(r) != opinion(records[0])))
        .map(|(item, records)| {
            let ids = records.iter().map(|record| record.id).collect();
            (labels.items[item].id.clone(), ids)
        })
        .collect()
}

/// The unsettled judgements of one annotator, to be reviewed.
pub fn judgements_of(labels: &Labels, annotator: &str) -> Disputes {
    let mut disputes = Disputes::new();
    for label in labels.labels.iter().filter(|label| is_open(label)) {
        if label.record.annotator == annotator {
            let item = labels.item(label).id.clone();
            disputes.entry(item).or_default().push(label.record.id);
        }
    }
    disputes
}

/// How often `moderator`'s adjudications came to the same decision as each annotator whose judgements
/// they settled: (annotator, same, of all), in name order.
pub fn upheld(labels: &Labels, moderator: &str) -> Vec<(String, usize, usize)> {
    let mut tally: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let rulings = labels
        .labels
        .iter()
        .map(|label| &label.record)
        .filter(|record| {
            record.origin == Some(Origin::Adjudication) && record.annotator == moderator
        });
    let by_id: HashMap<_, _> = labels
        .labels
        .iter()
        .map(|label| (label.record.id, &label.record))
        .collect();
    for ruling in rulings {
        for settled in ruling.adjudicates.iter().filter_map(|id| by_id.get(id)) {
            let (same, all) = tally.entry(&settled.annotator).or_default();
            *same += usize::from(opinion(settled) == opinion(ruling));
            *all += 1;
        }
    }
    tally
        .into_iter()
        .map(|(name, (same, all))| (name.to_owned(), same, all))
        .collect()
}

/// What a record says, strength aside. The answers of a tie group stand in no order.
fn opinion(record: &Record) -> (Option<Outcome>, Option<String>, Option<Vec<Vec<String>>>) {
    let mut ranking = record.ranking.clone();
    ranking.iter_mut().flatten().for_each(|group| group.sort());
    (record.outcome, record.winner.clone(), ranking)
}

/// A judgement that an adjudication may settle, and none has.
fn is_open(label: &Label) -> bool {
    let record = &label.record;
    let purpose = matches!(record.purpose, Some(Purpose::Train | Purpose::Eval));
    record.kind == Kind::Judgement
        && purpose
        && !label.settled
        && record.origin != Some(Origin::Adjudication)
}
