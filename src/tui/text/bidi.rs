//! Right-to-left text. It is drawn in logical order, because terminals disagree about reordering
//! and a reordered line could not be wrapped, searched or compared safely; the reader is told.

/// What the reader must know about the text besides the text, if anything.
pub fn notice(text: &str) -> Option<&'static str> {
    text.contains(is_right_to_left)
        .then_some("right-to-left, in logical order")
}

/// Letters whose bidirectional class is R or AL: Hebrew to Arabic Extended-A, the presentation
/// forms, and the right-to-left scripts of plane 1 (Unicode's `DerivedBidiClass.txt`, by block).
fn is_right_to_left(c: char) -> bool {
    matches!(c,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hebrew_and_arabic_are_told_and_nothing_else_is() {
        for text in ["abc שלום", "مرحبا", "ﻻ", "𐤀", "𞤀"] {
            assert_eq!(
                notice(text),
                Some("right-to-left, in logical order"),
                "{text}"
            );
        }
        for text in ["", "abc", "外の皮", "Привет", "नमस्ते", "\u{202e}abc"] {
            assert_eq!(notice(text), None, "{text}");
        }
    }
}
