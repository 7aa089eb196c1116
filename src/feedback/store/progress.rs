//! How far the others are: as much of their files as dividing the work needs.
//!
//! Twenty annotators' files are a hundred megabytes of which this needs three fields a line, so a line
//! is read up to its item and no further, and no hash is computed. Nothing is concluded from it
//! but who judges what next: a line that cannot be read, such as one that is just being written,
//! is passed over here, and is an error for whoever loads that annotator's history.

use super::history::History;
use super::load::session_files;
use super::{StoreError, annotator_folder, annotators};
use crate::cores::cores;
use crate::feedback::queue::roster::{Answer, Progress};
use crate::feedback::record::Kind;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::thread;
use ulid::Ulid;

/// The progress of everybody in `feedback`: of the owner of `mine` from memory, of all others from
/// their files, which are shared out over the cores.
///
/// # Errors
/// [`StoreError`] for a folder or file that cannot be read.
pub fn progress(feedback: &Path, mine: &History) -> Result<Vec<Progress>, StoreError> {
    let mut others = annotators(feedback)?;
    others.retain(|name| *name != mine.annotator);
    let threads = cores();
    let share = others.len().div_ceil(threads).max(1);
    let mut all = vec![of_history(mine)];
    thread::scope(|scope| {
        let read = |names: &[String]| -> Result<Vec<Progress>, StoreError> {
            names.iter().map(|name| of_files(feedback, name)).collect()
        };
        let shares: Vec<_> = others
            .chunks(share)
            .map(|names| scope.spawn(move || read(names)))
            .collect();
        for share in shares {
            match share.join() {
                Ok(progress) => all.extend(progress?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}

fn of_history(history: &History) -> Progress {
    let mut progress = Progress {
        annotator: history.annotator.clone(),
        last_ms: history.events().iter().map(|e| e.id.timestamp_ms()).max(),
        ..Progress::default()
    };
    for event in history.all_effective() {
        if let (Some(item), Some(answer)) = (&event.item, answer(event.kind, event.id)) {
            note(&mut progress.answers, item, answer);
        }
    }
    progress
}

fn of_files(feedback: &Path, annotator: &str) -> Result<Progress, StoreError> {
    let mut heads = Vec::new();
    for (_, path) in session_files(&annotator_folder(feedback, annotator)?)? {
        read_heads(&path, &mut heads).map_err(StoreError::io(&path))?;
    }
    let is_retract = |head: &&Head| head.kind == Some(Kind::Retract);
    let retracts = heads.iter().filter(is_retract);
    let retracted: HashSet<Ulid> = retracts.filter_map(|head| head.supersedes).collect();
    let mut answers = HashMap::new();
    for head in &heads {
        let (Some(kind), Some(id), Some(item)) = (head.kind, head.id, &head.item) else {
            continue;
        };
        if let (Some(answer), false) = (answer(kind, id), retracted.contains(&id)) {
            note(&mut answers, item, answer);
        }
    }
    let times = heads.iter().filter_map(|head| head.id);
    Ok(Progress {
        annotator: annotator.to_owned(),
        answers,
        last_ms: times.map(|id| id.timestamp_ms()).max(),
    })
}

/// A judgement stays one when the item's repeat is skipped.
fn note(answers: &mut HashMap<String, Answer>, item: &str, answer: Answer) {
    let known = answers.entry(item.to_owned()).or_insert(answer);
    if answer.judged || !known.judged {
        *known = answer;
    }
}

fn answer(kind: Kind, id: Ulid) -> Option<Answer> {
    let judged = match kind {
        Kind::Judgement => true,
        Kind::Skip => false,
        _ => return None,
    };
    let ms = id.timestamp_ms();
    Some(Answer { judged, ms })
}

fn read_heads(path: &Path, heads: &mut Vec<Head>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 18, File::open(path)?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        heads.push(Head::of(&line));
        line.clear();
    }
    Ok(())
}

/// The beginning of a line. The store writes `supersedes` before `item`.
#[derive(Default)]
struct Head {
    kind: Option<Kind>,
    id: Option<Ulid>,
    supersedes: Option<Ulid>,
    item: Option<String>,
}

impl Head {
    fn of(line: &[u8]) -> Self {
        let mut head = Self::default();
        let mut json = serde_json::Deserializer::from_slice(line);
        // It always ends with an error: after the item on purpose, before it if the line is damaged.
        let _ = json.deserialize_map(&mut head);
        head
    }
}

impl<'de> Visitor<'de> for &mut Head {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "kind" => self.kind = map.next_value()?,
                "id" => self.id = map.next_value()?,
                "supersedes" => self.supersedes = map.next_value()?,
                "item" => {
                    self.item = map.next_value()?;
                    return Err(A::Error::custom("the rest is not needed"));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::queue::tests::item;
    use crate::feedback::record::{Origin, Purpose, Scale};
    use crate::feedback::store::decision::{Decision, Shown, Verdict};
    use crate::feedback::store::session::Session;
    use crate::feedback::store::stamps::Stamps;

    #[test]
    fn others_are_read_as_from_their_history() {
        let dir = tempfile::tempdir().unwrap();
        let items: Vec<_> = (0..6).map(item).collect();
        let shown = |n: usize| Shown {
            item: &items[n],
            slot: 0,
            purpose: Purpose::Train,
            origin: Origin::Import,
            display: None,
            time: None,
        };
        let tie = || Decision::new(Verdict::Tie, Scale::Nine);
        let mut session = Session::open(dir.path(), "bob", Stamps::system()).unwrap();
        let first = session.judge(&shown(0), tie()).unwrap();
        session.judge(&shown(1), tie()).unwrap();
        session.skip(&shown(2), None).unwrap();
        session.defer(&shown(3), None).unwrap();
        session.retract(first).unwrap();
        session.judge(&shown(4), tie()).unwrap();
        session.undo().unwrap();
        let expected = of_history(session.history());
        session.close().unwrap();

        let ann = Session::open(dir.path(), "ann", Stamps::system()).unwrap();
        let all = progress(dir.path(), ann.history()).unwrap();
        assert_eq!(all[0].annotator, "ann");
        assert_eq!(all[1].answers, expected.answers);
        let judged = |n: usize| all[1].answers.get(&items[n].id).map(|a| a.judged);
        let told: Vec<_> = (0..6).map(judged).collect();
        assert_eq!(told, [None, Some(true), Some(false), None, None, None]);
        assert!(all[1].last_ms >= expected.last_ms);
    }
}
