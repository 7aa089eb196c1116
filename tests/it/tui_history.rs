//! The history: listed, searched, opened, changed, on a real store.

use std::path::Path;
use std::rc::Rc;

use rlhf::feedback::item::{Item, PromptText};
use rlhf::feedback::queue::Plan;
use rlhf::feedback::record::{Kind, Outcome, Record, Scale};
use rlhf::feedback::store::load::load;
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use rlhf::tui::label::desk::{Rules, lay_out, list};
use rlhf::tui::label::draft::Draft;
use rlhf::tui::label::history::Entry;
use rlhf::tui::label::update::Event;

use crate::tui_stage::{Stage, item, items, reversed, setup};

/// Labels `items` with keys; `H` lists what the store holds, as the driver does.
struct Desk {
    stage: Stage,
    feedback: tempfile::TempDir,
    items: Vec<Item>,
}

impl Desk {
    fn new(items: Vec<Item>) -> Self {
        let feedback = tempfile::tempdir().unwrap();
        let mut session = Session::open(feedback.path(), "mia", Stamps::system()).unwrap();
        let plan = Plan::seeded(42);
        let rules = Rules {
            plan: &plan,
            scale: Scale::Nine,
            guidelines_sha256: None,
        };
        let desk = lay_out(&items, session.history(), rules).unwrap();
        let mut stage = Stage::locked(setup(), (120, 36));
        stage.saver = Some(Box::new(move |draft: &Draft| {
            draft.save(&mut session).unwrap()
        }));
        stage.event(Event::Opened(desk, 0));
        Self {
            stage,
            feedback,
            items,
        }
    }

    fn press(&mut self, keys: &str) -> &mut Self {
        for key in keys.split_whitespace() {
            self.stage.press(key);
            if key == "H" {
                let history = load(self.feedback.path(), "mia").unwrap();
                let (entries, left_out) = list(&self.items, &history, 42).unwrap();
                self.stage.event(Event::Listed(entries, left_out));
            }
        }
        self
    }

    fn records(&self) -> Vec<Record> {
        records(self.feedback.path())
    }

    fn found(&self) -> Vec<String> {
        let words = self.stage.app.history.found().map(Entry::words);
        words.collect()
    }
}

fn records(feedback: &Path) -> Vec<Record> {
    let history = load(feedback, "mia").unwrap();
    let events = history.events().iter();
    events.map(|event| history.record(event).unwrap()).collect()
}

#[test]
fn the_list_is_newest_first_and_says_what_was_decided() {
    let mut desk = Desk::new(items(5));
    desk.press("1 5 b s 2 > H");
    let found = desk.found();
    assert_eq!(found.len(), 4);
    assert!(found[0].starts_with("skipped: it would take too long · question"));
    assert!(found[1].starts_with("both bad · "));
    assert!(found[3].starts_with("A much better · "));
    assert!(desk.stage.screen().contains("History · all"));
}

#[test]
fn the_list_can_be_filtered_and_searched() {
    let mut desk = Desk::new(items(6));
    desk.press("1 5 b 9 F 1 <enter> 2 H f");
    assert_eq!(desk.found().len(), 3);
    desk.press("f");
    assert!(desk.found()[0].starts_with("tie"));
    desk.press("f f f f f");
    assert_eq!(desk.found().len(), 1, "flagged");
    desk.press("f /");
    desk.stage.write("MUCH better");
    assert_eq!(desk.found().len(), 2);
    desk.press("<enter>");
    assert_eq!(desk.found().len(), 2);
    desk.press("/ <esc>");
    assert_eq!(desk.found().len(), 5);
}

#[test]
fn a_judgement_is_changed_by_a_record_that_supersedes_it() {
    let mut desk = Desk::new(items(3));
    desk.press("1 5 H j <enter>");
    assert_eq!(
        desk.stage.app.hint,
        "judged before: A much better · judge again, or Esc leaves it"
    );
    desk.press("8");
    assert_eq!(desk.stage.app.hint, "selected: B better · Enter saves it");
    desk.press("<enter>");
    let records = desk.records();
    let [first, .., edit] = &records[1..] else {
        panic!()
    };
    assert_eq!(edit.supersedes, Some(first.id));
    assert_eq!(
        (edit.kind, edit.item.as_ref()),
        (Kind::Judgement, first.item.as_ref())
    );
    assert_eq!(
        (edit.outcome, edit.strength),
        (Some(Outcome::Prefer), Some(3))
    );
    assert_ne!(edit.winner, first.winner);
    assert_eq!(
        (desk.stage.app.judged(), desk.stage.app.queue.len()),
        (2, 1)
    );
    assert_eq!(desk.stage.app.message, "changed to: B better · u undo");
    desk.press("H");
    assert_eq!(desk.found().len(), 2);
    assert!(desk.found()[0].starts_with("B better"));
}

