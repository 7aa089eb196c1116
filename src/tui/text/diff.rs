//! Word diff between the two answers.
//!
//! White space is not compared: a different line break is no difference in words. The time is
//! bounded without a clock, so that the same two texts always look the same: stretches of words
//! that occur once in each text are paired first, in order (patience diff), and what lies between
//! is compared by Myers' algorithm if it is short, and else differs as a whole.

use std::collections::HashMap;
use std::ops::Range;

use similar::{Algorithm, DiffTag, capture_diff_slices};
use unicode_segmentation::UnicodeSegmentation;

/// Words in a row that make an anchor; single words are seldom unique in a long text.
const ANCHOR: usize = 3;

/// Longest stretch, in words of both texts together, that is compared without anchors. Myers'
/// algorithm takes at most the square of it in steps: some ten milliseconds.
const SHORT: usize = 3000;

/// Byte ranges of the words of `a` that `b` does not have there, and of `b` that `a` does not have.
///
/// Ranges rise and do not overlap; neighbouring words are one range.
pub fn words(a: &str, b: &str) -> [Vec<Range<usize>>; 2] {
    let (a, b) = (tokens(a), tokens(b));
    let mut differing = [vec![], vec![]];
    compare(
        &a.words,
        &b.words,
        [0..a.words.len(), 0..b.words.len()],
        &mut differing,
    );
    let [in_a, in_b] = differing;
    [a.ranges(&in_a), b.ranges(&in_b)]
}

/// The words of a text and where they are.
struct Tokens<'a> {
    words: Vec<&'a str>,
    places: Vec<Range<usize>>,
}

fn tokens(text: &str) -> Tokens<'_> {
    let all = text.split_word_bound_indices();
    let words: Vec<_> = all.filter(|(_, word)| !word.trim().is_empty()).collect();
    Tokens {
        places: words
            .iter()
            .map(|(at, word)| *at..at + word.len())
            .collect(),
        words: words.into_iter().map(|(_, word)| word).collect(),
    }
}

impl Tokens<'_> {
    /// Ranges of words as ranges of bytes, those that touch joined.
    fn ranges(&self, differing: &[Range<usize>]) -> Vec<Range<usize>> {
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in differing.iter().filter(|range| !range.is_empty()) {
            match joined.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => joined.push(range.clone()),
            }
        }
        let bytes = |r: Range<usize>| self.places[r.start].start..self.places[r.end - 1].end;
        joined.into_iter().map(bytes).collect()
    }
}

type Both = [Range<usize>; 2];

fn compare(a: &[&str], b: &[&str], whole: Both, differing: &mut [Vec<Range<usize>>; 2]) {
    let (prefix, suffix) = common_ends(a, b);
    let middle = [
        whole[0].start + prefix..whole[0].end - suffix,
        whole[1].start + prefix..whole[1].end - suffix,
    ];
    let mut at = [middle[0].start, middle[1].start];
    let ends = [middle[0].end, middle[1].end];
    let anchors = if middle[0].len() + middle[1].len() <= SHORT {
        vec![]
    } else {
        anchors(a, b, &middle)
    };
    for [i, j] in anchors.into_iter().chain([ends]) {
        if i > at[0] || j > at[1] {
            between(a, b, [at[0]..i, at[1]..j], differing);
        }
        at = [i + 1, j + 1];
    }
}

/// Compares a stretch without anchors.
fn between(a: &[&str], b: &[&str], gap: Both, differing: &mut [Vec<Range<usize>>; 2]) {
    let [i, j] = gap;
    if i.len() + j.len() > SHORT {
        differing[0].push(i);
        differing[1].push(j);
        return;
    }
    for op in capture_diff_slices(Algorithm::Myers, &a[i.clone()], &b[j.clone()]) {
        if op.tag() != DiffTag::Equal {
            let (old, new) = (op.old_range(), op.new_range());
            differing[0].push(i.start + old.start..i.start + old.end);
            differing[1].push(j.start + new.start..j.start + new.end);
        }
    }
}

/// How many words at the beginning and at the end are the same.
fn common_ends(a: &[&str], b: &[&str]) -> (usize, usize) {
    let prefix = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[prefix..], &b[prefix..]);
    let same_end = a.iter().rev().zip(b.iter().rev());
    (prefix, same_end.take_while(|(x, y)| x == y).count())
}

