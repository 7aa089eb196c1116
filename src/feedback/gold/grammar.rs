//! The phrase notation of the tables: `stir the {soup|broth}` stands for two phrases.

/// Every phrase that `pattern` stands for, the leftmost group varying slowest.
///
/// Groups do not nest; a brace that is never closed is ordinary text.
pub fn expand(pattern: &str) -> Vec<String> {
    let Some((head, rest)) = pattern.split_once('{') else {
        return vec![pattern.to_owned()];
    };
    let Some((group, tail)) = rest.split_once('}') else {
        return vec![pattern.to_owned()];
    };
    let tails = expand(tail);
    let mut phrases = Vec::new();
    for choice in group.split('|') {
        phrases.extend(tails.iter().map(|tail| format!("{head}{choice}{tail}")));
    }
    phrases
}

/// `text` with its first letter in upper case, as at the start of a sentence.
pub fn capitalise(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// The sentences of `text`, each as its words in lower case; sentences without words are left out.
///
/// A word is a run of letters, digits, apostrophes and hyphens, without the ones at its ends.
pub(super) fn sentences(text: &str) -> Vec<Vec<String>> {
    text.split(['.', '!', '?', '\n'])
        .map(words)
        .filter(|words| !words.is_empty())
        .collect()
}

fn words(sentence: &str) -> Vec<String> {
    let joins = |c: char| c == '\'' || c == '-';
    sentence
        .split(|c: char| !(c.is_alphanumeric() || joins(c)))
        .map(|word| word.trim_matches(joins).to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_every_alternative_in_order() {
        assert_eq!(
            expand("a {b|c} d {e|f}"),
            ["a b d e", "a b d f", "a c d e", "a c d f"]
        );
        assert_eq!(expand("plain"), ["plain"]);
        assert_eq!(expand("open { brace"), ["open { brace"]);
        assert_eq!(expand(""), [""]);
    }

    #[test]
    fn capitalises_the_first_letter_only() {
        assert_eq!(capitalise("walk the dog"), "Walk the dog");
        assert_eq!(capitalise("école"), "École");
        assert_eq!(capitalise(""), "");
    }

    #[test]
    fn splits_sentences_into_lower_case_words() {
        let expected = [vec!["don't", "stop"], vec!["two-step", "login"]];
        assert_eq!(sentences("Don't stop! ... 'Two-step' login -"), expected);
        assert!(sentences("?!..\n").is_empty());
    }
}
