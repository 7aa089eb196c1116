//! The language-model head and its loss, a chunk of tokens at a time.
//!
//! Logits over a vocabulary of 50,000 are the largest tensor of training by far. Here they exist for a few tokens at once and only
//! for tokens whose log-probability is wanted; the gradient with respect to hidden states and head is written out by hand
//! (∂L/∂z = ∂L/∂logp · (onehot − softmax)/T) and handed to the trunk's backward pass as a linear surrogate.

use std::ops::Range;

use burn::tensor::{Int, Tensor};

use crate::algo::logprob;
use crate::model::parameters::GradientMap;
use crate::model::tokens::indices;
use crate::model::{Decoder, Parameters};

/// Numbers in one chunk of logits: 32 MB in f32.
const CHUNK_ELEMENTS: usize = 1 << 23;

/// The tokens whose log-probabilities are wanted.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Flat index of the hidden state that predicts each token.
    pub at: Vec<usize>,
    /// The tokens.
    pub labels: Vec<u32>,
}

/// Log-probability and entropy of each target, in nats.
#[derive(Debug, Clone, Default)]
pub struct TargetLogprobs {
    /// log p(label).
    pub logprobs: Vec<f32>,
    /// Entropy of the distribution it was drawn from.
    pub entropies: Vec<f32>,
}

/// Log-probabilities without a gradient.
///
/// # Shapes
/// `hidden`: `[batch · time, hidden]`, without autodiff.
pub fn logprobs(decoder: &Decoder, hidden: &Tensor<2>, targets: &Targets, temperature: f64) -> TargetLogprobs {
    let head = decoder.head_weight();
    let mut result = TargetLogprobs::default();
    for range in chunks(targets.at.len(), decoder.config.vocab_size) {
        let (states, labels) = chunk(hidden, targets, range);
        let logits = states.matmul(head.clone().transpose());
        let tokens = logprob::forward(logits, labels, temperature);
        result.logprobs.extend(tokens.logprobs.into_data().iter::<f32>());
        result.entropies.extend(tokens.entropies.into_data().iter::<f32>());
    }
    result
}

/// One forward and backward pass through trunk and head.
///
/// `loss` gets a range of targets and their log-probabilities (a leaf without history) and returns ∂L/∂logp; it is called once per
/// chunk, in order. `also` may add a scalar that depends on the tracked hidden states of the targets, such as a value loss.
///
/// Returns the gradients of the model's trained tensors.
pub fn backward(
    model: &Decoder,
    tokens: &crate::model::TokenBatch,
    targets: &Targets,
    temperature: f64,
    mut loss: impl FnMut(Range<usize>, Tensor<1>, Tensor<1>) -> Tensor<1>,
    also: impl FnOnce(Tensor<2>) -> Option<Tensor<1>>,
) -> GradientMap {
    let mut tracked = model.tracked();
    let hidden = tracked.hidden(tokens);
    let states = hidden.clone().select(0, indices(targets.at.iter().copied(), &hidden.device()));
    drop(hidden);
    let plain = states.clone().inner();
    let head = model.head_weight();
    let mut head_gradient: Option<Tensor<2>> = None;
    let mut state_gradients = Vec::new();
    for range in chunks(targets.at.len(), model.config.vocab_size) {
        let states = plain.clone().slice([range.clone()]);
        let labels = labels(targets, &range, &states);
        let logits = states.clone().matmul(head.clone().transpose());
        let known = logprob::forward(logits.clone(), labels.clone(), temperature);
        let gradient = loss(range, known.logprobs, known.entropies);
        let gradient = logprob::backward(logits, labels, temperature, known.log_normalisers, gradient);
        state_gradients.push(gradient.clone().matmul(head.clone()));
        if model.trains_head() {
            let mine = gradient.transpose().matmul(states);
            head_gradient = Some(match head_gradient {
                Some(sum) => sum + mine,
                None => mine,
            });
        }
    }
    let state_gradient = Tensor::cat(state_gradients, 0).autodiff();
    let mut surrogate = (states.clone() * state_gradient).sum();
    if let Some(extra) = also(states) {
        surrogate = surrogate + extra;
    }
    let mut gradients = tracked.gradients(surrogate.backward());
    if let Some(gradient) = head_gradient {
        gradients.add(model.head_name(), gradient);
    }
    gradients
}

fn chunks(count: usize, vocabulary: usize) -> impl Iterator<Item = Range<usize>> {
    let size = (CHUNK_ELEMENTS / vocabulary).max(1);
    (0..count).step_by(size).map(move |start| start..count.min(start + size))
}

fn chunk(hidden: &Tensor<2>, targets: &Targets, range: Range<usize>) -> (Tensor<2>, Tensor<1, Int>) {
    let at = indices(targets.at[range.clone()].iter().copied(), &hidden.device());
    let states = hidden.clone().select(0, at);
    let labels = labels(targets, &range, &states);
    (states, labels)
}

fn labels(targets: &Targets, range: &Range<usize>, like: &Tensor<2>) -> Tensor<1, Int> {
    indices(targets.labels[range.clone()].iter().map(|&id| id as usize), &like.device())
}
