use burn::tensor::TensorData;

use super::*;
use crate::model::linear::Layout;

fn numbers(rows: usize, columns: usize, seed: usize) -> Tensor<2> {
    let number = |i: usize| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0;
    let values: Vec<f32> = (0..rows * columns).map(number).collect();
    let device = crate::device::cpu().device;
    Tensor::from_data(TensorData::new(values, [rows, columns]), &device)
}

fn linear(inputs: usize, outputs: usize, seed: usize) -> Linear {
    Linear {
        name: String::new(),
        weight: Some(numbers(outputs, inputs, seed)),
        bias: None,
        layout: Layout::OutIn,
        lora: None,
        packed: None,
        precision: crate::kernels::MatmulPrecision::F32,
    }
}

/// Rows of 40 tokens, padded on the left, on the right and not at all; with grouped heads, windows and rotation.
#[test]
fn the_cpu_s_attention_has_the_plain_results_and_gradients() {
    let (batch, time, width) = (3, 40, 12);
    let device = crate::device::cpu().device;
    let mask: Vec<bool> = (0..time)
        .map(|t| t >= 5)
        .chain((0..time).map(|t| t < 33))
        .chain((0..time).map(|_| true))
        .collect();
    let tokens = TokenBatch {
        ids: vec![0; batch * time],
        mask: mask.clone(),
        batch,
        time,
    };
    let positions = tokens.positions();
    let frequencies: Vec<f64> = (0..width / 2).map(|i| 0.5_f64.powi(i as i32)).collect();
    let mut config = crate::model::LanguageModel::embedded(&device)
        .unwrap()
        .decoder
        .config;
    let real = mask.iter().map(|&real| f32::from(u8::from(real)));
    let real = Tensor::<1>::from_floats(real.collect::<Vec<_>>().as_slice(), &device);
    let weights = numbers(batch * time, 10, 9) * real.unsqueeze_dim(1);
    for (heads, kv_heads, window, rotates) in [
        (1_usize, 1_usize, None, false),
        (6, 2, None, true),
        (4, 4, Some(9), true),
    ] {
        let attention = Attention {
            qkv: QueryKeyValue::Split(Box::new([
                linear(10, heads * width, 1),
                linear(10, kv_heads * width, 2),
                linear(10, kv_heads * width, 3),
            ])),
            head_norms: None,
            output: linear(heads * width, 10, 4),
            heads,
            kv_heads,
            scale: 0.3,
            window,
        };
        config.sliding_windows = vec![window];
        let frequencies = if rotates { frequencies.as_slice() } else { &[] };
        let run = |without_pads: bool| {
            let mut attention = attention.clone();
            for projection in attention.projections() {
                projection.weight = projection.weight.take().map(Tensor::autodiff);
            }
            let x = numbers(batch * time, 10, 8).autodiff().require_grad();
            let y = if without_pads {
                let packed = tokens.packed();
                let context = Context::fused(frequencies, &packed);
                let places = Arc::new(packed.places);
                let y = attention.forward(fused::gather(x.clone(), &places), &context, None);
                fused::spread(y, &places, batch * time)
            } else {
                let device = device.clone().autodiff();
                let rotary = || Rotary::new(frequencies, &positions, batch, &device);
                let context = Context::plain(&config, &tokens, 0, rotates.then(rotary), &device);
                attention.forward(x.clone(), &context, None)
            };
            let y = y * weights.clone().autodiff();
            let gradients = y.clone().sum().backward();
            [y.inner(), x.grad(&gradients).unwrap()].map(Tensor::into_data)
        };
        for (found, plain) in run(true).into_iter().zip(run(false)) {
            let largest = plain.iter::<f32>().fold(0.0, |a: f32, b| a.max(b.abs()));
            assert!(largest > 0.1);
            for (found, plain) in found.iter::<f32>().zip(plain.iter::<f32>()) {
                assert!(
                    (found - plain).abs() < 5e-6 * largest,
                    "{found} for {plain}"
                );
            }
        }
    }
}
