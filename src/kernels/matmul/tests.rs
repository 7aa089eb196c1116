use proptest::prelude::*;

use super::*;
use crate::kernels::Precision;

/// Numbers that differ, and are exact in bf16.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 7919 + seed * 104_729) % 255) as f32 / 128.0 - 1.0)
        .collect()
}

/// Numbers that differ, few of them exact in bf16.
fn thirds(count: usize, seed: usize) -> Vec<f32> {
    numbers(count, seed).iter().map(|n| n / 3.0).collect()
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

/// Terms of a sum: any number, or whole tiles of a matrix unit.
fn depths() -> impl Strategy<Value = usize> {
    prop_oneof![1_usize..70, (1_usize..5).prop_map(|tiles| 32 * tiles)]
}

/// The weight kept in f32 or bf16, and multiplied in f32 or bf16.
fn ways() -> impl Strategy<Value = (Precision, MatmulPrecision)> {
    let kept = prop_oneof![Just(Precision::F32), Just(Precision::Bf16)];
    let multiplied = prop_oneof![Just(MatmulPrecision::F32), Just(MatmulPrecision::Bf16)];
    (kept, multiplied)
}

fn nearest(numbers: &[f32]) -> Vec<f32> {
    let nearest = |number: &f32| half::bf16::from_f32(*number).to_f32();
    numbers.iter().map(nearest).collect()
}

fn assert_input_gradient(
    rows: usize,
    inputs: usize,
    outputs: usize,
    (kept, multiplied): (Precision, MatmulPrecision),
) {
    let (dy, weight) = (numbers(rows * outputs, 3), numbers(inputs * outputs, 4));
    let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), kept);
    let dx = product_transposed(&dy, &panels, multiplied, None);
    assert_close(&dx, &plain(&dy, &turned(&weight, inputs), outputs), outputs);
}

proptest! {
    #[test]
    fn a_packed_product_is_the_plain_one(
        rows in 1_usize..70, inputs in depths(), outputs in 1_usize..130, (kept, multiplied) in ways(),
    ) {
        let (x, weight) = (numbers(rows * inputs, 1), numbers(inputs * outputs, 2));
        let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), kept);
        let mut y = vec![1.0; rows * outputs];
        matmul_with(&x, &panels, multiplied, None, &mut y, Mode::Set);
        let exact = plain(&x, &weight, inputs);
        assert_close(&y, &exact, inputs);
        matmul_with(&x, &panels, multiplied, None, &mut y, Mode::Add);
        let twice: Vec<f64> = exact.iter().map(|y| 2.0 * y).collect();
        assert_close(&y, &twice, inputs);
    }

    #[test]
    fn the_input_gradient_is_the_product_with_the_transpose(
        rows in 1_usize..70, inputs in 1_usize..70, outputs in depths(), ways in ways(),
    ) {
        assert_input_gradient(rows, inputs, outputs, ways);
    }

    /// More terms than are transposed at a time.
    #[test]
    fn a_long_input_gradient_is_the_product_with_the_transpose(
        rows in 1_usize..40, inputs in 1_usize..20, beyond in 0_usize..70, ways in ways(),
    ) {
        let outputs = turned::DEPTH_AT_ONCE - 1 + beyond;
        assert_input_gradient(rows, inputs, outputs, ways);
    }

    #[test]
    fn a_product_beside_another_is_added_to_it(
        rows in 1_usize..40, inputs in depths(), outputs in 1_usize..70, rank in 1_usize..20, transposed: bool,
        (kept, multiplied) in ways(),
    ) {
        let (x, weight) = (numbers(rows * inputs, 7), numbers(inputs * outputs, 8));
        let (inner, narrow) = (numbers(rows * rank, 9), numbers(rank * outputs, 10));
        let beside = Panels::pack(&narrow, [rank, outputs], (1, rank), Precision::F32);
        let y = if transposed {
            let panels = Panels::pack(&weight, [outputs, inputs], (inputs, 1), kept);
            product_transposed(&x, &panels, multiplied, Some((&inner, &beside)))
        } else {
            let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), kept);
            product(&x, &panels, multiplied, Some((&inner, &beside)))
        };
        let second = plain(&inner, &narrow, rank);
        let exact: Vec<f64> = plain(&x, &weight, inputs).iter().zip(second).map(|(a, b)| a + b).collect();
        assert_close(&y, &exact, inputs + rank);
    }

    #[test]
    fn a_product_across_is_that_of_the_transpose(
        rows in 1_usize..70, left in 1_usize..40, right in 1_usize..130, (_, multiplied) in ways(),
    ) {
        let (a, b) = (numbers(rows * left, 11), numbers(rows * right, 12));
        let product = product_across(&a, &b, [left, right], multiplied);
        assert_close(&product, &plain(&turned(&a, left), &turned(&b, right), rows), rows);
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours(
        rows in 1_usize..40, inputs in depths(), outputs in 1_usize..130, (kept, multiplied) in ways(),
    ) {
        let (x, weight) = (thirds(rows * inputs, 5), thirds(inputs * outputs, 6));
        let panels = Panels::pack(&weight, [inputs, outputs], (outputs, 1), kept);
        let together = product(&x, &panels, multiplied, None);
        for (row, together) in x.chunks(inputs).zip(together.chunks(outputs)) {
            prop_assert_eq!(&product(row, &panels, multiplied, None)[..], together);
        }
    }

    #[test]
    fn products_in_bf16_are_those_of_the_nearest_factors(
        rows in 1_usize..40, inputs in depths(), outputs in depths(),
    ) {
        let (x, weight) = (thirds(rows * inputs, 13), thirds(inputs * outputs, 14));
        let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), Precision::F32);
        let y = product(&x, &panels, MatmulPrecision::Bf16, None);
        let (x, weight) = (nearest(&x), nearest(&weight));
        assert_close(&y, &plain(&x, &weight, inputs), inputs);
        let dx = product_transposed(&y, &panels, MatmulPrecision::Bf16, None);
        let dy = nearest(&y);
        assert_close(&dx, &plain(&dy, &turned(&weight, inputs), outputs), inputs * outputs);
        let dw = product_across(&y, &thirds(rows * inputs, 13), [outputs, inputs], MatmulPrecision::Bf16);
        assert_close(&dw, &plain(&turned(&dy, outputs), &turned(&x, inputs), rows), inputs * rows);
    }
}

