//! Model output as rows that are safe to draw.
//!
//! Model output is arbitrary text. Nothing in it is ever interpreted by the terminal: escape
//! sequences, control characters, direction overrides and invisible characters appear as visible
//! marks, so that two answers that look alike are alike.
//!
//! | file | what |
//! |---|---|
//! | [`mod@sanitise`], [`hidden`] | text → text that a terminal only prints |
//! | [`document`] | sanitised text with marks on it: raw, or rendered as [`markdown`] |
//! | [`mod@wrap`], [`row`] | document → rows of at most so many columns |
//! | [`diff`], [`find`] | which parts of a document to mark |
//! | [`bidi`] | whether the reader must be told about right-to-left text |
//! | [`graphemes`] | what people see as one character, and its columns |
//!
//! ```
//! use rlhf::tui::text::{diff, document::Document, row::Mark};
//! let [a, b] = ["Bake it longer.", "Bake it hotter."].map(Document::raw);
//! let [in_a, _] = diff::words(a.text(), b.text());
//! let rows = a.mark(&in_a, Mark::Differs).rows(40);
//! assert_eq!(rows[0].spans[1].text, "longer");
//! ```
//!
//! Everything here is pure, and linear in the length of the text.

pub mod bidi;
pub mod diff;
pub mod document;
pub mod find;
pub mod graphemes;
pub mod hidden;
pub mod markdown;
pub mod row;
pub mod sanitise;
pub mod wrap;

pub use graphemes::{columns, fit};
pub use row::Row;
pub use sanitise::sanitise;

/// `text` as it is, sanitised, as rows of at most `width` columns (at least one column and one row).
pub fn wrap(text: &str, width: usize) -> Vec<Row> {
    document::Document::raw(text).rows(width)
}
