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
use crate::model::{Decoder, Parameters, TokenBatch};

/// Numbers in one chunk of logits: 32 MB in f32.
pub const CHUNK_ELEMENTS: usize = 1 << 23;

/// The tokens whose log-probabilities are wanted.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Flat index of the hidden state that predicts each token.
    pub at: Vec<usize>,
    /// The tokens.
    pub labels: Vec<u32>,
}

impl Targets {
    /// Of hidden states of all tokens `[batch · time, hidden]` those that predict the targets, `[targets, hidden]`.
    pub fn states(&self, hidden: Tensor<2>) -> Tensor<2> {
        let at = indices(self.at.iter().copied(), &hidden.device());
        hidden.select(0, at)
    }
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
/// `states`: `[labels, hidden]`, without autodiff.
pub fn logprobs(
    decoder: &Decoder,
    states: &Tensor<2>,
    labels: &[u32],
    temperature: f64,
) -> TargetLogprobs {
    let mut result = TargetLogprobs::default();
    for range in chunks(labels.len(), decoder.config.vocab_size) {
        let states = states.clone().slice([range.clone()]);
        let labels = label_tensor(&labels[range], &states);
        let tokens = logprob::forward(decoder.logits(states), labels, temperature);
        result
            .logprobs
            .extend(tokens.logprobs.into_data().iter::<f32>());
        result
            .entropies
            .extend(tokens.entropies.into_data().iter::<f32>());
    }
    result
}

/// What a loss over targets says about hidden states and head.
#[derive(Debug)]
pub struct HeadPass {
    /// ∂L/∂h of each target's hidden state, `[targets, hidden]`, without autodiff.
    states_gradient: Tensor<2>,
    /// ∂L/∂W of the head, `[vocabulary, hidden]`; none when it isn't trained.
    head_gradient: Option<Tensor<2>>,
}

impl HeadPass {
    /// Forward and backward through the head. `loss` gets a range of targets, their log-probabilities and their entropies, all
    /// without history, and returns ∂L/∂logp; it is called once per chunk, in order.
    ///
    /// # Shapes
    /// `states`: `[targets, hidden]`, tracked, from [`Targets::states`].
    pub fn new(
        model: &Decoder,
        states: &Tensor<2>,
        targets: &Targets,
        temperature: f64,
        mut loss: impl FnMut(Range<usize>, Tensor<1>, Tensor<1>) -> Tensor<1>,
    ) -> Self {
        let plain = states.clone().inner();
        let (mut head_gradient, mut state_gradients) = (None, Vec::new());
        for range in chunks(targets.at.len(), model.config.vocab_size) {
            let states = plain.clone().slice([range.clone()]);
            let labels = label_tensor(&targets.labels[range.clone()], &states);
            let logits = model.logits(states.clone());
            let known = logprob::forward(logits.clone(), labels.clone(), temperature);
            let gradient = loss(range, known.logprobs, known.entropies);
            let gradient =
                logprob::backward(logits, labels, temperature, known.log_normalisers, gradient);
            state_gradients.push(model.logits_input_gradient(gradient.clone()));
            if model.trains_head() {
                let mine = model.logits_weight_gradient(gradient, states);
                head_gradient = Some(match head_gradient {
                    Some(sum) => sum + mine,
                    None => mine,
                });
            }
        }
        Self {
            states_gradient: Tensor::cat(state_gradients, 0),
            head_gradient,
        }
    }

    /// A scalar whose gradient with respect to `states` is the loss's: Σ h · ∂L/∂h.
    pub fn surrogate(&self, states: Tensor<2>) -> Tensor<1> {
        (states * self.states_gradient.clone().autodiff()).sum()
    }

    /// Adds the head's gradient under its name, after `prefix`.
    pub fn add_head_gradient(self, model: &Decoder, prefix: &str, gradients: &mut GradientMap) {
        if let Some(gradient) = self.head_gradient {
            gradients.add(&format!("{prefix}{}", model.head_name()), gradient);
        }
    }
}

/// The gradients of a loss over targets with respect to the trained tensors of `model`; `loss` as in [`HeadPass::new`].
pub fn gradients(
    model: &Decoder,
    tokens: &TokenBatch,
    targets: &Targets,
    temperature: f64,
    loss: impl FnMut(Range<usize>, Tensor<1>, Tensor<1>) -> Tensor<1>,
) -> GradientMap {
    let mut tracked = model.tracked();
    let states = targets.states(tracked.hidden(tokens));
    let pass = HeadPass::new(model, &states, targets, temperature, loss);
    let mut gradients = tracked.gradients(pass.surrogate(states).backward());
    pass.add_head_gradient(model, "", &mut gradients);
    gradients
}

fn chunks(count: usize, vocabulary: usize) -> impl Iterator<Item = Range<usize>> {
    let size = (CHUNK_ELEMENTS / vocabulary).max(1);
    (0..count)
        .step_by(size)
        .map(move |start| start..count.min(start + size))
}

fn label_tensor(labels: &[u32], like: &Tensor<2>) -> Tensor<1, Int> {
    indices(labels.iter().map(|&id| id as usize), &like.device())
}