/// Word positions [in a, in b] that are the same word for certain: those in stretches of [`ANCHOR`]
/// words that occur once in each text and in the same order in both.
fn anchors(a: &[&str], b: &[&str], middle: &Both) -> Vec<[usize; 2]> {
    let (in_a, in_b) = (unique(a, &middle[0]), unique(b, &middle[1]));
    let mut pairs: Vec<[usize; 2]> = in_a
        .into_iter()
        .filter_map(|(words, i)| Some([i, *in_b.get(words)?]))
        .collect();
    pairs.sort_unstable();
    let mut matched: Vec<[usize; 2]> = Vec::new();
    for [i, j] in longest_rising(&pairs) {
        let stretch = (0..ANCHOR).map(|k| [i + k, j + k]);
        // Overlapping stretches name a word twice, or two words at once if they slide apart.
        let after = matched.last().map_or([0, 0], |last| last.map(|at| at + 1));
        matched.extend(stretch.filter(|at| at[0] >= after[0] && at[1] >= after[1]));
    }
    matched
}

/// Stretches that occur once, and where.
fn unique<'a, 'w>(words: &'a [&'w str], range: &Range<usize>) -> HashMap<&'a [&'w str], usize> {
    let mut seen: HashMap<&[&str], Option<usize>> = HashMap::new();
    for (i, stretch) in words[range.clone()].windows(ANCHOR).enumerate() {
        seen.entry(stretch)
            .and_modify(|place| *place = None)
            .or_insert(Some(range.start + i));
    }
    let once = seen
        .into_iter()
        .filter_map(|(words, place)| Some((words, place?)));
    once.collect()
}

/// The longest subsequence whose second members rise too; `pairs` rise in the first.
fn longest_rising(pairs: &[[usize; 2]]) -> Vec<[usize; 2]> {
    // Patience sorting: tops[k] ends the rising sequence of length k + 1 whose end is least.
    let mut tops: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (n, pair) in pairs.iter().enumerate() {
        let pile = tops.partition_point(|&top| pairs[top][1] < pair[1]);
        before.push(pile.checked_sub(1).map(|below| tops[below]));
        match tops.get_mut(pile) {
            Some(top) => *top = n,
            None => tops.push(n),
        }
    }
    let chain = std::iter::successors(tops.last().copied(), |&n| before[n]);
    let mut chosen: Vec<_> = chain.map(|n| pairs[n]).collect();
    chosen.reverse();
    chosen
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "one range is what is meant"
)]
mod tests {
    use super::*;

    /// The words that differ, in each text.
    fn differing<'a>(a: &'a str, b: &'a str) -> [Vec<&'a str>; 2] {
        let [in_a, in_b] = words(a, b);
        let cut = |text: &'a str, ranges: Vec<Range<usize>>| {
            ranges.into_iter().map(|range| &text[range]).collect()
        };
        [cut(a, in_a), cut(b, in_b)]
    }

    #[test]
    fn words_that_differ_are_named_on_each_side() {
        let found = differing(
            "Bake it for 40 minutes, then rest.",
            "Bake it for 45 long minutes, then let it rest.",
        );
        assert_eq!(found, [vec!["40"], vec!["45 long", "let it"]]);
        assert_eq!(differing("外の皮", "外の肉"), [["皮"], ["肉"]]);
    }

    #[test]
    fn white_space_and_equal_texts_do_not_differ() {
        assert_eq!(differing("a b\n\nc", "a  b c"), [[""; 0], [""; 0]]);
        assert_eq!(differing("", "two words"), [vec![], vec!["two words"]]);
        assert_eq!(differing("", ""), [[""; 0], [""; 0]]);
    }

    #[test]
    fn long_texts_are_anchored_where_they_agree() {
        let long = |change: usize| {
            let word = |i| {
                if i == change {
                    "changed".into()
                } else {
                    format!("w{i}")
                }
            };
            (0..20_000).map(word).collect::<Vec<_>>().join(" ")
        };
        let (a, b) = (long(5000), long(15_000));
        let found = differing(&a, &b);
        assert_eq!(found, [["changed", "w15000"], ["w5000", "changed"]]);
    }

    #[test]
    fn long_texts_without_anchors_differ_as_a_whole() {
        let (a, b) = ("x y ".repeat(50_000), "y z ".repeat(50_000));
        let [in_a, in_b] = words(&a, &b);
        assert_eq!((in_a, in_b), (vec![0..199_999], vec![0..199_999]));
    }
}
