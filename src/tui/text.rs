//! Model output as lines that are safe to draw: sanitised, then wrapped grapheme by grapheme.
//!
//! Model output is arbitrary text. Nothing in it is ever interpreted: escape sequences, control
//! characters, direction overrides and invisible characters appear as visible marks, so that two
//! answers that look alike are alike. Wrapping is done here and not by `Paragraph::wrap`, which can
//! panic on wide emoji and leading combining marks (ratatui issue 2679).
//!
//! Widths come from ratatui's own [`CellWidth`], so that what is measured is what is drawn.

use ratatui::buffer::CellWidth;
use unicode_segmentation::UnicodeSegmentation;

/// Columns between tab stops.
const TAB: usize = 4;

/// Characters kept in one grapheme cluster. The longest emoji sequences in use have eleven; a
/// megabyte of stacked accents would otherwise be one cell.
const CLUSTER_CHARS: usize = 16;

/// Punctuation that must not begin a row of Chinese or Japanese text.
const NO_ROW_START: &str = "、。，．！？）」』】〉》：；ー";

/// `text` as rows of at most `width` columns (at least one column and one row).
///
/// Rows break at spaces and beside wide characters where they can, else between graphemes. Spaces
/// at a break are dropped; indentation and blank lines stay.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut rows = Vec::new();
    for line in sanitise(text).split('\n') {
        wrap_line(line, width, &mut rows);
    }
    rows
}

/// The row being filled by [`wrap_line`].
#[derive(Default)]
struct Row {
    text: String,
    columns: usize,
    /// Where the row may be cut: byte offset and columns before it.
    cut: Option<(usize, usize)>,
    /// Something other than a space has been written: cutting after mere indentation is no use.
    ink: bool,
}

impl Row {
    /// Ends the row at its last good place; what follows it stays as the beginning of the next.
    fn cut(&mut self) -> String {
        let (bytes, columns) = self.cut.take().unwrap_or((self.text.len(), self.columns));
        let rest = self.text.split_off(bytes);
        self.columns -= columns;
        self.ink = !rest.is_empty();
        std::mem::replace(&mut self.text, rest)
    }
}

fn wrap_line(line: &str, width: usize, rows: &mut Vec<String>) {
    let mut row = Row::default();
    let mut previous = "";
    for grapheme in line.graphemes(true) {
        // A cluster wider than the whole row (never seen outside hostile text) becomes one mark.
        let grapheme = if columns_of(grapheme) > width {
            "\u{fffd}"
        } else {
            grapheme
        };
        let columns = columns_of(grapheme);
        if row.ink && may_break(previous, grapheme) {
            row.cut = Some((row.text.len(), row.columns));
        }
        previous = grapheme;
        if row.columns + columns > width && grapheme == " " {
            continue;
        }
        while row.columns + columns > width {
            rows.push(row.cut());
        }
        row.text.push_str(grapheme);
        row.columns += columns;
        row.ink |= grapheme != " ";
    }
    rows.push(row.text);
}

fn may_break(previous: &str, next: &str) -> bool {
    let after_space = previous == " " && next != " ";
    let beside_wide = columns_of(previous) == 2 || columns_of(next) == 2;
    after_space || (beside_wide && next != " " && !NO_ROW_START.contains(next))
}

fn columns_of(grapheme: &str) -> usize {
    match grapheme.as_bytes() {
        [] => 0,
        [_] => 1,
        _ => usize::from(grapheme.cell_width()),
    }
}

/// Columns that a sanitised single-line text takes on the screen.
pub fn columns(text: &str) -> usize {
    text.graphemes(true).map(columns_of).sum()
}

/// The longest beginning of a sanitised single-line text that fits `width` columns; `…` marks a cut.
pub fn fit(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for grapheme in text.graphemes(true) {
        used += columns_of(grapheme);
        if used > width {
            break;
        }
        out.push_str(grapheme);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// `text` without anything a terminal might interpret or hide: only printable graphemes and `\n`.
///
/// Tabs become spaces up to the next stop of four; C0 controls become control pictures (`␛`); C1,
/// bidi and invisible characters become `⟨U+202E⟩`; a combining mark with nothing to stand on gets
/// a dotted circle.
pub fn sanitise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        sanitise_line(line.strip_suffix('\r').unwrap_or(line), &mut out);
    }
    out
}

fn sanitise_line(line: &str, out: &mut String) {
    // Columns are counted only up to each tab, so a line full of tabs stays linear.
    let (mut counted, mut column) = (out.len(), 0);
    for grapheme in line.graphemes(true) {
        match grapheme.as_bytes() {
            [b'\t'] => {
                column += columns(&out[counted..]);
                let spaces = TAB - column % TAB;
                out.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
                counted = out.len();
            }
            [b' '..=b'~'] => out.push_str(grapheme),
            _ => sanitise_cluster(grapheme, out),
        }
    }
}

fn sanitise_cluster(cluster: &str, out: &mut String) {
    let mut visible = String::new();
    for c in cluster.chars().take(CLUSTER_CHARS) {
        // Nothing joins a mark, or the second of two hidden characters would stay hidden.
        let previous = visible.chars().next_back().filter(|&c| c != '⟩');
        push_visible(c, previous, &mut visible);
    }
    let left_out = cluster.chars().skip(CLUSTER_CHARS).count();
    if left_out > 0 {
        visible.extend([format!("⟨+{left_out}⟩")]);
    }
    for grapheme in visible.graphemes(true) {
        if columns_of(grapheme) == 0 {
            push_based(grapheme, out);
        } else {
            out.push_str(grapheme);
        }
    }
}

/// Makes a grapheme of no width visible: on a dotted circle, or as marks if it will not join one.
fn push_based(bare: &str, out: &mut String) {
    let based = format!("\u{25cc}{bare}");
    if based.graphemes(true).count() == 1 {
        out.push_str(&based);
    } else {
        bare.chars().for_each(|c| push_mark(c, out));
    }
}

fn push_visible(c: char, previous: Option<char>, out: &mut String) {
    match c {
        '\0'..='\x1f' => out.extend(char::from_u32(0x2400 + u32::from(c))),
        '\x7f' => out.push('␡'),
        '\u{80}'..='\u{9f}' => push_mark(c, out),
        _ if is_invisible(c) && !is_joining(c, previous) => push_mark(c, out),
        _ => out.push(c),
    }
}

fn push_mark(c: char, out: &mut String) {
    out.extend([format!("⟨U+{:04X}⟩", u32::from(c))]);
}

/// Characters that change or hide text without a glyph of their own (`Default_Ignorable`, bidi
/// controls, line separators, tags).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether an invisible character does honest work here: a joiner or variation selector inside an
/// emoji or a script that needs it, or the tags of a flag. After ASCII, or twice, it only hides.
fn is_joining(c: char, previous: Option<char>) -> bool {
    let Some(previous) = previous else {
        return false;
    };
    match c {
        '\u{200c}' | '\u{200d}' => !previous.is_ascii() && previous != '\u{200c}' && previous != c,
        '\u{fe0e}' | '\u{fe0f}' => {
            matches!(previous, '0'..='9' | '#' | '*')
                || !(previous.is_ascii() || is_invisible(previous))
        }
        '\u{e0020}'..='\u{e007f}' => {
            matches!(previous, '\u{1f3f4}' | '\u{e0020}'..='\u{e007e}')
        }
        _ => false,
    }
}