proptest! {
    /// By a matrix unit too, which multiplies the numbers' parts: what bf16 alone would lose, 2⁻⁹ of each factor, isn't lost.
    #[test]
    fn products_in_f32_lose_no_more_than_f32_does(
        rows in 1_usize..70, inputs in depths(), outputs in 60_usize..130, kept in ways().prop_map(|(kept, _)| kept),
    ) {
        let x = thirds(rows * inputs, 19);
        let weight = match kept {
            Precision::F32 => thirds(inputs * outputs, 20),
            Precision::Bf16 => numbers(inputs * outputs, 20),
        };
        let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), kept);
        let dy = thirds(rows * outputs, 21);
        let f32 = MatmulPrecision::F32;
        let turned_weight = turned(&weight, inputs);
        let y = product(&x, &panels, f32, None);
        assert_exact(&y, (&x, &weight), inputs);
        let dx = product_transposed(&dy, &panels, f32, None);
        assert_exact(&dx, (&dy, &turned_weight), outputs);
        let (columns, dy) = (turned(&x, inputs), turned(&dy, outputs));
        let dw = product_across(&x, &turned(&dy, rows), [inputs, outputs], f32);
        assert_exact(&dw, (&columns, &dy), rows);
    }
}

/// Within 2⁻²⁰ of the sum of all terms' sizes: two parts instead of three would be 2⁻¹⁷ off.
fn assert_exact(found: &[f32], (x, weight): (&[f32], &[f32]), depth: usize) {
    let sizes = |numbers: &[f32]| numbers.iter().map(|n| n.abs()).collect::<Vec<_>>();
    let exact = plain(x, weight, depth);
    let whole = plain(&sizes(x), &sizes(weight), depth);
    assert_eq!(found.len(), exact.len());
    for ((found, exact), whole) in found.iter().zip(exact).zip(whole) {
        let error = (f64::from(*found) - exact).abs();
        assert!(error <= whole * 2_f64.powi(-20), "{found} for {exact}");
    }
}

