//! Statistics over the real tokens of a padded batch.
//!
//! Pads are replaced, not multiplied by zero: a pad may hold a NaN or an infinity, and `NaN · 0` is NaN.

use burn::tensor::{Bool, Tensor};

/// Added to the variance before its square root is taken (as TRL and lm-human-preferences do).
const VARIANCE_EPSILON: f64 = 1e-8;

/// `x` where `mask` is true, 0 elsewhere. No gradient flows into the pads.
///
/// # Shapes
/// `x`, `mask` and the result are the same.
pub fn zero_pads<const D: usize>(x: Tensor<D>, mask: &Tensor<D, Bool>) -> Tensor<D> {
    x.mask_fill(mask.clone().bool_not(), 0.0)
}

/// Number of real tokens, as a float tensor of the same dtype and device as `like`.
///
/// # Shapes
/// `mask` any; the result `[1]`.
pub fn count<const D: usize>(mask: &Tensor<D, Bool>, like: &Tensor<D>) -> Tensor<1> {
    mask.clone().float().cast(like.dtype()).sum()
}

/// Σ x over the real tokens.
///
/// # Shapes
/// `x` and `mask` the same; the result `[1]`.
pub fn sum<const D: usize>(x: Tensor<D>, mask: &Tensor<D, Bool>) -> Tensor<1> {
    zero_pads(x, mask).sum()
}

/// Σ x / n over the n real tokens of the whole batch; NaN when there is none.
///
/// # Shapes
/// `x` and `mask` the same; the result `[1]`.
pub fn mean<const D: usize>(x: Tensor<D>, mask: &Tensor<D, Bool>) -> Tensor<1> {
    let tokens = count(mask, &x);
    sum(x, mask) / tokens
}

/// Σ (x − mean)² / n over the n real tokens: the population variance, without Bessel's correction.
///
/// # Shapes
/// `x` and `mask` the same; the result `[1]`.
pub fn variance<const D: usize>(x: Tensor<D>, mask: &Tensor<D, Bool>) -> Tensor<1> {
    let centre = mean(x.clone(), mask).unsqueeze::<D>();
    mean((x - centre).square(), mask)
}

/// `x` scaled to variance 1 over its real tokens: (x − mean)/√(var + 1e-8), 0 at pads.
///
/// With `shift_mean` the result has mean 0 (advantages); without, the mean is added back, so that
/// only the scale changes (rewards). Ziegler et al. 2019, arXiv:1909.08593; `whiten` of
/// openai/lm-human-preferences.
///
/// # Shapes
/// `x`, `mask` and the result are the same.
pub fn whiten<const D: usize>(x: Tensor<D>, mask: &Tensor<D, Bool>, shift_mean: bool) -> Tensor<D> {
    let centre = mean(x.clone(), mask).unsqueeze::<D>();
    let deviation = (variance(x.clone(), mask) + VARIANCE_EPSILON).sqrt();
    let centred = (x - centre.clone()) / deviation.unsqueeze::<D>();
    let whitened = if shift_mean {
        centred
    } else {
        centred + centre
    };
    zero_pads(whitened, mask)
}

/// Σ_t x over the real tokens of each row.
///
/// # Shapes
/// `x`, `mask`: `[batch, time]`; the result `[batch]`.
pub fn row_sums(x: Tensor<2>, mask: &Tensor<2, Bool>) -> Tensor<1> {
    zero_pads(x, mask).sum_dim(1).squeeze_dim::<1>(1)
}

/// True at the last real token of each row, and nowhere in a row without real tokens.
///
/// # Shapes
/// `mask` and the result: `[batch, time]`; the real tokens of a row stand together.
pub fn last_real(mask: &Tensor<2, Bool>) -> Tensor<2, Bool> {
    let [batch, time] = mask.dims();
    let past_end = Tensor::<2, Bool>::full([batch, 1], false, &mask.device());
    let next = Tensor::cat(vec![mask.clone().narrow(1, 1, time - 1), past_end], 1);
    mask.clone().bool_and(next.bool_not())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tolerance};

    use super::*;

    fn rewards(device: &Device) -> Tensor<2> {
        Tensor::from_floats([[1.2, 1.3, 1.4], [1.5, 1.6, 1.7], [1.8, 1.9, 2.0]], device)
    }

    /// `design/algorithms.md` item 16: divides but keeps the mean, population variance.
    #[test]
    fn whitening_rewards_keeps_their_mean() {
        let device = Device::flex();
        let all = Tensor::<2, Bool>::full([3, 3], true, &device);
        let whitened = whiten(rewards(&device), &all, false);
        let expected = Tensor::<2>::from_floats(
            [
                [0.0508, 0.4381, 0.8254],
                [1.2127, 1.6, 1.9873],
                [2.3746, 2.7619, 3.1492],
            ],
            &device,
        );
        whitened
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-4));
    }

    #[test]
    fn what_stands_at_a_pad_changes_nothing() {
        let device = Device::flex();
        let mask =
            Tensor::<2, Bool>::from_bool([[true, true, false], [true, false, false]], &device);
        let poisoned =
            Tensor::<2>::from_floats([[1.0, 4.0, f32::NAN], [7.0, f32::INFINITY, -9e9]], &device);
        assert_eq!(mean(poisoned.clone(), &mask).into_scalar::<f32>(), 4.0);
        assert_eq!(variance(poisoned.clone(), &mask).into_scalar::<f32>(), 6.0);
        let sums: Vec<f32> = row_sums(poisoned.clone(), &mask).try_into_vec_as().unwrap();
        assert_eq!(sums, [5.0, 7.0]);
        let whitened: Vec<f32> = whiten(poisoned, &mask, true).try_into_vec_as().unwrap();
        assert_eq!(whitened[2..3], [0.0]);
        assert_eq!(whitened[4..], [0.0, 0.0]);
    }

    #[test]
    fn the_last_real_token_of_each_row() {
        let device = Device::flex();
        let mask = [
            [true, true, false],
            [true, true, true],
            [false, false, false],
        ];
        let last = last_real(&Tensor::from_bool(mask, &device));
        let expected = [
            [false, true, false],
            [false, false, true],
            [false, false, false],
        ];
        last.into_data().assert_eq(
            &Tensor::<2, Bool>::from_bool(expected, &device).into_data(),
            true,
        );
    }
}
