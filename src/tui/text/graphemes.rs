//! Grapheme clusters: what people see as one character, and the columns that it takes.
//!
//! Widths come from ratatui's own [`CellWidth`], so that what is measured is what is drawn.

use ratatui::buffer::CellWidth;
use unicode_segmentation::{Graphemes, UnicodeSegmentation};

/// The grapheme clusters of a text, as `graphemes(true)` of `unicode-segmentation` gives them, but
/// several times as fast on ASCII: two ASCII bytes are always two clusters, `\r\n` excepted.
pub fn clusters(text: &str) -> Clusters<'_> {
    Clusters {
        rest: text,
        mixed: "".graphemes(true),
    }
}

/// See [`clusters`].
#[derive(Debug, Clone)]
pub struct Clusters<'a> {
    rest: &'a str,
    /// What is left of a stretch that is not pure ASCII.
    mixed: Graphemes<'a>,
}

impl<'a> Iterator for Clusters<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if let Some(cluster) = self.mixed.next() {
            return Some(cluster);
        }
        let bytes = self.rest.as_bytes();
        let simple = match bytes {
            [] => return None,
            [b'\r', b'\n', ..] => return Some(self.take(2)),
            [a] => a.is_ascii(),
            [a, b, ..] => a.is_ascii() && b.is_ascii(),
        };
        if simple {
            return Some(self.take(1));
        }
        let apart = |pair: &[u8]| pair.is_ascii() && pair != b"\r\n";
        let end = bytes.windows(2).position(apart);
        let stretch = self.take(end.map_or(bytes.len(), |last| last + 1));
        self.mixed = stretch.graphemes(true);
        self.mixed.next()
    }
}

impl<'a> Clusters<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }
}

/// Columns of one sanitised cluster.
pub fn columns_of(cluster: &str) -> usize {
    match cluster.as_bytes() {
        [] => 0,
        [_] => 1,
        _ => usize::from(cluster.cell_width()),
    }
}

/// Columns that a sanitised single-line text takes on the screen.
pub fn columns(text: &str) -> usize {
    clusters(text).map(columns_of).sum()
}

/// The longest beginning of a sanitised single-line text that fits `width` columns; `…` marks a cut.
pub fn fit(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for cluster in clusters(text) {
        used += columns_of(cluster);
        if used > width {
            break;
        }
        out.push_str(cluster);
    }
    if width > 0 {
        out.push('…');
    }
    out
}
