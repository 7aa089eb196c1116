//! Sampling in the background while a person judges.
//!
//! One thread draws all answers to a prompt in one go, puts the item on disk, and only then hands it
//! over. So a pair appears when both answers are complete, in the order of the prompts, and nothing
//! that a person can observe depends on which answer was longer in the making.

use std::collections::HashSet;
use std::path::PathBuf;
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
    /// Prompts, in order; those that have an item already are left out at the start.
    pub prompts: Vec<Prompt>,
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
        // The session that was taken over may have gone on until a moment ago.
        let there = BatchFile::open(&self.samples, &self.batch)?.read()?;
        let answered: HashSet<&str> = there.iter().map(|item| item.prompt.id.as_str()).collect();
        let open = |prompt: &&Prompt| !answered.contains(prompt.id.as_str());
        for prompt in self.prompts.iter().filter(open) {
            for item in self.make(prompt)? {
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
        if !sampled.items.is_empty() {
            BatchFile::open(&self.samples, &self.batch)?.append(&sampled.items)?;
        }
        Ok(sampled.items)
    }
}
