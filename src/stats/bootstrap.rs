//! Interval of a mean when values come in clusters: several labels of one prompt are not several
//! independent facts, so whole prompts are drawn, not labels (Field & Welsh 2007, "Bootstrapping
//! clustered data", the randomised cluster bootstrap).

pub use super::Interval;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// The 95 % percentile interval of the mean of `values`; `clusters[i]` names the cluster of
/// `values[i]`.
///
/// Each of the `resamples` draws as many clusters as there are, with replacement, and takes the
/// mean over all their values. The result depends on `seed` and the names, not on the order of the
/// rows. With fewer than some twenty clusters it is too narrow; with fewer than two, or with no
/// resamples, nothing can be said and it reaches from −∞ to ∞.
///
/// # Panics
/// If the slices have different lengths.
pub fn clustered(values: &[f64], clusters: &[&str], resamples: usize, seed: u64) -> Interval {
    assert_eq!(values.len(), clusters.len(), "one cluster name per value");
    let mut sums: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    for (value, cluster) in values.iter().zip(clusters) {
        let (sum, count) = sums.entry(cluster).or_default();
        *sum += value;
        *count += 1;
    }
    let sums: Vec<_> = sums.into_values().collect();
    if sums.len() < 2 || resamples == 0 {
        return Interval {
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
        };
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| resampled_mean(&sums, &mut random))
        .collect();
    means.sort_by(f64::total_cmp);
    Interval {
        low: quantile(&means, 0.025),
        high: quantile(&means, 0.975),
    }
}

fn resampled_mean(sums: &[(f64, usize)], random: &mut ChaCha8Rng) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for _ in 0..sums.len() {
        let (s, n) = sums[random.random_range(0..sums.len())];
        sum += s;
        count += n;
    }
    sum / count as f64
}

/// Linear interpolation between order statistics; `sorted` is not empty.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

    #[test]
    fn independent_values_have_the_binomial_interval() {
        let names: Vec<String> = (0..400).map(|i| format!("p{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let values: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i % 4 != 0))).collect();
        let interval = clustered(&values, &names, 4000, 1);
        // 0.75 ± 1.96 √(0.75·0.25/400) = [0.7076, 0.7924].
        let gap = (interval.low - 0.7076)
            .abs()
            .max((interval.high - 0.7924).abs());
        assert!(gap < 0.004, "{interval:?}");
    }

    #[test]
    fn copies_of_a_label_add_no_certainty() {
        let values: [f64; 8] = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0];
        let tenfold: Vec<f64> = values.iter().flat_map(|&v| [v; 10]).collect();
        let names: Vec<&str> = NAMES.iter().flat_map(|&name| [name; 10]).collect();
        let single = clustered(&values, &NAMES, 2000, 7);
        assert_eq!(clustered(&tenfold, &names, 2000, 7), single);
        assert_eq!((single.low, single.high), (0.25, 0.875));
    }

    #[test]
    fn larger_clusters_weigh_more() {
        // A draw holds a twice, both, or b twice: means 1, 3/4 and 0.
        let interval = clustered(&[1.0, 1.0, 1.0, 0.0], &["a", "a", "a", "b"], 1000, 3);
        assert_eq!((interval.low, interval.high), (0.0, 1.0));
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let means: Vec<f64> = (0..100)
            .map(|_| resampled_mean(&[(3.0, 3), (0.0, 1)], &mut random))
            .collect();
        assert!(means.iter().all(|m| [1.0, 0.75, 0.0].contains(m)));
        assert!(means.contains(&0.75));
    }

    #[test]
    fn one_cluster_says_nothing() {
        let interval = clustered(&[1.0, 0.0], &["a", "a"], 100, 0);
        assert_eq!(interval.low, f64::NEG_INFINITY);
        assert_eq!(interval.high, f64::INFINITY);
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 5.0], 0.5), 2.5);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 5.0], 1.0), 5.0);
        assert_eq!(quantile(&[4.0], 0.975), 4.0);
    }
}
