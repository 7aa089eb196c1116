//! Wrapping, grapheme by grapheme.
//!
//! Done here and not by `Paragraph::wrap`, which can panic on wide emoji and leading combining marks
//! (ratatui issue 2679); scrolling, search and "read to the end" need the rows anyway.

use std::ops::Range;

use super::document::{Document, Line};
use super::graphemes::{clusters, columns, columns_of, fit};
use super::row::{Mark, Marks, Row, Span};

/// Punctuation that must not begin a row of Chinese or Japanese text.
const NO_ROW_START: &str = "、。，．！？）」』】〉》：；ー";

/// Columns that indentation leaves for the text, if there are as many.
const TEXT_COLUMNS: usize = 12;

impl Document {
    /// The document as rows of at most `width` columns (at least one column and one row).
    ///
    /// Rows break at spaces and beside wide characters where they can, else between graphemes.
    /// Spaces that do not fit before a break are dropped; indentation and blank lines stay. A
    /// grapheme wider than the row is broken into its characters, and a wide character in a row of
    /// one column becomes `\u{fffd}`: nothing else is left out or changed.
    pub fn rows(&self, width: usize) -> Vec<Row> {
        let width = width.max(1);
        let mut painter = Painter {
            text: self.text(),
            runs: self.runs(),
            run: 0,
            width,
            rows: Vec::new(),
        };
        let mut start = 0;
        for (number, text) in self.text().split('\n').enumerate() {
            painter.line(start, text, &self.line(number));
            start += text.len() + 1;
        }
        painter.rows
    }
}

/// Turns ranges of the text into rows of marked spans.
struct Painter<'a> {
    text: &'a str,
    runs: Vec<(usize, Marks)>,
    /// The run that holds where the next row begins, or an earlier one.
    run: usize,
    width: usize,
    rows: Vec<Row>,
}

impl Painter<'_> {
    fn line(&mut self, start: usize, text: &str, line: &Line) {
        let room = self.width.saturating_sub(TEXT_COLUMNS);
        let (first, rest) = (fit(&line.first, room), fit(&line.rest, room));
        let indent = columns(&first).max(columns(&rest));
        for (i, at) in breaks(text, self.width - indent, line.hard)
            .into_iter()
            .enumerate()
        {
            let before = if i == 0 { &first } else { &rest };
            self.row(before, indent, start + at.start..start + at.end);
        }
    }

    fn row(&mut self, before: &str, indent: usize, at: Range<usize>) {
        let mut spans = Vec::new();
        if indent > 0 {
            spans.push(Span {
                text: format!("{before}{}", " ".repeat(indent - columns(before))),
                marks: Marks::default().with(Mark::Structure),
            });
        }
        while self
            .runs
            .get(self.run + 1)
            .is_some_and(|run| run.0 <= at.start)
        {
            self.run += 1;
        }
        let (mut from, mut run) = (at.start, self.run);
        while from < at.end {
            let next = self
                .runs
                .get(run + 1)
                .map_or(at.end, |next| next.0.min(at.end));
            self.span(from..next, self.runs[run].1, &mut spans);
            (from, run) = (next, run + 1);
        }
        self.rows.push(Row { spans, at, indent });
    }

    fn span(&self, at: Range<usize>, marks: Marks, spans: &mut Vec<Span>) {
        let text = &self.text[at];
        let text = if self.width == 1 && columns(text) > 1 {
            "\u{fffd}"
        } else {
            text
        };
        match spans.last_mut() {
            Some(last) if last.marks == marks => last.text.push_str(text),
            _ => spans.push(Span {
                text: text.to_owned(),
                marks,
            }),
        }
    }
}

/// Where a row may end and the next may begin.
#[derive(Clone, Copy, Default)]
struct Cut {
    end: usize,
    next: usize,
    columns: usize,
}

/// The byte ranges of a line's rows. What lies between two of them is spaces.
fn breaks(line: &str, width: usize, hard: bool) -> Vec<Range<usize>> {
    let mut rows = Vec::new();
    let (mut start, mut here) = (0, Cut::default());
    let mut cut: Option<Cut> = None;
    // Cutting after mere indentation is no use.
    let mut ink = false;
    let mut previous = ("", 0);
    for unit in clusters(line).flat_map(|cluster| units(cluster, width)) {
        let wide = columns_of(unit);
        if ink && !hard && may_break(previous, (unit, wide)) {
            cut = Some(here);
        }
        previous = (unit, wide);
        if here.columns + wide > width && unit == " " && !hard {
            here.next += unit.len();
            continue;
        }
        while here.columns + wide > width && here.next > start {
            let at = cut.take().unwrap_or(here);
            rows.push(start..at.end);
            start = at.next;
            here.columns -= at.columns;
            ink = here.next > start;
        }
        here.next += unit.len();
        here.end = here.next;
        here.columns += wide;
        ink |= unit != " ";
    }
    rows.push(start..here.end.max(start));
    rows
}

/// A cluster, or its characters if it is wider than a whole row (never seen outside hostile text).
fn units(cluster: &str, width: usize) -> impl Iterator<Item = &str> {
    let whole = cluster.len() == 1 || columns_of(cluster) <= width;
    let mut rest = cluster;
    std::iter::from_fn(move || {
        let end = if whole { rest.len() } else { unit_end(rest) };
        let (unit, after) = rest.split_at(end);
        rest = after;
        (!unit.is_empty()).then_some(unit)
    })
}

/// The end of the first character and of those without width that follow it.
fn unit_end(text: &str) -> usize {
    let mut ends = text.char_indices().skip(1);
    ends.find(|&(i, c)| columns_of(&text[i..i + c.len_utf8()]) > 0)
        .map_or(text.len(), |(i, _)| i)
}

fn may_break(previous: (&str, usize), next: (&str, usize)) -> bool {
    let after_space = previous.0 == " " && next.0 != " ";
    let beside_wide = previous.1 == 2 || next.1 == 2;
    after_space || (beside_wide && next.0 != " " && !NO_ROW_START.contains(next.0))
}
