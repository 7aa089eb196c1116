//! Decoding on the CPU: our own forward pass over packed weights, with rows that come and go.
//!
//! Every row has a slot of the cache and a position of its own, so rows need no padding; a row that is complete gives its slot to the next
//! request at once (Yu et al. 2022, *Orca*: iteration-level scheduling). A prompt, or a long beginning of one, that a slot
//! has read already is copied from there. All of it changes only the speed: a row's numbers do not depend on its neighbours
//! (see [`kernels`](crate::kernels)), and every request has random numbers of its own.

mod cache;
mod forward;
mod schedule;
mod weights;

use std::sync::Mutex;
use std::thread;

use crate::kernels::Team;
use crate::model::Decoder;

use self::cache::Cache;
use self::forward::Workspace;
use self::schedule::Schedule;
pub use self::weights::Weights;
use super::engine::{Completion, GenerateError, Listener, Request, Settings};
use super::sampler::{Drawn, Sampler};

/// Most tokens of prompts that are read in one pass, beside a token of every row that is answering.
const PROMPT_TOKENS: usize = 192;

/// Products in a pass, from which on two threads are faster than one although they wait for each other in every layer.
const WORTH_SHARING: usize = 6_000_000;

/// Decodes all requests; see [`generate`](super::generate).
pub(super) fn generate(
    decoder: &Decoder,
    weights: &Weights,
    requests: &[Request],
    settings: Settings<'_>,
    listener: &mut dyn Listener,
) -> Result<Vec<Completion>, GenerateError> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut team = Team::new(cores)?;
    let mut schedule = Schedule::new(decoder, requests, settings);
    let (slots, capacity) = (schedule.slots(), schedule.capacity());
    let mut cache = Cache::new(&decoder.config, slots, capacity);
    let mut workspace = Workspace::new(weights, slots + PROMPT_TOKENS, slots, capacity);
    let samplers = (0..team.count()).map(|_| Sampler::new(settings.sampler).map(Mutex::new));
    let samplers = samplers.collect::<Result<Vec<_>, _>>()?;
    while schedule.next(&mut cache, PROMPT_TOKENS) {
        if listener.stop() {
            return Err(GenerateError::Stopped);
        }
        let (tokens, wanted) = (&schedule.tokens, &schedule.wanted);
        let pass = workspace.pass(weights, cache.shared(), tokens, wanted);
        if weights.numbers * tokens.len() < WORTH_SHARING {
            team.alone(|member| pass.run(member));
        } else {
            team.run(|member| pass.run(member));
        }
        let drawn = schedule.draw(&mut team, &samplers, &workspace.logits, weights.vocabulary);
        schedule.take(drawn, listener)?;
    }
    Ok(schedule.finished())
}

/// What a row's logits gave.
type Draw = Result<Drawn, GenerateError>;