proptest! {
    #[test]
    fn parts_make_up_the_whole_and_touch_nothing_else(
        depth in depths(), (kept, precision) in ways(), with_beside: bool, first in 0_usize..4, count in 1_usize..6,
    ) {
        let (rows, outputs, rank) = (3, 130, 5);
        let (x, weight) = (thirds(rows * depth, 7), thirds(depth * outputs, 8));
        let (inner, narrow) = (thirds(rows * rank, 9), thirds(rank * outputs, 10));
        let panels = Panels::pack(&weight, [depth, outputs], (1, depth), kept);
        let narrow = Panels::pack(&narrow, [rank, outputs], (1, rank), Precision::F32);
        let beside = with_beside.then_some((&inner[..], &narrow));
        let of = |range| {
            let mut y = vec![7.0; rows * outputs];
            let (mut x, into) = (Rows::new(&x, depth), Shared::new(&mut y));
            // SAFETY: nobody else uses `y`.
            #[allow(unsafe_code)]
            unsafe {
                matmul_part(&mut x, &panels, precision, beside, range, &into, Mode::Set);
            }
            y
        };
        let range = first..panels.count().min(first + count);
        let columns = range.start * WIDTH..outputs.min(range.end * WIDTH);
        let (y, whole) = (of(range), of(0..panels.count()));
        prop_assert_eq!(&whole, &product(&x, &panels, precision, beside));
        for (y, whole) in y.chunks(outputs).zip(whole.chunks(outputs)) {
            prop_assert_eq!(&y[columns.clone()], &whole[columns.clone()]);
            prop_assert!(y[..columns.start].iter().chain(&y[columns.end..]).all(|&y| y == 7.0));
        }
    }
}

#[test]
fn many_rows_are_those_that_each_is_alone() {
    // The last forty meet one panel at a time where there is a matrix unit.
    let edges = [1, 64, 96, 128, 256, 288, 320, 359];
    let around = edges.into_iter().flat_map(|row| [row - 1, row]).collect();
    assert_each_is_alone(360, 64, around);
    // So do all of 33 to 64, here of enough terms to be handed over in pieces.
    for rows in [33, 47, 48, 49, 64, 65] {
        assert_each_is_alone(rows, 288, (0..rows).collect());
    }
    // And the last few, where most are taken through all panels before them.
    for rows in [129, 257, 321, 336, 337] {
        assert_each_is_alone(rows, 64, (rows - 20..rows).collect());
    }
}

/// Some of so many rows.
fn assert_each_is_alone(rows: usize, depth: usize, some: Vec<usize>) {
    let (outputs, rank) = (70, 5);
    let (x, weight) = (thirds(rows * depth, 15), thirds(depth * outputs, 16));
    let (inner, narrow) = (thirds(rows * rank, 17), thirds(rank * outputs, 18));
    let narrow = Panels::pack(&narrow, [rank, outputs], (1, rank), Precision::F32);
    let kept = [Precision::F32, Precision::Bf16];
    let multiplied = [MatmulPrecision::F32, MatmulPrecision::Bf16];
    for (kept, precision) in kept
        .into_iter()
        .flat_map(|kept| multiplied.map(|by| (kept, by)))
    {
        let panels = Panels::pack(&weight, [depth, outputs], (1, depth), kept);
        let of = |rows: Range<usize>| {
            let mut y = vec![0.5; rows.len() * outputs];
            let x = &x[rows.start * depth..rows.end * depth];
            let inner = &inner[rows.start * rank..rows.end * rank];
            let beside = Some((inner, &narrow));
            matmul_with(x, &panels, precision, beside, &mut y, Mode::Add);
            y
        };
        let together = of(0..rows);
        for &row in &some {
            let alone = of(row..row + 1);
            assert_eq!(
                alone,
                together[row * outputs..][..outputs],
                "{row} of {rows}"
            );
        }
    }
}

#[test]
fn no_rows_give_nothing_and_a_gradient_of_zeros() {
    let (inputs, outputs) = (64, turned::DEPTH_AT_ONCE + 64);
    let weight = thirds(inputs * outputs, 22);
    for precision in [MatmulPrecision::F32, MatmulPrecision::Bf16] {
        for kept in [Precision::F32, Precision::Bf16] {
            let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), kept);
            assert!(product(&[], &panels, precision, None).is_empty());
            assert!(product_transposed(&[], &panels, precision, None).is_empty());
        }
        let gradient = product_across(&[], &[], [inputs, outputs], precision);
        assert_eq!(gradient, vec![0.0; inputs * outputs]);
    }
}

