//! The judgements of this annotator: searched, opened, changed.

use std::rc::Rc;

use ulid::Ulid;

use super::palette::contains;
use super::scale::Decision;
use super::state::{App, Pair, Remarks, Revision, Screen};
use super::unsaved;
use super::update::show;
use super::view::View;
use crate::feedback::record::Scale;
use crate::tui::keys::{Action, Mode, Step};

/// A judgement or skip that stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The id of its record.
    pub id: Ulid,
    /// About what.
    pub pair: Rc<Pair>,
    /// What was decided.
    pub decision: Decision,
    /// On which scale.
    pub scale: Scale,
    /// What was said beside it.
    pub remarks: Remarks,
    /// Day and time of the annotator's clock, to the minute.
    pub when: String,
}

impl Entry {
    /// The judgement that a change of it edits; a skip is not a judgement, and is followed by one.
    pub(super) fn edits(&self) -> Option<Ulid> {
        (!matches!(self.decision, Decision::Skip(_))).then_some(self.id)
    }

    /// The entry as one line, without the time.
    pub fn words(&self) -> String {
        let decision = self.decision.describe(self.scale);
        let prompt = self.pair.prompt_text().replace('\n', " ");
        let mut parts = vec![decision];
        if !self.remarks.flags.is_empty() {
            parts.push(format!("F {}", self.remarks.flags.join(", ")));
        }
        if !self.remarks.note.is_empty() {
            parts.push(format!("c \"{}\"", self.remarks.note.replace('\n', " ")));
        }
        parts.push(prompt);
        parts.join(" · ")
    }
}

/// Which entries are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// All.
    #[default]
    All,
    /// One answer preferred, or a ranking.
    Decided,
    /// Ties.
    Ties,
    /// Both bad.
    BothBad,
    /// Cannot judge.
    CannotJudge,
    /// Skipped.
    Skipped,
    /// With a comment.
    Commented,
    /// With a flag.
    Flagged,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::All,
        Self::Decided,
        Self::Ties,
        Self::BothBad,
        Self::CannotJudge,
        Self::Skipped,
        Self::Commented,
        Self::Flagged,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Decided => "preferences",
            Self::Ties => "ties",
            Self::BothBad => "both bad",
            Self::CannotJudge => "cannot judge",
            Self::Skipped => "skipped",
            Self::Commented => "with a comment",
            Self::Flagged => "flagged",
        }
    }

    fn is(self, entry: &Entry) -> bool {
        match self {
            Self::All => true,
            Self::Decided => {
                matches!(entry.decision, Decision::Prefer { .. } | Decision::Rank(_))
            }
            Self::Ties => entry.decision == Decision::Tie,
            Self::BothBad => entry.decision == Decision::BothBad,
            Self::CannotJudge => matches!(entry.decision, Decision::CannotJudge(_)),
            Self::Skipped => matches!(entry.decision, Decision::Skip(_)),
            Self::Commented => !entry.remarks.note.is_empty(),
            Self::Flagged => !entry.remarks.flags.is_empty(),
        }
    }

    fn next(self) -> Self {
        let place = Self::ALL.iter().position(|&kind| kind == self).unwrap_or(0);
        Self::ALL[(place + 1) % Self::ALL.len()]
    }
}

/// The list on the screen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct List {
    entries: Vec<Entry>,
    /// Older entries that were left out.
    pub left_out: usize,
    /// The cursor among those found.
    pub cursor: usize,
    /// Which kind is shown.
    pub kind: Kind,
    wanted: String,
    /// Which entries are of the kind and contain the text that is wanted.
    found: Vec<usize>,
}

impl List {
    /// The entries of the kind shown that contain the text that was searched for, newest first.
    pub fn found(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.found.iter().map(|&place| &self.entries[place])
    }

    /// The text that is searched for.
    pub fn wanted(&self) -> &str {
        &self.wanted
    }

    pub(super) fn want(&mut self, text: String) {
        self.wanted = text;
        self.narrow();
    }

    fn narrow(&mut self) {
        let shown = |entry: &Entry| {
            self.kind.is(entry) && contains(&[&entry.when, &entry.words()], &self.wanted)
        };
        let places = self.entries.iter().enumerate();
        self.found = places
            .filter(|(_, entry)| shown(entry))
            .map(|(place, _)| place)
            .collect();
        self.cursor = self.cursor.min(self.found.len().saturating_sub(1));
    }

    pub(super) fn scroll(&mut self, step: Step, page: usize) {
        self.cursor = step.applied(self.cursor, self.found.len(), page);
    }
}

/// The driver has read the judgements.
pub(super) fn listed(app: &mut App, entries: Vec<Entry>, left_out: usize) {
    if entries.is_empty() {
        app.hint.push_str("Nothing was judged yet.");
        return;
    }
    app.history.entries = entries;
    app.history.left_out = left_out;
    app.history.narrow();
    app.screen = Screen::History;
}

/// `f`: the next kind.
pub(super) fn filter(app: &mut App) {
    app.history.kind = app.history.kind.next();
    app.history.cursor = 0;
    app.history.narrow();
}

/// Enter: shows the judgement at the cursor with its pair, to read it or to change it.
pub(super) fn open_entry(app: &mut App, at: u64) {
    let Some(entry) = app.history.found().nth(app.history.cursor).cloned() else {
        return;
    };
    if app.failure.is_some() || app.reading {
        app.hint
            .push_str("Read only: judgements cannot be opened to be changed.");
        return;
    }
    put_back(app, at);
    let afresh = app.view.afresh();
    let view = std::mem::replace(&mut app.view, afresh);
    let aside = (view, app.remarks.clone(), app.selected);
    app.remarks = entry.remarks.clone();
    // On another scale than today's it cannot be selected, only made again.
    let same_scale = entry.scale == entry.pair.scale(app.setup.scale);
    let judged = entry.edits().is_some() && same_scale;
    app.selected = judged.then_some(entry.decision);
    let words = entry.decision.describe(entry.scale);
    let changes = entry.id;
    app.revision = Some(Revision { entry, aside });
    show(app, at);
    let esc = app.key(Mode::Judging, Action::Back);
    app.hint = format!("judged before: {words} · judge again, or {esc} leaves it");
    if unsaved::take_up(app, Some(changes)) {
        app.hint += " · what was begun on it is back";
    }
}

/// Esc: the judgement stays as it was; back to the pair at hand.
pub(super) fn put_back(app: &mut App, at: u64) {
    let Some(revision) = app.revision.take() else {
        return;
    };
    show(app, at);
    restore(app, revision.aside);
}

/// What was begun on the pair at hand is there again, shown as everything is shown now.
pub(super) fn restore(app: &mut App, aside: (View, Remarks, Option<Decision>)) {
    let now = (app.view.markdown, app.view.diff);
    (app.view, app.remarks, app.selected) = aside;
    let before = (app.view.markdown, app.view.diff);
    (app.view.markdown, app.view.diff) = now;
    if now != before {
        app.view.rewrap();
    }
    app.fit();
    if now.0 != before.0 {
        super::find::search_again(app);
    }
}
