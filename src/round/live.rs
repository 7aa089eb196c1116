//! Sampling in the background while a person judges.
//!
//! One thread draws all answers to a prompt in one go, puts the item on disk, and only then hands it
//! over. So a pair appears when both answers are complete, in the order of the prompts, and nothing
//! that a person can observe depends on which answer was longer in the making.
//!
//! Several sessions may fill one batch, as a session does for a moment with the one that it took over.
//! A prompt has one item in it all the same: whoever finishes second finds the first one's under the
//! file's lock, and hands that over.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use thiserror::Error;

use super::config::SampleConfig;
use super::sample::{Batch, SampleError, sample};
use crate::feedback::item::{BatchFile, Item, Prompt, SamplesError};
use crate::generate::engine::Listener;
use crate::model::LanguageModel;

/// Why no more items can be made.
#[derive(Debug, Error)]
pub enum LiveError {
    /// Sampling.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// The samples file.
    #[error(transparent)]
    Samples(#[from] SamplesError),
}

/// What items are made from.
pub struct Source {
    /// The policy.
    pub model: LanguageModel,
    /// Prompts, in order.
    pub prompts: Vec<Prompt>,
    /// Ids of the items that whoever takes them has already: they are not handed over.
    pub known: HashSet<String>,
    /// How answers are drawn.
    pub config: SampleConfig,
    /// Name of the items' file in `samples`, without `.jsonl`.
    pub batch: String,
    /// Round of the loop.
    pub round: u32,
    /// What to call the policy in the record.
    pub policy: String,
    /// The project's `samples/` folder.
    pub samples: PathBuf,
}

struct Silent;

impl Listener for Silent {}

impl Source {
    /// Starts; at most `ahead` items wait to be taken. The channel ends when there are no more
    /// prompts, or after one error in words; dropping the receiver ends the thread after the item it
    /// is at.
    pub fn start(self, ahead: usize) -> Receiver<Result<Item, String>> {
        let (sender, receiver) = sync_channel(ahead);
        thread::spawn(move || {
            if let Err(error) = self.run(&sender) {
                // A receiver that is gone wants to hear nothing.
                let _ = sender.send(Err(error.to_string()));
            }
        });
        receiver
    }

    fn run(&self, sender: &SyncSender<Result<Item, String>>) -> Result<(), LiveError> {
        let mut there = by_prompt(BatchFile::open(&self.samples, &self.batch)?.read()?);
        let mut known = self.known.clone();
        for prompt in &self.prompts {
            let items = match there.remove(&prompt.id) {
                Some(items) => items,
                None => self.make(prompt)?,
            };
            // A prompt may stand in its file twice.
            let new = items
                .into_iter()
                .filter(|item| known.insert(item.id.clone()));
            for item in new {
                if sender.send(Ok(item)).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The item of one prompt, on disk; none if the answers were all the same.
    fn make(&self, prompt: &Prompt) -> Result<Vec<Item>, LiveError> {
        let batch = Batch {
            name: &self.batch,
            round: self.round,
            policy: &self.policy,
        };
        let prompts = std::slice::from_ref(prompt);
        let sampled = sample(&self.model, prompts, &self.config, &batch, &mut Silent)?;
        Ok(put(&self.samples, &self.batch, sampled.items)?)
    }
}

fn by_prompt(items: Vec<Item>) -> HashMap<String, Vec<Item>> {
    let mut by_prompt: HashMap<String, Vec<Item>> = HashMap::new();
    for item in items {
        let id = item.prompt.id.clone();
        by_prompt.entry(id).or_default().push(item);
    }
    by_prompt
}

/// Puts the items of one prompt on disk, unless another session was faster: then it returns theirs.
/// Reading and appending are one step under the lock of the file.
fn put(samples: &Path, batch: &str, made: Vec<Item>) -> Result<Vec<Item>, SamplesError> {
    let Some(first) = made.first() else {
        return Ok(made);
    };
    let mut file = BatchFile::open(samples, batch)?;
    let there = by_prompt(file.read()?).remove(&first.prompt.id);
    if let Some(theirs) = there {
        return Ok(theirs);
    }
    file.append(&made)?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::item::{Candidate, PromptText, Selector, read_batch};

    /// What a session with this seed makes of a prompt.
    fn made(n: usize, seed: u64) -> Vec<Item> {
        let text = PromptText::Text(format!("question {n}"));
        let prompt = Prompt::new(Some(format!("q{n}")), text).unwrap();
        let answer = |side| Candidate::new(format!("{side} of {seed} on {n}"), "policy");
        let selector = Selector {
            name: "all".into(),
            score: None,
            seed,
        };
        let answers = ["one", "two"].map(answer).to_vec();
        vec![Item::new("live", 0, prompt, answers, selector).unwrap()]
    }

    #[test]
    fn sessions_that_fill_one_batch_at_once_agree_on_the_item_of_each_prompt() {
        let dir = tempfile::tempdir().unwrap();
        let session = |seed| {
            let prompts = 0..60;
            let items = prompts.map(|n| put(dir.path(), "live", made(n, seed)).unwrap());
            items.flatten().collect::<Vec<_>>()
        };
        let handed_over = thread::scope(|scope| {
            let sessions: Vec<_> = [1, 2, 3]
                .map(|seed| scope.spawn(move || session(seed)))
                .into();
            let items = sessions.into_iter().map(|session| session.join().unwrap());
            items.collect::<Vec<_>>()
        });
        let written = read_batch(&dir.path().join("live.jsonl")).unwrap();
        assert_eq!(written.len(), 60);
        let mut expected = written.clone();
        expected.sort_by_key(|item| item.prompt.id[1..].parse::<usize>().unwrap());
        for items in handed_over {
            assert_eq!(items, expected);
        }
    }

    #[test]
    fn answers_that_were_all_the_same_leave_no_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(put(dir.path(), "live", vec![]).unwrap(), []);
        assert!(!dir.path().join("live.jsonl").exists());
    }
}
