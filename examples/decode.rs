use rlhf::generate::*;
use rlhf::model::LanguageModel;
use std::path::Path;
use std::time::Instant;
fn main() {
    let mut a = std::env::args().skip(1);
    let folder = a.next().unwrap();
    let device = rlhf::device::cpu().device;
    let t = Instant::now();
    let decoder = LanguageModel::load(Path::new(&folder), &device)
        .unwrap()
        .decoder;
    eprintln!("load {:.2}", t.elapsed().as_secs_f64());
    for batch in a {
        let batch: usize = batch.parse().unwrap();
        let requests: Vec<Request> = (0..batch)
            .map(|i| Request {
                prompt: (0..32)
                    .map(|t| ((i * 7919 + t * 104_729) % 49000 + 20) as u32)
                    .collect(),
                key: i as u64,
                sample: 0,
            })
            .collect();
        for new in [1, 64] {
            let sampler = SamplerConfig {
                max_new_tokens: new,
                ..SamplerConfig::default()
            };
            let mut times = vec![];
            for _ in 0..3 {
                let t = Instant::now();
                let n: usize = generate(
                    &decoder,
                    &requests,
                    Settings {
                        sampler: &sampler,
                        stop_ids: &[],
                        batch_size: batch,
                    },
                    &mut (),
                )
                .unwrap()
                .iter()
                .map(|c| c.ids.len())
                .sum();
                times.push(t.elapsed().as_secs_f64());
                assert!(n == new * batch);
            }
            times.sort_by(f64::total_cmp);
            println!(
                "batch {batch} new {new}: {:.3} s, {:.1} tok/s",
                times[1],
                (batch * new) as f64 / times[1]
            );
        }
    }
}
