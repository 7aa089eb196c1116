//! Which request is in which slot, and what each slot reads next.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use rand_chacha::ChaCha8Rng;

use crate::generate::engine::{
    Completion, FinishReason, GenerateError, Listener, Request, Settings, Trace,
};
use crate::generate::sampler::{Sampler, stream};
use crate::kernels::{Member, Team};
use crate::model::Decoder;

use super::cache::Cache;
use super::forward::Token;
use super::{Draw, lock};

/// A beginning that two prompts share is worth waiting for, and copying, from so many tokens on.
const WORTH_SHARING: usize = 16;

/// A response in the making.
#[derive(Debug)]
struct Row<'a> {
    request: usize,
    prompt: &'a [u32],
    /// Tokens whose keys and values are in the cache.
    read: usize,
    budget: usize,
    rng: ChaCha8Rng,
    ids: Vec<u32>,
    logprobs: Vec<f32>,
    trace: Option<Trace>,
}

/// What is known already of a prompt.
enum Beginning {
    /// Nothing.
    New,
    /// So many tokens, in a slot.
    In { from: usize, tokens: usize },
    /// A slot is reading it just now, so waiting a step is worth it.
    BeingRead,
}

/// All requests: those that wait, those in slots, those complete.
#[derive(Debug)]
pub(super) struct Schedule<'a> {
    requests: &'a [Request],
    part: &'a [usize],
    settings: Settings<'a>,
    context: usize,
    waiting: VecDeque<usize>,
    slots: Vec<Option<Row<'a>>>,
    /// The prompt that is still in the cache of a slot, and how much of it.
    left: Vec<(&'a [u32], usize)>,
    done: Vec<Option<Completion>>,
    finished: usize,
    /// What the next pass reads: a slot's tokens together.
    pub tokens: Vec<Token>,
    /// After which of them logits are wanted: one of a slot.
    pub wanted: Vec<usize>,
}

impl<'a> Schedule<'a> {
    /// For the requests `part`, of which equal prompts, and prompts that begin alike, stand together; `rows` are decoded together.
    pub(super) fn new(
        decoder: &Decoder,
        requests: &'a [Request],
        part: &'a [usize],
        rows: usize,
        settings: Settings<'a>,
    ) -> Self {
        let slots = rows.clamp(1, part.len().max(1));
        Self {
            requests,
            part,
            settings,
            context: decoder.config.max_position_embeddings,
            waiting: part.iter().copied().collect(),
            slots: (0..slots).map(|_| None).collect(),
            left: vec![(&[], 0); slots],
            done: vec![None; requests.len()],
            finished: 0,
            tokens: Vec::new(),
            wanted: Vec::new(),
        }
    }

