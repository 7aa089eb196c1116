use proptest::prelude::*;

use super::*;
use crate::kernels::Precision;

/// Numbers that differ, and are exact in bf16.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 7919 + seed * 104_729) % 255) as f32 / 128.0 - 1.0)
        .collect()
}

/// x·Wᵀ for `weight` `[out, in]`, in f64.
fn plain(x: &[f32], weight: &[f32], inputs: usize) -> Vec<f64> {
    let dot = |row: &[f32], weights: &[f32]| {
        let terms = row.iter().zip(weights);
        terms.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    x.chunks(inputs)
        .flat_map(|row| weight.chunks(inputs).map(move |weights| dot(row, weights)))
        .collect()
}

fn assert_close(found: &[f32], exact: &[f64], depth: usize) {
    assert_eq!(found.len(), exact.len());
    for (found, exact) in found.iter().zip(exact) {
        let error = (f64::from(*found) - exact).abs();
        assert!(error < 1e-6 * depth as f64, "{found} for {exact}");
    }
}

/// The transpose of rows of `width` numbers.
fn turned(values: &[f32], width: usize) -> Vec<f32> {
    let column = |index| values.iter().skip(index).step_by(width).copied();
    (0..width).flat_map(column).collect()
}

fn assert_input_gradient(rows: usize, inputs: usize, outputs: usize, precision: Precision) {
    let (dy, weight) = (numbers(rows * outputs, 3), numbers(inputs * outputs, 4));
    let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), precision);
    let dx = product_transposed(&dy, &panels, MatmulPrecision::F32, None);
    assert_close(&dx, &plain(&dy, &turned(&weight, inputs), outputs), outputs);
}

proptest! {
    #[test]
    fn a_packed_product_is_the_plain_one(
        rows in 1_usize..40, inputs in 1_usize..70, outputs in 1_usize..130, brief: bool,
    ) {
        let precision = if brief { Precision::Bf16 } else { Precision::F32 };
        let (x, weight) = (numbers(rows * inputs, 1), numbers(inputs * outputs, 2));
        let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), precision);
        let mut y = vec![1.0; rows * outputs];
        matmul(&x, &panels, &mut y, Mode::Set);
        let exact = plain(&x, &weight, inputs);
        assert_close(&y, &exact, inputs);
        matmul(&x, &panels, &mut y, Mode::Add);
        let twice: Vec<f64> = exact.iter().map(|y| 2.0 * y).collect();
        assert_close(&y, &twice, inputs);
    }

    #[test]
    fn the_input_gradient_is_the_product_with_the_transpose(
        rows in 1_usize..40, inputs in 1_usize..70, outputs in 1_usize..130, brief: bool,
    ) {
        let precision = if brief { Precision::Bf16 } else { Precision::F32 };
        assert_input_gradient(rows, inputs, outputs, precision);
    }

    /// More terms than are transposed at a time.
    #[test]
    fn a_long_input_gradient_is_the_product_with_the_transpose(
        rows in 1_usize..10, inputs in 1_usize..20, beyond in 0_usize..70,
    ) {
        let outputs = DEPTH_AT_ONCE - 1 + beyond;
        assert_input_gradient(rows, inputs, outputs, Precision::F32);
    }

    #[test]
    fn a_product_beside_another_is_added_to_it(
        rows in 1_usize..20, inputs in 1_usize..70, outputs in 1_usize..70, rank in 1_usize..20, transposed: bool,
    ) {
        let (x, weight) = (numbers(rows * inputs, 7), numbers(inputs * outputs, 8));
        let (inner, narrow) = (numbers(rows * rank, 9), numbers(rank * outputs, 10));
        let beside = Panels::pack(&narrow, [rank, outputs], (1, rank), Precision::F32);
        let y = if transposed {
            let panels = Panels::pack(&weight, [outputs, inputs], (inputs, 1), Precision::F32);
            product_transposed(&x, &panels, MatmulPrecision::F32, Some((&inner, &beside)))
        } else {
            let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), Precision::F32);
            product(&x, &panels, MatmulPrecision::F32, Some((&inner, &beside)))
        };
        let second = plain(&inner, &narrow, rank);
        let exact: Vec<f64> = plain(&x, &weight, inputs).iter().zip(second).map(|(a, b)| a + b).collect();
        assert_close(&y, &exact, inputs + rank);
    }

    #[test]
    fn a_product_across_is_that_of_the_transpose(
        rows in 1_usize..70, left in 1_usize..40, right in 1_usize..130,
    ) {
        let (a, b) = (numbers(rows * left, 11), numbers(rows * right, 12));
        let product = product_across(&a, &b, [left, right], MatmulPrecision::F32);
        assert_close(&product, &plain(&turned(&a, left), &turned(&b, right), rows), rows);
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours(
        rows in 1_usize..20, inputs in 1_usize..70, outputs in 1_usize..130,
    ) {
        let (x, weight) = (numbers(rows * inputs, 5), numbers(inputs * outputs, 6));
        let panels = Panels::pack(&weight, [inputs, outputs], (outputs, 1), Precision::F32);
        let mut together = vec![0.0; rows * outputs];
        matmul(&x, &panels, &mut together, Mode::Set);
        let mut alone = vec![0.0; outputs];
        for (row, together) in x.chunks(inputs).zip(together.chunks(outputs)) {
            matmul(row, &panels, &mut alone, Mode::Set);
            prop_assert_eq!(&alone[..], together);
        }
    }
}

