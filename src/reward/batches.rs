//! Which pairs each update sees.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::dataset::Pair;

/// Batches whose pairs are sorted by length together, so that little is padding.
const POOL: usize = 8;

/// The pairs of each update of a whole job, as indices into `pairs`: every epoch shuffled anew with `seed`.
///
/// Pairs of one prompt share answers, and an answer that comes back in update after update is learnt by heart (Ouyang et al. 2022,
/// arXiv:2203.02155, section 3.5), so they stay in one update as long as they fit into it. A batch may therefore be
/// smaller than `size`, never larger. A fractional number of epochs ends within the last one.
pub fn plan(pairs: &[&Pair], size: usize, epochs: f64, seed: u64) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    for epoch in 0..epochs.ceil() as usize {
        let share = (epochs - epoch as f64).min(1.0);
        let batches = batches(pairs, size, seed.wrapping_add(1 + epoch as u64));
        let count = (batches.len() as f64 * share).ceil() as usize;
        all.extend(batches.into_iter().take(count));
    }
    all
}

fn batches(pairs: &[&Pair], size: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut groups = groups(pairs, size);
    groups.shuffle(&mut rng);
    let mut batches = Vec::new();
    for mut pool in pools(groups, size * POOL) {
        pool.sort_by_key(|group| group.iter().map(|&i| pairs[i].tokens()).max());
        batches.extend(fill(pool, size));
    }
    batches.shuffle(&mut rng);
    batches
}

/// Pairs by prompt; those of a prompt that has more than `size` stand alone.
fn groups(pairs: &[&Pair], size: usize) -> Vec<Vec<usize>> {
    let mut by_prompt: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, pair) in pairs.iter().enumerate() {
        by_prompt.entry(&pair.prompt).or_default().push(index);
    }
    let split = |group: Vec<usize>| {
        if group.len() > size {
            group.into_iter().map(|index| vec![index]).collect()
        } else {
            vec![group]
        }
    };
    by_prompt.into_values().flat_map(split).collect()
}

/// Runs of groups with about `size` pairs.
fn pools(groups: Vec<Vec<usize>>, size: usize) -> Vec<Vec<Vec<usize>>> {
    let mut pools = vec![Vec::new()];
    let mut count = 0;
    for group in groups {
        if count >= size {
            pools.push(Vec::new());
            count = 0;
        }
        count += group.len();
        if let Some(pool) = pools.last_mut() {
            pool.push(group);
        }
    }
    pools
}

/// Groups in their order, as many as fit to a batch.
fn fill(groups: Vec<Vec<usize>>, size: usize) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for group in groups {
        match batches.last_mut() {
            Some(batch) if batch.len() + group.len() <= size => batch.extend(group),
            _ => batches.push(group),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `per_prompt[p]` pairs of prompt `p`, longer and longer.
    fn pairs(per_prompt: &[usize]) -> Vec<Pair> {
        let prompts = per_prompt.iter().enumerate();
        let names = prompts.flat_map(|(prompt, &count)| vec![prompt; count]);
        let pair = |(index, prompt): (usize, usize)| Pair {
            winner: vec![1; index + 1],
            loser: vec![1],
            length_difference: 0,
            tie: false,
            prompt: prompt.to_string(),
            annotator: None,
            source: None,
        };
        names.enumerate().map(pair).collect()
    }

    fn planned(per_prompt: &[usize], size: usize, epochs: f64) -> (Vec<Pair>, Vec<Vec<usize>>) {
        let pairs = pairs(per_prompt);
        let plan = plan(&pairs.iter().collect::<Vec<_>>(), size, epochs, 7);
        (pairs, plan)
    }

    #[test]
    fn an_epoch_shows_every_pair_once_in_full_batches() {
        let (_, plan) = planned(&[1; 22], 4, 1.0);
        let mut seen = plan.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..22).collect::<Vec<_>>());
        let mut sizes: Vec<usize> = plan.iter().map(Vec::len).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [2, 4, 4, 4, 4, 4]);
    }

    #[test]
    fn pairs_of_one_prompt_stay_together_if_they_fit() {
        let (pairs, plan) = planned(&[3, 6, 2, 1, 6, 3, 20], 6, 1.0);
        for prompt in ["0", "1", "2", "3", "4", "5"] {
            let with = |batch: &&Vec<usize>| batch.iter().any(|&i| pairs[i].prompt == prompt);
            assert_eq!(plan.iter().filter(with).count(), 1, "prompt {prompt}");
        }
        assert!(plan.iter().all(|batch| batch.len() <= 6));
        assert_eq!(plan.concat().len(), 41);
    }

    #[test]
    fn epochs_differ_and_the_last_may_be_part_of_one() {
        let (_, plan) = planned(&[1; 40], 4, 2.5);
        assert_eq!(plan.len(), 25);
        assert_ne!(plan[..10], plan[10..20]);
    }

    #[test]
    fn like_lengths_share_a_batch() {
        let (_, plan) = planned(&[1; 32], 4, 1.0);
        for batch in plan {
            assert_eq!(batch[3] - batch[0], 3, "{batch:?}");
        }
    }
}