    /// What is the same for all requests.
    pub(super) fn settings(&self) -> Settings<'a> {
        self.settings
    }

    /// Rows decoded together.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Most tokens that a slot may hold.
    pub(super) fn capacity(&self) -> usize {
        let length = |request: &Request| request.prompt.len() + self.budget(request);
        let lengths = self.part.iter().map(|&index| length(&self.requests[index]));
        lengths.max().unwrap_or(0)
    }

    fn budget(&self, request: &Request) -> usize {
        let room = self.context.saturating_sub(request.prompt.len());
        room.min(self.settings.sampler.max_new_tokens)
    }

    /// Fills free slots and decides what the next pass reads: a token of every row that answers, and at most `prompt_tokens` of prompts.
    /// False if all is done.
    pub(super) fn next(&mut self, cache: &mut Cache, prompt_tokens: usize) -> bool {
        self.fill(cache);
        self.tokens.clear();
        self.wanted.clear();
        let mut room = prompt_tokens;
        for (slot, row) in self.slots.iter_mut().enumerate() {
            let Some(row) = row else { continue };
            let known = row.prompt.len() + row.ids.len();
            let answering = !row.ids.is_empty();
            let count = (known - row.read).min(if answering { 1 } else { room });
            room -= if answering { 0 } else { count };
            let token = |position: usize| Token {
                id: match row.prompt.get(position) {
                    Some(&id) => id,
                    None => row.ids[position - row.prompt.len()],
                },
                slot,
                position,
            };
            self.tokens.extend((row.read..row.read + count).map(token));
            row.read += count;
            if count > 0 && row.read == known {
                self.wanted.push(self.tokens.len() - 1);
            }
            self.left[slot] = (row.prompt, row.read.min(row.prompt.len()));
        }
        !self.tokens.is_empty()
    }

    fn fill(&mut self, cache: &mut Cache) {
        for slot in 0..self.slots.len() {
            if self.slots[slot].is_some() {
                continue;
            }
            let Some(&request) = self.waiting.front() else {
                return;
            };
            let read = match self.beginning(request, slot) {
                Beginning::New => 0,
                Beginning::In { from, tokens } => {
                    if from != slot {
                        cache.share_prefix(from, slot, tokens);
                    }
                    tokens
                }
                Beginning::BeingRead => return,
            };
            self.waiting.pop_front();
            self.slots[slot] = Some(self.row(request, read));
            self.left[slot] = (&self.requests[request].prompt, read);
        }
    }

    /// Where the beginning of a request's prompt is, if any slot has read enough of it.
    fn beginning(&self, request: usize, own: usize) -> Beginning {
        let prompt = &self.requests[request].prompt;
        let most = prompt.len() - 1; // the last token is read anew, for its logits
        let shared = |slot: usize| {
            let (theirs, read) = self.left[slot];
            let alike = prompt
                .iter()
                .zip(theirs)
                .take_while(|(a, b)| a == b)
                .count();
            (alike.min(most), read)
        };
        let candidates = (0..self.slots.len()).map(|slot| (slot, shared(slot)));
        // Of equals, the request's own slot: nothing to copy.
        let best = candidates.max_by_key(|&(slot, (alike, _))| (alike, slot == own));
        let Some((from, (alike, read))) = best else {
            return Beginning::New;
        };
        let being_read = self.slots[from]
            .as_ref()
            .is_some_and(|row| row.ids.is_empty());
        let worth_it = alike > 0 && (alike >= WORTH_SHARING || alike == most);
        if worth_it && read < alike && being_read {
            return Beginning::BeingRead;
        }
        match read.min(alike) {
            tokens if worth_it && tokens > 0 => Beginning::In { from, tokens },
            _ => Beginning::New,
        }
    }

    fn row(&self, request: usize, read: usize) -> Row<'a> {
        let Request {
            prompt,
            key,
            sample,
        } = &self.requests[request];
        Row {
            request,
            prompt,
            read,
            budget: self.budget(&self.requests[request]),
            rng: stream(self.settings.sampler.seed, *key, *sample),
            ids: Vec::new(),
            logprobs: Vec::new(),
            trace: self.settings.trace.then(Trace::default),
        }
    }

    /// Draws the next token of each wanted row, in their order; `outputs` are these rows' logits and hidden states.
    pub(super) fn draw<'o>(
        &mut self,
        team: &mut Team,
        samplers: &[Mutex<Sampler>],
        outputs: impl Iterator<Item = (&'o [f32], &'o [f32])> + Send,
    ) -> Vec<Draw> {
        let slots: Vec<usize> = self.wanted.iter().map(|&at| self.tokens[at].slot).collect();
        let rows = self.slots.iter_mut().enumerate();
        let rows = rows.filter(|(slot, _)| slots.contains(slot));
        let rows = rows.filter_map(|(_, row)| row.as_mut());
        let work = Mutex::new(rows.zip(outputs).enumerate());
        let next = || lock(&work).next();
        let drawn = Mutex::new(Vec::new());
        let draw = |member: Member<'_>| {
            let mut sampler = lock(&samplers[member.index]);
            while let Some((index, (row, (logits, state)))) = next() {
                let token = sampler.draw(logits, &mut row.rng);
                if let Some(trace) = &mut row.trace {
                    trace.entropies.push(sampler.entropy(logits));
                    trace.states.extend_from_slice(state);
                }
                lock(&drawn).push((index, token.map_err(GenerateError::from)));
            }
        };
        if slots.len() > 1 {
            team.run(draw);
        } else {
            team.alone(draw);
        }
        let mut drawn = drawn.into_inner().unwrap_or_else(PoisonError::into_inner);
        drawn.sort_by_key(|(index, _)| *index);
        drawn.into_iter().map(|(_, drawn)| drawn).collect()
    }

    /// Adds the tokens to their rows, and takes out the rows that are complete.
    pub(super) fn take(
        &mut self,
        drawn: Vec<Draw>,
        listener: &mut dyn Listener,
    ) -> Result<(), GenerateError> {
        let slots: Vec<usize> = self.wanted.iter().map(|&at| self.tokens[at].slot).collect();
        for (slot, drawn) in slots.into_iter().zip(drawn) {
            let Some(mut row) = self.slots[slot].take() else {
                continue;
            };
            let drawn = drawn?;
            row.ids.push(drawn.id);
            row.logprobs.push(drawn.logprob);
            if listener.stop() {
                return Err(GenerateError::Stopped);
            }
            listener.token(row.request, drawn.id);
            if self.settings.stop_ids.contains(&drawn.id) {
                self.complete(row, FinishReason::Stop, listener);
            } else if row.ids.len() == row.budget {
                self.complete(row, FinishReason::Length, listener);
            } else {
                self.slots[slot] = Some(row);
            }
        }
        Ok(())
    }

    fn complete(&mut self, row: Row<'_>, finish_reason: FinishReason, listener: &mut dyn Listener) {
        self.done[row.request] = Some(Completion {
            ids: row.ids,
            logprobs: row.logprobs,
            finish_reason,
            trace: row.trace,
        });
        self.finished += 1;
        listener.finished(self.finished, self.done.len());
    }

    /// The responses, in the part's order.
    pub(super) fn finished(mut self) -> Vec<Completion> {
        let part = self.part.iter();
        part.filter_map(|&request| self.done[request].take())
            .collect()
    }
}
