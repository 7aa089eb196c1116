//! What was begun on the screen and is not saved: kept in a file while it is begun, and back at the
//! same pair after a quit, a lost connection or a crash.

use std::rc::Rc;

use ulid::Ulid;

use super::draft::Act;
use super::pair::Pair;
use super::ranks::Ranks;
use super::remarks::Remarks;
use super::scale::Decision;
use super::state::{App, Screen};
use crate::feedback::record::Purpose;
use crate::feedback::store::begun::{Begun, Chosen};

/// What was begun on a pair that is not on the screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsaved {
    /// The pair.
    pub pair: Rc<Pair>,
    /// What was said about it.
    pub remarks: Remarks,
    /// What was selected.
    pub selected: Option<Decision>,
    /// The judgement or skip that was being changed.
    pub changes: Option<Ulid>,
}

impl Unsaved {
    fn is_about(&self, other: &Self) -> bool {
        self.pair.is(&other.pair) && self.changes == other.changes
    }

    fn is_something(&self) -> bool {
        self.selected.is_some() || self.remarks != Remarks::default()
    }

    /// As it is kept.
    fn kept(&self) -> Begun {
        Begun {
            item: self.pair.item.id.clone(),
            slot: self.pair.slot,
            changes: self.changes,
            ruling: self.pair.purpose == Purpose::Adjudication,
            note: self.remarks.note.clone(),
            flags: self.remarks.flags.clone(),
            aspects: self.remarks.recorded_aspects(&self.pair),
            chosen: self.selected.and_then(|chosen| keep(chosen, &self.pair)),
        }
    }

    /// What was kept, on its pair.
    pub fn of(begun: &Begun, pair: Rc<Pair>) -> Self {
        let remarks = Remarks {
            note: begun.note.clone(),
            flags: begun.flags.clone(),
            aspects: begun.aspects.clone(),
        };
        Self {
            remarks: Remarks {
                // Recoding twice is no change: this turns what was recorded to the sides.
                aspects: remarks.recorded_aspects(&pair),
                ..remarks
            },
            selected: begun
                .chosen
                .as_ref()
                .and_then(|chosen| select(chosen, &pair)),
            changes: begun.changes,
            pair,
        }
    }
}

/// A selection by the ids of answers. Reasons are asked again.
fn keep(decision: Decision, pair: &Pair) -> Option<Chosen> {
    let id = |side: usize| pair.answer(side).id.clone();
    Some(match decision {
        Decision::Prefer { side, strength } => Chosen::Prefer {
            winner: id(side),
            strength,
        },
        Decision::Tie => Chosen::Tie,
        Decision::BothBad => Chosen::BothBad,
        Decision::Rank(ranks) => {
            let ranked = |side| ranks.rank(side).map(|rank| (id(side), rank));
            Chosen::Ranks((0..pair.answers()).filter_map(ranked).collect())
        }
        Decision::CannotJudge(_) | Decision::Skip(_) | Decision::Defer => return None,
    })
}

fn select(chosen: &Chosen, pair: &Pair) -> Option<Decision> {
    Some(match chosen {
        Chosen::Prefer { winner, strength } => Decision::Prefer {
            side: pair.side_of(winner)?,
            strength: *strength,
        },
        Chosen::Tie => Decision::Tie,
        Chosen::BothBad => Decision::BothBad,
        Chosen::Ranks(by_id) => {
            let mut ranks = Ranks::new(pair.answers());
            for (id, &rank) in by_id {
                ranks.send(pair.side_of(id)?, usize::from(rank));
            }
            Decision::Rank(ranks)
        }
    })
}

/// Everything that is begun and not saved. What is on the screen is newer than what was put by.
pub fn begun(app: &App) -> Vec<Begun> {
    let now: Vec<Unsaved> = at_hand(app).into_iter().chain(changed(app)).collect();
    let is_old = |before: &&Unsaved| !now.iter().any(|unsaved| unsaved.is_about(before));
    let all = app.begun.iter().filter(is_old).chain(&now);
    let all = all.filter(|unsaved| unsaved.is_something());
    let elsewhere = app.begun_elsewhere.iter().cloned();
    elsewhere.chain(all.map(Unsaved::kept)).collect()
}

/// On the pair at the head of the queue; a judgement that the disk refused is one too.
fn at_hand(app: &App) -> Option<Unsaved> {
    let pair = Rc::clone(app.queue.front()?);
    let (remarks, selected) = match (&app.committing, &app.revision) {
        (Some(draft), _) if draft.pair.is(&pair) => match draft.act {
            Act::Decide(decision) => (draft.remarks.clone(), Some(decision)),
            Act::Retract(_) => (draft.remarks.clone(), None),
        },
        (_, Some(revision)) => (revision.aside.1.clone(), revision.aside.2),
        _ => (said(app), app.selected),
    };
    Some(Unsaved {
        pair,
        remarks,
        selected,
        changes: None,
    })
}

/// On a judgement of the history that is open, if it is another one now.
fn changed(app: &App) -> Option<Unsaved> {
    let entry = &app.revision.as_ref()?.entry;
    let (remarks, selected) = (said(app), app.selected);
    let same = remarks == entry.remarks && selected.is_none_or(|chosen| chosen == entry.decision);
    (!same).then(|| Unsaved {
        pair: Rc::clone(&entry.pair),
        remarks,
        selected,
        changes: Some(entry.id),
    })
}

/// What is said about the pair on the screen, the comment that is being written included.
fn said(app: &App) -> Remarks {
    let mut remarks = app.remarks.clone();
    if let Screen::Note(field) = &app.screen {
        field.text().clone_into(&mut remarks.note);
    }
    remarks
}

/// Brings back what was begun on the pair that comes up, or on the judgement `changes` of it that is
/// opened; true if there was anything.
pub(super) fn take_up(app: &mut App, changes: Option<Ulid>) -> bool {
    let Some(pair) = app.pair().cloned() else {
        return false;
    };
    let is_it = |unsaved: &Unsaved| unsaved.pair.is(&pair) && unsaved.changes == changes;
    let (mut found, others) = app.begun.drain(..).partition::<Vec<_>, _>(is_it);
    app.begun = others;
    // Of several, the newest stands last.
    let Some(unsaved) = found.pop() else {
        return false;
    };
    (app.remarks, app.selected) = (unsaved.remarks, unsaved.selected);
    true
}

/// Keeps what was begun on the pair on the screen, while an undo or a deferral brings up another.
pub(super) fn put_by(app: &mut App) {
    let Some(pair) = app.pair().cloned() else {
        return;
    };
    let unsaved = Unsaved {
        pair,
        remarks: app.remarks.clone(),
        selected: app.selected,
        changes: None,
    };
    if unsaved.is_something() {
        app.begun.retain(|other| !other.is_about(&unsaved));
        app.begun.push(unsaved);
    }
}
