//! Decoding on the CPU: our own forward pass over packed weights, with rows that come and go.
//!
//! Every row has a slot of the cache and a position of its own, so rows need no padding; a row that is complete gives its slot to the next
//! request at once (Yu et al. 2022, *Orca*: iteration-level scheduling). A prompt, or a long beginning of one, that a slot
//! has read already is copied from there. All of it changes only the speed: a row's numbers do not depend on its neighbours
//! (see [`kernels`](crate::kernels)), and every request has random numbers of its own.

mod activation;
mod cache;
mod forward;
mod heads;
mod rows;
mod schedule;
mod weights;

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::kernels::{Team, cores};
use crate::model::Decoder;
use crate::model::workers::side_by_side;

use self::cache::Cache;
use self::forward::Workspace;
use self::schedule::Schedule;
use self::weights::Weights;
use super::engine::{Completion, GenerateError, Listener, Request, Settings, check};
use super::sampler::{Drawn, Sampler};

/// Most tokens of prompts that are read in one pass, beside a token of every row that is answering.
const PROMPT_TOKENS: usize = 512;

/// Products in a pass, from which on two threads are faster than one although they wait for each other in every layer.
const WORTH_A_TEAM: usize = 6_000_000;

/// Products of a token, up to which each core decodes rows of its own: so small a model stays in the cores' caches, and nobody waits.
const SIDE_BY_SIDE: usize = 1 << 24;

/// Decodes all requests; see [`generate`](super::generate). The decoder must be on the CPU.
pub(super) fn generate(
    decoder: &Decoder,
    requests: &[Request],
    settings: Settings<'_>,
    listener: &mut dyn Listener,
) -> Result<Vec<Completion>, GenerateError> {
    check(decoder, requests)?;
    settings.sampler.validate()?;
    let weights = Weights::of(decoder);
    let cores = cores();
    let workers = if weights.numbers <= SIDE_BY_SIDE {
        cores
    } else {
        1
    };
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&index| &requests[index].prompt); // those that begin alike together
    let everybody = Mutex::new(Everybody {
        listener,
        finished: 0,
        stopped: false,
    });
    let rows = settings.batch_size.div_ceil(workers);
    let parts: Vec<&[usize]> = order.chunks(order.len().div_ceil(workers).max(1)).collect();
    let work = |part: &[usize]| {
        let mut listener = OneOf(&everybody);
        let schedule = Schedule::new(decoder, requests, part, rows, settings);
        run(decoder, &weights, schedule, cores / workers, &mut listener)
            .inspect_err(|_| lock(&everybody).stopped = true)
    };
    let mut done: Vec<Option<Completion>> = vec![None; requests.len()];
    let mut results = side_by_side(&parts, work);
    // Who has failed has stopped the others.
    let failed =
        |result: &_| matches!(result, Err(error) if !matches!(error, GenerateError::Stopped));
    if let Some(failed) = results.iter().position(failed) {
        results.swap(0, failed);
    }
    for (part, completions) in parts.iter().zip(results) {
        for (&request, completion) in part.iter().zip(completions?) {
            done[request] = Some(completion);
        }
    }
    Ok(done.into_iter().flatten().collect())
}

/// Decodes a part of the requests; their responses are in the part's order.
fn run(
    decoder: &Decoder,
    weights: &Weights,
    mut schedule: Schedule<'_>,
    threads: usize,
    listener: &mut dyn Listener,
) -> Result<Vec<Completion>, GenerateError> {
    let mut team = Team::new(threads)?;
    let (slots, capacity) = (schedule.slots(), schedule.capacity());
    let mut cache = Cache::new(&decoder.config, slots, capacity)?;
    let mut workspace = Workspace::new(weights, slots + PROMPT_TOKENS, slots, capacity);
    let sampler = schedule.settings().sampler;
    let samplers = (0..team.count()).map(|_| Sampler::new(sampler).map(Mutex::new));
    let samplers = samplers.collect::<Result<Vec<_>, _>>()?;
    while schedule.next(&mut cache, PROMPT_TOKENS) {
        if listener.stop() {
            return Err(GenerateError::Stopped);
        }
        let (tokens, wanted) = (&schedule.tokens, &schedule.wanted);
        let pass = workspace.pass(weights, cache.shared(), tokens, wanted);
        if weights.numbers * tokens.len() < WORTH_A_TEAM {
            team.alone(|member| pass.run(member));
        } else {
            team.run(|member| pass.run(member));
        }
        let logits = workspace.logits.chunks(weights.vocabulary);
        let wanted = logits.zip(workspace.states.chunks(weights.hidden));
        let drawn = schedule.draw(&mut team, &samplers, wanted);
        schedule.take(drawn, listener)?;
    }
    Ok(schedule.finished())
}

/// The listener of all workers.
struct Everybody<'l> {
    listener: &'l mut dyn Listener,
    finished: usize,
    /// One has failed, so the others' answers are of no use.
    stopped: bool,
}

/// One worker's way to the listener.
struct OneOf<'m, 'l>(&'m Mutex<Everybody<'l>>);

impl Listener for OneOf<'_, '_> {
    fn token(&mut self, request: usize, id: u32) {
        lock(self.0).listener.token(request, id);
    }

    fn finished(&mut self, _: usize, total: usize) {
        let everybody = &mut *lock(self.0);
        everybody.finished += 1;
        everybody.listener.finished(everybody.finished, total);
    }

    fn stop(&self) -> bool {
        let everybody = lock(self.0);
        everybody.stopped || everybody.listener.stop()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a row's logits gave.
type Draw = Result<Drawn, GenerateError>;
