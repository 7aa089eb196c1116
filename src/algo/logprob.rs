//! Log-probability and entropy of tokens, from logits.
//!
//! [`forward`] and [`backward`] are the two halves of the chunked head: the trainer computes the
//! logits of a few tokens at a time, takes their log-probabilities, and later recomputes the same
//! logits to get the gradient. So neither all logits nor burn's graph over them ever exist; the
//! backward of `gather`, which would allocate a second tensor of the logits' size, is never run.

mod by_row;
mod row;

use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor};

use super::host;

/// What [`forward`] knows about each token.
#[derive(Clone, Debug)]
pub struct TokenLogprobs<const D: usize> {
    /// log softmax(z/T)\[label\], in nats.
    pub logprobs: Tensor<D>,
    /// −Σ p·log p of softmax(z/T), in nats.
    pub entropies: Tensor<D>,
    /// log Σ exp(z/T): what [`backward`] needs to find the probabilities again.
    pub log_normalisers: Tensor<D>,
}

/// Log-probability of each label and entropy of its distribution, at a sampling temperature T.
///
/// log p(a) = z_a/T − log Σ_j exp(z_j/T);  H = log Σ_j exp(z_j/T) − Σ_j p_j·z_j/T.
/// Without gradient where the logits carry no autodiff, which is what it is made for.
///
/// # Shapes
/// `logits`: `[tokens, vocabulary]`; `labels` and the results: `[tokens]`.
/// # Units
/// Nats.
/// # Panics
/// If the shapes differ, or a label is outside the vocabulary.
pub fn forward(logits: Tensor<2>, labels: Tensor<1, Int>, temperature: f64) -> TokenLogprobs<1> {
    assert_eq!(
        labels.dims(),
        [logits.dims()[0]],
        "one label per row of logits"
    );
    if by_row_pays(&logits) {
        by_row::forward(logits, labels, temperature)
    } else {
        forward_by_tensors(logits, labels, temperature)
    }
}

fn forward_by_tensors(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    temperature: f64,
) -> TokenLogprobs<1> {
    let scaled = tempered(logits, temperature);
    let largest = scaled.clone().detach().max_dim(1);
    let shifted = scaled - largest.clone();
    let weights = shifted.clone().exp();
    let total = weights.clone().sum_dim(1);
    let log_total = total.clone().log();
    let logprobs = shifted.clone().gather(1, labels.unsqueeze_dim::<2>(1)) - log_total.clone();
    let expected = (weights * shifted).sum_dim(1) / total;
    TokenLogprobs {
        logprobs: logprobs.squeeze_dim(1),
        entropies: (log_total.clone() - expected).squeeze_dim(1),
        log_normalisers: (log_total + largest).squeeze_dim(1),
    }
}

/// The gradient of a loss with respect to the logits, from its gradient with respect to the
/// log-probabilities.
///
/// ∂L/∂z_j = ∂L/∂logp · (1\[j = label\] − p_j) / T.
///
/// # Shapes
/// `logits` (the same as in [`forward`]) and the result: `[tokens, vocabulary]`; `labels`,
/// `log_normalisers` (from [`forward`]), `grad_logprobs`: `[tokens]`.
/// # Panics
/// If the shapes differ, or a label is outside the vocabulary.
pub fn backward(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    temperature: f64,
    log_normalisers: Tensor<1>,
    grad_logprobs: Tensor<1>,
) -> Tensor<2> {
    assert_eq!(
        labels.dims(),
        [logits.dims()[0]],
        "one label per row of logits"
    );
    if by_row_pays(&logits) {
        by_row::backward(logits, labels, temperature, log_normalisers, grad_logprobs)
    } else {
        backward_by_tensors(logits, labels, temperature, log_normalisers, grad_logprobs)
    }
}

fn backward_by_tensors(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    temperature: f64,
    log_normalisers: Tensor<1>,
    grad_logprobs: Tensor<1>,
) -> Tensor<2> {
    let grad = (grad_logprobs / temperature).unsqueeze_dim::<2>(1);
    let log_normalisers = log_normalisers.unsqueeze_dim::<2>(1);
    let probabilities = (tempered(logits, temperature) - log_normalisers).exp();
    (probabilities * -grad.clone()).scatter(
        1,
        labels.unsqueeze_dim::<2>(1),
        grad,
        IndexingUpdateOp::Add,
    )
}

/// Row by row on the CPU, which is several times faster there; by tensors on a GPU, for other
/// dtypes, and where burn is to find the gradient.
fn by_row_pays(logits: &Tensor<2>) -> bool {
    logits.dtype() == DType::F32 && !logits.is_autodiff() && host::owns(logits)
}

