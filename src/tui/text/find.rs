//! Find: where a query is in a document, and where that is on the screen.
//!
//! Letters are compared without regard to case by Unicode's simple case folding (one character for
//! one: `Σ`, `σ` and `ς` are the same, `ß` and `ss` are not). A match begins and ends between
//! graphemes, so `e` does not find half of an `é` that is written as two characters.

use std::ops::Range;

use unicode_segmentation::GraphemeCursor;

use super::graphemes::columns;
use super::row::Row;

/// Byte ranges of the matches in a document's text, from the beginning, without overlaps.
pub fn matches(text: &str, query: &str) -> Vec<Range<usize>> {
    let query: Vec<char> = query.chars().map(fold).collect();
    let Some(&first) = query.first() else {
        return vec![];
    };
    let mut found: Vec<Range<usize>> = Vec::new();
    for (start, c) in text.char_indices() {
        if fold(c) != first || found.last().is_some_and(|last| start < last.end) {
            continue;
        }
        if let Some(length) = matched(&text[start..], &query) {
            let range = start..start + length;
            if is_boundary(text, range.start) && is_boundary(text, range.end) {
                found.push(range);
            }
        }
    }
    found
}

/// The bytes of the beginning of `text` that match all of `query`.
fn matched(text: &str, query: &[char]) -> Option<usize> {
    let mut chars = text.chars();
    let all = query.iter().all(|&q| chars.next().map(fold) == Some(q));
    all.then(|| text.len() - chars.as_str().len())
}

fn is_boundary(text: &str, at: usize) -> bool {
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0) == Ok(true)
}

/// Simple case folding by way of upper case, so that the forms of one letter meet (`ς`, `ſ`, `K`).
fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let upper = only(c.to_uppercase()).unwrap_or(c);
    only(upper.to_lowercase()).unwrap_or(upper)
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}

/// A part of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which row, from 0.
    pub row: usize,
    /// Which of its columns.
    pub columns: Range<usize>,
}

/// Where a byte range of a document's text is in its rows: one place in each row that it touches.
pub fn places(rows: &[Row], found: &Range<usize>) -> Vec<Place> {
    let first = rows.partition_point(|row| row.at.end <= found.start);
    let touched = rows.iter().enumerate().skip(first);
    let touched = touched.take_while(|(_, row)| row.at.start < found.end);
    let place = |(number, row): (usize, &Row)| {
        let start = column(row, found.start.max(row.at.start));
        let end = column(row, found.end.min(row.at.end));
        (start < end).then_some(Place {
            row: number,
            columns: start..end,
        })
    };
    touched.filter_map(place).collect()
}

/// The column in which a byte of the document's text is drawn.
fn column(row: &Row, at: usize) -> usize {
    let text = row.text();
    let indent = text.len() - row.at.len().min(text.len());
    text.get(..indent + at - row.at.start).map_or(0, columns)
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "one range is what is meant"
)]
mod tests {
    use super::*;
    use crate::tui::text::document::Document;

    #[test]
    fn case_does_not_matter_and_graphemes_are_whole() {
        assert_eq!(matches("Straße STRASSE straße", "STRAßE"), [0..7, 16..23]);
        assert_eq!(matches("ΟΔΟΣ οδος", "οδοσ"), [0..8, 9..17]);
        assert_eq!(matches("aaaa", "AA"), [0..2, 2..4]);
        assert_eq!(matches("e\u{301} e", "e"), [4..5]);
        assert_eq!(matches("外の皮", "の"), [3..6]);
        assert_eq!(matches("anything", ""), [] as [Range<usize>; 0]);
    }

    #[test]
    fn a_match_across_a_break_is_in_both_rows() {
        let document = Document::raw("外の one two three");
        let rows = document.rows(8);
        let found = matches(document.text(), "ONE TWO");
        assert_eq!(rows[0].text(), "外の one");
        let at = |row, columns| Place { row, columns };
        assert_eq!(places(&rows, &found[0]), [at(0, 5..8), at(1, 0..3)]);
        assert_eq!(
            places(&rows, &(17..19)),
            [at(2, 2..4)],
            "the r and e of three"
        );
    }
}