/// A product by vectors.
fn by_vectors<F: Factors>(factors: F, rows: usize, outputs: usize) -> Vec<f32> {
    let mut y = vec![0.0; rows * outputs];
    dispatch(Grid {
        factors,
        then: None,
        rows,
        count: outputs.div_ceil(WIDTH),
        first: 0,
        out: Out::rows(&mut y, outputs, Mode::Set),
    });
    y
}

/// It adds up in another order than vectors do.
#[test]
fn a_matrix_unit_that_is_there_is_used() {
    let (rows, depth, outputs) = (5, 96, 70);
    let (x, weight) = (thirds(rows * depth, 17), thirds(depth * outputs, 18));
    let pack = |kept| Panels::pack(&weight, [depth, outputs], (1, depth), kept);
    let (full, brief) = (pack(Precision::F32), pack(Precision::Bf16));
    let (Storage::F32(singles), Storage::Bf16(pairs)) = (&full.storage, &brief.storage) else {
        panic!("an even number of inputs");
    };
    let check = |panels, precision, y: Vec<f32>| {
        let found = product(&x, panels, precision, None);
        let exact = y.iter().map(|&y| f64::from(y)).collect::<Vec<_>>();
        assert_close(&found, &exact, depth);
        assert_eq!(found != y, amx::available());
    };
    let y = by_vectors(packed::<Singles>(&x, singles, depth), rows, outputs);
    check(&full, MatmulPrecision::F32, y);
    let y = by_vectors(packed::<Widened>(&x, pairs, depth / 2), rows, outputs);
    check(&brief, MatmulPrecision::F32, y);
    let mut in_rows = Rows::new(&x, depth);
    let y = by_vectors(
        packed::<Dots>(in_rows.pairs(), pairs, depth / 2),
        rows,
        outputs,
    );
    check(&brief, MatmulPrecision::Bf16, y.clone());
    check(&full, MatmulPrecision::Bf16, y);
}

/// Wide and narrow, in f32 and bf16: what is made of the rows for one is not what the next needs.
#[test]
fn rows_meet_one_weight_after_the_other_as_if_it_were_the_first() {
    let (count, depth) = (37, 96);
    let x = thirds(count * depth, 21);
    let pack = |outputs: usize, kept| {
        let weight = thirds(depth * outputs, 22);
        Panels::pack(&weight, [depth, outputs], (1, depth), kept)
    };
    let weights = [
        pack(70, Precision::F32),
        pack(16, Precision::F32),
        pack(70, Precision::Bf16),
        pack(96, Precision::F32),
    ];
    let mut rows = Rows::new(&x, depth);
    for precision in [
        MatmulPrecision::F32,
        MatmulPrecision::Bf16,
        MatmulPrecision::F32,
    ] {
        for weight in &weights {
            let mut y = vec![f32::NAN; count * weight.outputs()];
            let (range, into) = (0..weight.count(), Shared::new(&mut y));
            // SAFETY: nobody else has it.
            #[allow(unsafe_code)]
            unsafe {
                matmul_part(&mut rows, weight, precision, None, range, &into, Mode::Set);
            }
            assert_eq!(y, product(&x, weight, precision, None));
        }
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
    assert_eq!(product(&brief), product(&full)); // twenty inputs are no whole tile of a matrix unit
}

#[test]
fn bf16_keeps_the_nearest() {
    let weight = [1.003_906_3, 1.0];
    let panels = Panels::pack(&weight, [2, 1], (1, 1), Precision::Bf16);
    let mut y = [0.0];
    matmul(&[1.0, 0.0], &panels, &mut y, Mode::Set);
    assert_eq!(y, [1.0]); // 1 + 2⁻⁸ lies between 1 and 1 + 2⁻⁷; the even one is kept
    assert_eq!(panels.bytes(), 64);
    let alone = Panels::pack(&weight[..1], [1, 1], (1, 1), Precision::Bf16);
    assert_eq!(alone.unpack((1, 1)), weight[..1]); // no second to lie beside: kept in f32
}