#[test]
fn a_change_can_be_taken_back_and_made_again() {
    let mut desk = Desk::new(items(3));
    desk.press("1 H <enter> 8 <enter> u H");
    assert!(desk.found()[0].starts_with("A much better"));
    desk.press("<esc> U H");
    assert!(desk.found()[0].starts_with("B better"));
    desk.press("<esc> u u H");
    assert_eq!(desk.stage.app.queue.len(), 3);
    assert_eq!(desk.stage.app.hint, "Nothing was judged yet.");
}

#[test]
fn a_comment_is_added_to_a_judgement_that_stays() {
    let mut desk = Desk::new(items(2));
    desk.press("1 H c");
    desk.stage.write("second thought");
    desk.press("<enter> <enter>");
    let records = desk.records();
    let (first, edit) = (&records[1], &records[2]);
    assert_eq!(edit.note.as_deref(), Some("second thought"));
    assert_eq!(
        (edit.supersedes, &edit.winner, edit.strength),
        (Some(first.id), &first.winner, Some(4))
    );
}

#[test]
fn what_was_begun_on_the_pair_at_hand_is_kept_meanwhile() {
    let mut desk = Desk::new(items(3));
    desk.press("1 c");
    desk.stage.write("begun");
    desk.press("<enter>");
    let at_hand = Rc::clone(desk.stage.app.pair().unwrap());
    desk.press("H <enter>");
    assert!(!desk.stage.app.pair().unwrap().is(&at_hand));
    assert_eq!(desk.stage.app.remarks.note, "");
    desk.press("<esc>");
    assert!(desk.stage.app.pair().unwrap().is(&at_hand));
    assert_eq!(desk.stage.app.remarks.note, "begun");
    desk.press("H <enter> 9 <enter>");
    assert_eq!(desk.stage.app.remarks.note, "begun");
}

#[test]
fn a_pair_that_was_skipped_is_judged_after_all() {
    let mut desk = Desk::new(items(2));
    desk.press("s 1 H <enter> > s 7 <enter>");
    let records = desk.records();
    assert_eq!(records.len(), 3);
    assert_eq!(
        (records[2].kind, records[2].supersedes),
        (Kind::Judgement, None)
    );
    assert_eq!(desk.stage.app.judged(), 1);
}

#[test]
fn a_ranking_and_everything_said_beside_it_come_back_from_the_file() {
    let answers = ["Paris", "Bread", "Rome"];
    let mut desk = Desk::new(vec![item(PromptText::Text("A city?".into()), &answers)]);
    desk.press("2 3 1 F 2 <enter> <enter>");
    let record = &desk.records()[1];
    let pair = &desk.stage.drafts[0].pair;
    let groups = [2, 0, 1].map(|side| vec![pair.answer(side).id.clone()]);
    assert_eq!(record.ranking, Some(groups.to_vec()));
    assert_eq!(record.winner, Some(pair.answer(2).id.clone()));
    assert_eq!((record.scale, record.strength), (Some(Scale::KWay), None));
    assert_eq!(record.flags, ["off-topic"]);
    desk.press("H <enter>");
    assert_eq!(desk.stage.app.ranks().describe(), "C > A > B");
    assert_eq!(desk.stage.app.remarks.flags, ["off-topic"]);
    desk.press("1 = <enter>");
    assert_eq!(desk.records()[2].ranking.as_ref().map(Vec::len), Some(1));
    assert_eq!(desk.records()[2].outcome, Some(Outcome::Tie));
}

#[test]
fn undo_waits_until_an_open_entry_is_left() {
    let mut desk = Desk::new(items(4));
    desk.press("c");
    desk.stage.write("first");
    desk.press("<enter> 1 5 H <enter> 8 <enter>");
    let written = desk.records().len();
    // The first entry is open with its comment; the pair at hand must not get it.
    desk.press("H j <enter> u U");
    assert_eq!(desk.stage.app.hint, "Esc leaves this entry first.");
    assert_eq!(desk.records().len(), written);
    desk.press("<esc> 3");
    assert_eq!(
        desk.records().last().unwrap().note.as_deref().unwrap_or(""),
        ""
    );
}

#[test]
fn a_search_fits_the_text_that_is_shown_after_the_history_was_left() {
    let texts = |n: usize| [format!("**{n}** and a needle"), format!("*{n}* none")];
    let items = (0..2).map(|i| {
        let [a, b] = texts(i);
        item(PromptText::Text(format!("question {i}")), &[&a, &b])
    });
    let mut desk = Desk::new(items.collect());
    desk.press("7 /");
    desk.stage.write("needle");
    desk.press("<enter> H <enter> m <esc>");
    let app = &desk.stage.app;
    assert!(app.view.markdown && app.revision.is_none());
    assert_eq!(reversed(&desk.stage), ["needle"]);
}