#[test]
fn parts_make_up_the_whole_and_touch_nothing_else() {
    let (x, weight) = (numbers(3 * 20, 7), numbers(20 * 50, 8));
    let panels = Panels::pack(&weight, [20, 50], (1, 20), Precision::F32);
    let mut whole = vec![0.0; 150];
    matmul(&x, &panels, &mut whole, Mode::Set);
    let mut y = vec![7.0; 150];
    // SAFETY: nobody else uses `y`.
    #[allow(unsafe_code)]
    unsafe {
        matmul_part(
            &x,
            &panels,
            MatmulPrecision::F32,
            None,
            1..3,
            &Shared::new(&mut y),
            Mode::Set,
        );
    }
    for (y, whole) in y.chunks(50).zip(whole.chunks(50)) {
        assert_eq!(y[16..48], whole[16..48]);
        assert!(y[..16].iter().chain(&y[48..]).all(|&y| y == 7.0));
    }
}

#[test]
fn bf16_is_taken_where_it_loses_nothing() {
    let exact = numbers(500, 9); // multiples of 1/128 below 2
    assert_eq!(Precision::lossless(&exact), Precision::Bf16);
    assert_eq!(Precision::lossless([1.0, 0.1]), Precision::F32);
    let weight = &exact[..20 * 17];
    let pack = |precision| Panels::pack(weight, [20, 17], (1, 20), precision);
    let (brief, full) = (pack(Precision::Bf16), pack(Precision::F32));
    assert_eq!(2 * brief.bytes(), full.bytes());
    assert_eq!(brief.unpack((1, 20)), weight);
    let x = numbers(3 * 20, 10);
    let product = |weight| {
        let mut y = vec![0.0; 3 * 17];
        matmul(&x, weight, &mut y, Mode::Set);
        y
    };
    assert_eq!(product(&brief), product(&full));
}

#[test]
fn bf16_keeps_the_nearest() {
    let panels = Panels::pack(&[1.003_906_3], [1, 1], (1, 1), Precision::Bf16);
    let mut y = [0.0];
    matmul(&[1.0], &panels, &mut y, Mode::Set);
    assert_eq!(y, [1.0]); // 1 + 2⁻⁸ lies between 1 and 1 + 2⁻⁷; the even one is kept
    assert_eq!(panels.bytes(), 32);
}
