//! Interval of a mean when values come in clusters: several labels of one prompt are not several
//! independent facts, so whole prompts are drawn, not labels (Field & Welsh 2007, "Bootstrapping
//! clustered data", the randomised cluster bootstrap).

pub use super::Interval;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution};
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
    let sums: Vec<_> = sums.into_values().map(|(s, n)| (s, n as f64)).collect();
    ratio(&sums, resamples, seed)
}

/// Draws of a bootstrap: the ends of its interval move by a few per cent of its width from seed to
/// seed.
pub const RESAMPLES: usize = 2000;

/// From this many clusters on, equal ones are drawn together.
const MANY: usize = 5000;

/// The 95 % percentile interval of Σ numerator / Σ denominator over clusters; each cluster brings its
/// own two sums. The order of the clusters matters for the draws, so give them in a fixed one.
///
/// As [`clustered`]; draws whose denominators are all 0 are left out.
pub fn ratio(clusters: &[(f64, f64)], resamples: usize, seed: u64) -> Interval {
    let clusters: Vec<[f64; 2]> = clusters.iter().map(|&(a, b)| [a, b]).collect();
    of_sums(&clusters, |[above, below]| above / below, resamples, seed)
}

/// As [`ratio`], of any statistic of the sums over clusters; draws in which it is NaN are left out.
pub fn of_sums<const N: usize>(
    clusters: &[[f64; N]],
    statistic: impl Fn([f64; N]) -> f64,
    resamples: usize,
    seed: u64,
) -> Interval {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let usable = if clusters.len() < 2 { 0 } else { resamples };
    let mut kinds = (clusters.len() >= MANY).then(|| Kinds::of(clusters));
    let mut draw = || match &mut kinds {
        Some(kinds) => kinds.resampled(&mut random),
        None => resampled(clusters, &mut random),
    };
    let mut drawn: Vec<f64> = (0..usable)
        .map(|_| statistic(draw()))
        .filter(|value| !value.is_nan())
        .collect();
    if drawn.is_empty() {
        return Interval {
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
        };
    }
    drawn.sort_by(f64::total_cmp);
    Interval {
        low: quantile(&drawn, 0.025),
        high: quantile(&drawn, 0.975),
    }
}

fn resampled<const N: usize>(clusters: &[[f64; N]], random: &mut ChaCha8Rng) -> [f64; N] {
    let mut sums = [0.0; N];
    for _ in 0..clusters.len() {
        add(
            &mut sums,
            &clusters[random.random_range(0..clusters.len())],
            1.0,
        );
    }
    sums
}

fn add<const N: usize>(sums: &mut [f64; N], cluster: &[f64; N], times: f64) {
    for (sum, value) in sums.iter_mut().zip(cluster) {
        *sum += value * times;
    }
}

/// Clusters of which many are equal.
struct Kinds<const N: usize> {
    sums: Vec<[f64; N]>,
    counts: Vec<usize>,
    drawn: Vec<usize>,
}

impl<const N: usize> Kinds<N> {
    fn of(clusters: &[[f64; N]]) -> Self {
        let mut counts: BTreeMap<[u64; N], usize> = BTreeMap::new();
        for cluster in clusters {
            *counts.entry(cluster.map(f64::to_bits)).or_default() += 1;
        }
        Self {
            sums: counts.keys().map(|bits| bits.map(f64::from_bits)).collect(),
            drawn: vec![0; counts.len()],
            counts: counts.into_values().collect(),
        }
    }

    fn resampled(&mut self, random: &mut ChaCha8Rng) -> [f64; N] {
        draw_kinds(&self.counts, random, &mut self.drawn);
        let mut sums = [0.0; N];
        for (kind, &n) in self.sums.iter().zip(&self.drawn) {
            add(&mut sums, kind, n as f64);
        }
        sums
    }
}

/// How often each kind comes up when as many units as there are, Σ `counts`, are drawn with
/// replacement: a multinomial draw, made of one binomial draw per kind given those before it.
pub(super) fn draw_kinds(counts: &[usize], random: &mut ChaCha8Rng, drawn: &mut [usize]) {
    let mut units: usize = counts.iter().sum();
    let mut draws = units;
    for (count, drawn) in counts.iter().zip(drawn) {
        let share = *count as f64 / units.max(1) as f64;
        // The last kind has share 1, so nothing is left over.
        let binomial = Binomial::new(draws as u64, share.min(1.0));
        *drawn = binomial.map_or(0, |binomial| binomial.sample(random) as usize);
        units -= count;
        draws -= *drawn;
    }
}

/// Linear interpolation between order statistics; `sorted` is not empty.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
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
            .map(|_| resampled(&[[3.0, 3.0], [0.0, 1.0]], &mut random))
            .map(|[above, below]| above / below)
            .collect();
        assert!(means.iter().all(|m| [1.0, 0.75, 0.0].contains(m)));
        assert!(means.contains(&0.75));
    }

    #[test]
    fn draws_without_a_denominator_are_left_out() {
        // Two of three clusters hold ties only; what remains is all wins.
        let interval = ratio(&[(2.0, 2.0), (0.0, 0.0), (0.0, 0.0)], 500, 1);
        assert_eq!((interval.low, interval.high), (1.0, 1.0));
        assert_eq!(ratio(&[(0.0, 0.0); 3], 50, 1).low, f64::NEG_INFINITY);
    }

    #[test]
    fn drawing_kinds_together_is_drawing_clusters() {
        // 0.75 ± 1.96 √(0.75·0.25/8000) = [0.7405, 0.7595], whichever way it is drawn.
        let cluster = |i: usize| (f64::from(u8::from(!i.is_multiple_of(4))), 1.0);
        let clusters: Vec<(f64, f64)> = (0..8000).map(cluster).collect();
        let interval = ratio(&clusters, 4000, 1);
        let gap = (interval.low - 0.7405)
            .abs()
            .max((interval.high - 0.7595).abs());
        assert!(gap < 0.0008, "{interval:?}");
        let mut drawn = [0; 3];
        draw_kinds(&[5, 0, 15], &mut ChaCha8Rng::seed_from_u64(1), &mut drawn);
        assert_eq!((drawn.iter().sum::<usize>(), drawn[1]), (20, 0));
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