/// [`forward`] over a batch of sequences whose logits exist anyway: for inspection and evaluation.
///
/// # Shapes
/// `logits`: `[batch, time, vocabulary]`; `labels` and the results: `[batch, time]`.
/// # Units
/// Nats.
/// # Panics
/// If the shapes differ, or a label is outside the vocabulary.
pub fn token_logprobs(
    logits: Tensor<3>,
    labels: Tensor<2, Int>,
    temperature: f64,
) -> TokenLogprobs<2> {
    let [batch, time, vocabulary] = logits.dims();
    let tokens = batch * time;
    let flat = forward(
        logits.reshape([tokens, vocabulary]),
        labels.reshape([tokens]),
        temperature,
    );
    TokenLogprobs {
        logprobs: flat.logprobs.reshape([batch, time]),
        entropies: flat.entropies.reshape([batch, time]),
        log_normalisers: flat.log_normalisers.reshape([batch, time]),
    }
}

/// z/T; at T = 1 the logits themselves, saving a pass over them.
fn tempered(logits: Tensor<2>, temperature: f64) -> Tensor<2> {
    if temperature == 1.0 {
        logits
    } else {
        logits / temperature
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData, Tolerance, activation::log_softmax};

    use super::*;

    /// Two tokens over three words, one logit far beyond what exp can hold.
    #[test]
    fn logprob_and_entropy_by_hand() {
        let device = Device::flex();
        let logits =
            Tensor::<2>::from_floats([[0.0, 2.0_f32.ln(), 0.0], [500.0, 0.0, 0.0]], &device);
        let got = forward(logits, Tensor::from_ints([1, 0], &device), 1.0);
        let logprobs: Vec<f32> = got.logprobs.try_into_vec_as().unwrap();
        let entropies: Vec<f32> = got.entropies.try_into_vec_as().unwrap();
        // p = ¼, ½, ¼: H = 1.5 ln 2.
        assert!(
            (logprobs[0] - 0.5_f32.ln()).abs() < 1e-6 && logprobs[1] == 0.0,
            "{logprobs:?}"
        );
        assert!(
            (entropies[0] - 1.039_720_8).abs() < 1e-6 && entropies[1] < 1e-30,
            "{entropies:?}"
        );
    }

    #[test]
    fn the_gradient_by_hand_is_the_one_autodiff_finds() {
        let device = Device::flex().autodiff();
        let logits = Tensor::<2>::from_floats(
            [
                [0.3, -1.2, 2.5, 0.0],
                [1.0, 1.0, -3.0, 0.5],
                [-0.1, 0.2, 0.4, 8.0],
            ],
            &device,
        )
        .require_grad();
        let labels = Tensor::<1, Int>::from_ints([2, 0, 1], &device);
        let weights = Tensor::<1>::from_floats([1.0, -0.5, 0.25], &device);
        let temperature = 0.7;
        let reference = log_softmax(logits.clone() / temperature, 1)
            .gather(1, labels.clone().unsqueeze_dim::<2>(1))
            .squeeze_dim::<1>(1);
        let expected = logits
            .grad(&(reference * weights.clone()).sum().backward())
            .unwrap();

        let (logits, labels, weights) = (logits.inner(), labels.inner(), weights.inner());
        let norms = forward(logits.clone(), labels.clone(), temperature).log_normalisers;
        for backward in [by_row::backward as Backward, backward_by_tensors] {
            let (logits, labels) = (logits.clone(), labels.clone());
            let got = backward(logits, labels, temperature, norms.clone(), weights.clone());
            near(got, expected.clone());
        }
    }

    /// Enough rows to be shared out among cores.
    #[test]
    fn rows_and_tensors_agree_on_a_large_vocabulary() {
        let (tokens, vocabulary) = (11, 40_001);
        let numbers: Vec<f32> = (0..tokens * vocabulary)
            .map(|i| ((i * 7919) % 1013) as f32 * 0.01)
            .collect();
        let device = Device::flex();
        let logits =
            Tensor::<2>::from_data(TensorData::new(numbers, [tokens, vocabulary]), &device);
        let labels = Tensor::<1, Int>::arange(0..tokens as i64, &device) * 3000;
        let by_row = by_row::forward(logits.clone(), labels.clone(), 0.9);
        let by_tensors = forward_by_tensors(logits.clone(), labels.clone(), 0.9);
        near(by_row.logprobs, by_tensors.logprobs);
        near(by_row.entropies, by_tensors.entropies);
        near(by_row.log_normalisers.clone(), by_tensors.log_normalisers);

        let gradients = Tensor::<1, Int>::arange(0..tokens as i64, &device).float();
        let backward = |backward: Backward| {
            let (norms, gradients) = (by_row.log_normalisers.clone(), gradients.clone());
            backward(logits.clone(), labels.clone(), 0.9, norms, gradients)
        };
        near(backward(by_row::backward), backward(backward_by_tensors));
    }

    type Backward = fn(Tensor<2>, Tensor<1, Int>, f64, Tensor<1>, Tensor<1>) -> Tensor<2>;

    fn near<const D: usize>(got: Tensor<D>, expected: Tensor<D>) {
        let tolerance = Tolerance::rel_abs(1e-5, 1e-6);
        got.into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), tolerance);
    }
}
