//! Distinct-n (Li et al. 2016, arXiv:1510.03055): a collapse of the policy shows here first.

use std::collections::HashSet;

/// Different word n-grams divided by all word n-grams, over all texts together.
///
/// Words are separated by white space, and no n-gram reaches from one text into the next. The
/// result is in (0, 1], or 0.0 if no text has `n` words. More text lowers it, so compare sets of
/// about one size only.
pub fn distinct_n(texts: &[&str], n: usize) -> f64 {
    if n == 0 {
        return 0.0;
    }
    let mut different = HashSet::new();
    let mut all = 0_usize;
    for text in texts {
        let words: Vec<&str> = text.split_whitespace().collect();
        for gram in words.windows(n) {
            different.insert(gram.to_vec());
            all += 1;
        }
    }
    different.len() as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bigrams_are_counted_over_all_texts_and_not_across_them() {
        // a-b, b-a, a-b; a-b; nothing: two different ones of four.
        assert_eq!(distinct_n(&["a b a b", "a  b", "c"], 2), 0.5);
        assert_eq!(distinct_n(&["a b a b", "a b", "c"], 1), 3.0 / 7.0);
        assert_eq!(distinct_n(&["the cat sat", "on the mat"], 2), 1.0);
    }

    #[test]
    fn without_ngrams_it_is_zero() {
        assert_eq!(distinct_n(&[], 2), 0.0);
        assert_eq!(distinct_n(&["one", " "], 2), 0.0);
        assert_eq!(distinct_n(&["one two"], 0), 0.0);
    }
}
