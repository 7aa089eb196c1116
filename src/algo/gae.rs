//! Generalised advantage estimation: how much better an action was than the critic expected.

use burn::tensor::{Bool, Tensor};

use super::masked::zero_pads;

/// What [`estimate`] returns; 0 where the mask is false.
#[derive(Clone, Debug)]
pub struct Advantages {
    /// A_t, `[batch, time]`, not whitened.
    pub advantages: Tensor<2>,
    /// R_t = A_t + V_t, the critic's target, `[batch, time]`.
    pub returns: Tensor<2>,
}

/// Advantages and returns by generalised advantage estimation.
///
/// A_t = Σ_k (γλ)^k δ_{t+k},  δ_t = r_t + γ V_{t+1} − V_t,  V past the last real token = 0.
/// Schulman et al. 2016, arXiv:1506.02438, eq. 16.
///
/// # Shapes
/// `rewards`, `values`, `response_mask`: `[batch, time]`; both results the same, 0 where the mask
/// is false.
/// # Units
/// Rewards in reward-model units; `gamma`, `lam` dimensionless in [0, 1].
/// # Panics
/// If the shapes differ.
pub fn estimate(
    rewards: Tensor<2>,
    values: Tensor<2>,
    response_mask: &Tensor<2, Bool>,
    gamma: f64,
    lam: f64,
) -> Advantages {
    let rewards = zero_pads(rewards, response_mask);
    let values = zero_pads(values, response_mask);
    let time = values.dims()[1];
    let mut next_value = values.clone().narrow(1, 0, 1).zeros_like();
    let mut next_advantage = next_value.clone();
    let mut columns = Vec::with_capacity(time);
    for t in (0..time).rev() {
        let value = values.clone().narrow(1, t, 1);
        let delta = rewards.clone().narrow(1, t, 1) + next_value * gamma - value.clone();
        next_advantage = delta + next_advantage * (gamma * lam);
        next_value = value;
        columns.push(next_advantage.clone());
    }
    columns.reverse();
    let advantages = Tensor::cat(columns, 1);
    Advantages {
        returns: zero_pads(advantages.clone() + values, response_mask),
        advantages: zero_pads(advantages, response_mask),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData, Tolerance};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The same by one matrix product: A = δ·M with M[k, t] = (γλ)^(k−t) for k ≥ t.
    fn by_matrix(
        rewards: Tensor<2>,
        values: Tensor<2>,
        mask: &Tensor<2, Bool>,
        gamma: f64,
        lam: f64,
    ) -> Tensor<2> {
        let [batch, time] = rewards.dims();
        let values = zero_pads(values, mask);
        let past_end = Tensor::zeros([batch, 1], &values.device());
        let next = Tensor::cat(vec![values.clone().narrow(1, 1, time - 1), past_end], 1);
        let deltas = zero_pads(rewards, mask) + next * gamma - values;
        let weight = |k: usize, t: usize| {
            if k >= t {
                (gamma * lam).powi((k - t) as i32) as f32
            } else {
                0.0
            }
        };
        let weights: Vec<f32> = (0..time)
            .flat_map(|k| (0..time).map(move |t| weight(k, t)))
            .collect();
        let discounts =
            Tensor::<2>::from_data(TensorData::new(weights, [time, time]), &deltas.device());
        zero_pads(deltas.matmul(discounts), mask)
    }

    /// `design/algorithms.md` item 17, γ = 1, λ = 0.95. By hand, from the end:
    /// A₂ = 1 − .3; A₁ = .02 + .3 − .2 + .95·.7; A₀ = −.05 + .2 − .1 + .95·.785.
    #[test]
    fn one_response_by_hand() {
        let device = Device::flex();
        let rewards = Tensor::<2>::from_floats([[-0.05, 0.02, 1.0]], &device);
        let values = Tensor::<2>::from_floats([[0.1, 0.2, 0.3]], &device);
        let mask = Tensor::<2, Bool>::full([1, 3], true, &device);
        let got = estimate(rewards, values, &mask, 1.0, 0.95);
        let near = Tolerance::<f32>::absolute(1e-6);
        got.advantages
            .into_data()
            .assert_approx_eq(&TensorData::from([[0.795_75_f32, 0.785, 0.7]]), near);
        got.returns
            .into_data()
            .assert_approx_eq(&TensorData::from([[0.895_75_f32, 0.985, 1.0]]), near);
    }

    #[test]
    fn loop_and_matrix_agree_on_20_by_40_random_numbers() {
        let device = Device::flex();
        let mut rng = ChaCha8Rng::seed_from_u64(17);
        let mut random = || {
            let numbers: Vec<f32> = (0..800).map(|_| rng.random_range(-2.0..2.0)).collect();
            Tensor::<2>::from_data(TensorData::new(numbers, [20, 40]), &device)
        };
        let (rewards, values) = (random(), random());
        let lengths: Vec<bool> = (0..20)
            .flat_map(|row| (0..40).map(move |t| t <= (row * 7) % 40))
            .collect();
        let mask = Tensor::<2, Bool>::from_bool(TensorData::new(lengths, [20, 40]), &device);
        for (gamma, lam) in [(1.0, 0.95), (0.99, 0.9), (1.0, 1.0), (0.9, 0.0)] {
            let by_loop = estimate(rewards.clone(), values.clone(), &mask, gamma, lam);
            let by_matrix = by_matrix(rewards.clone(), values.clone(), &mask, gamma, lam);
            by_loop
                .advantages
                .into_data()
                .assert_approx_eq::<f32>(&by_matrix.into_data(), Tolerance::rel_abs(1e-5, 1e-5));
        }
    }
}
