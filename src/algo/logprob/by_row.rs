//! Log-probabilities on the CPU: each row by itself, the rows shared out among the cores.

use burn::tensor::{Int, Tensor, TensorData};

use super::{TokenLogprobs, row};
use crate::algo::host;

pub(super) fn forward(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    temperature: f64,
) -> TokenLogprobs<1> {
    let ([tokens, vocabulary], device) = (logits.dims(), logits.device());
    let logits = logits.into_data();
    let Ok(values) = logits.as_slice::<f32>() else {
        unreachable!("by_row_pays() saw f32")
    };
    let labels = indices(labels);
    let mut results: [Vec<f32>; 3] = std::array::from_fn(|_| vec![0.0; tokens]);
    let rows = rows_per_piece(tokens, vocabulary);
    let [logprobs, entropies, log_normalisers] = &mut results;
    let outputs = logprobs.chunks_mut(rows).zip(entropies.chunks_mut(rows));
    let outputs = outputs.zip(log_normalisers.chunks_mut(rows));
    let inputs = values.chunks(rows * vocabulary).zip(labels.chunks(rows));
    host::for_each(
        inputs.zip(outputs),
        |((values, labels), ((logprobs, entropies), norms))| {
            for (i, logits) in values.chunks(vocabulary).enumerate() {
                let row = row::forward(logits, labels[i], temperature);
                (logprobs[i], entropies[i]) = (row.logprob, row.entropy);
                norms[i] = row.log_normaliser;
            }
        },
    );
    let [logprobs, entropies, log_normalisers] =
        results.map(|values| Tensor::from_data(TensorData::new(values, [tokens]), &device));
    TokenLogprobs {
        logprobs,
        entropies,
        log_normalisers,
    }
}

pub(super) fn backward(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    temperature: f64,
    log_normalisers: Tensor<1>,
    grad_logprobs: Tensor<1>,
) -> Tensor<2> {
    let ([tokens, vocabulary], device) = (logits.dims(), logits.device());
    let mut logits = logits.into_data();
    let Ok(values) = logits.as_mut_slice::<f32>() else {
        unreachable!("by_row_pays() saw f32")
    };
    let labels = indices(labels);
    let norms: Vec<f32> = log_normalisers.into_data().iter::<f32>().collect();
    let gradients: Vec<f32> = grad_logprobs.into_data().iter::<f32>().collect();
    let rows = rows_per_piece(tokens, vocabulary);
    let pieces = values.chunks_mut(rows * vocabulary).enumerate();
    host::for_each(pieces, |(piece, values)| {
        for (token, logits) in (piece * rows..).zip(values.chunks_mut(vocabulary)) {
            let (label, norm) = (labels[token], norms[token]);
            row::backward(logits, label, temperature, norm, gradients[token]);
        }
    });
    Tensor::from_data(logits, &device)
}

fn rows_per_piece(tokens: usize, vocabulary: usize) -> usize {
    host::chunk_length(tokens * vocabulary)
        .div_ceil(vocabulary.max(1))
        .max(1)
}

fn indices(labels: Tensor<1, Int>) -> Vec<usize> {
    labels
        .into_data()
        .iter::<i64>()
        .map(|label| label as usize)
        .collect()
}
