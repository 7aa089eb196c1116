//! A sanitised text with marks on it, ready to be wrapped.

use std::ops::Range;

use super::graphemes::clusters;
use super::row::{Mark, Marks};
use super::sanitise::Sanitised;

/// How one line of a document is wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// Sanitised text before the first row: `• `.
    pub first: String,
    /// Sanitised text before the rows that follow, of the same width.
    pub rest: String,
    /// Break only where the row is full, never at a space: code.
    pub hard: bool,
}

/// A text that is safe to draw, and what its parts are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    text: String,
    marks: Vec<(Range<usize>, Mark)>,
    lines: Vec<Line>,
}

impl Document {
    /// A text as it is, only sanitised: what an annotator sees unless asked otherwise.
    pub fn raw(text: &str) -> Self {
        Self::sanitised(text, vec![], vec![])
    }

    /// A text with marks on it and a layout for each of its lines, before it is sanitised.
    pub(super) fn sanitised(
        text: &str,
        marks: Vec<(Range<usize>, Mark)>,
        lines: Vec<Line>,
    ) -> Self {
        let clean = Sanitised::of(text);
        let mut ends: Vec<usize> = marks
            .iter()
            .flat_map(|(at, _)| [at.start, at.end])
            .collect();
        ends.sort_unstable();
        ends.dedup();
        let moved = clean.offsets(ends.iter().copied());
        let place = |at| ends.binary_search(&at).map_or(0, |i| moved[i]);
        let moved = marks
            .into_iter()
            .map(|(at, mark)| (place(at.start)..place(at.end), mark));
        let controls = clean.marks.into_iter().map(|at| (at, Mark::Control));
        Self {
            marks: moved.chain(controls).collect(),
            text: clean.text,
            lines,
        }
    }

    /// The sanitised text: printable graphemes and `\n`. Ranges of [`diff`](super::diff) and
    /// [`find`](super::find) are byte ranges of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Puts a mark on byte ranges of the text.
    #[must_use]
    pub fn mark(mut self, ranges: &[Range<usize>], mark: Mark) -> Self {
        self.marks
            .extend(ranges.iter().map(|range| (range.clone(), mark)));
        self
    }

    /// How a line is wrapped, counted from 0.
    pub(super) fn line(&self, number: usize) -> Line {
        self.lines.get(number).cloned().unwrap_or_default()
    }

    /// Where which marks begin to hold: rising offsets, the first of them 0.
    pub(super) fn runs(&self) -> Vec<(usize, Marks)> {
        let starts = self.marks.iter().map(|(at, mark)| (at.start, 1, *mark));
        let ends = self.marks.iter().map(|(at, mark)| (at.end, -1, *mark));
        let mut changes: Vec<(usize, i32, Mark)> = starts.chain(ends).collect();
        changes.sort_unstable_by_key(|&(at, ..)| at);
        self.snap(&mut changes);
        let mut open = [0; Mark::ALL.len()];
        let mut runs = vec![(0, Marks::default())];
        for (at, change, mark) in changes {
            open[mark as usize] += change;
            let held = Mark::ALL
                .into_iter()
                .filter(|&mark| open[mark as usize] > 0);
            let marks = held.fold(Marks::default(), Marks::with);
            match runs.last_mut() {
                Some(last) if last.0 == at => last.1 = marks,
                _ => runs.push((at, marks)),
            }
        }
        runs
    }

    /// Moves each change to the next boundary of a grapheme: half a grapheme cannot be drawn.
    fn snap(&self, changes: &mut [(usize, i32, Mark)]) {
        let (mut clusters, mut boundary) = (clusters(&self.text), 0);
        for (at, ..) in changes {
            while boundary < *at
                && let Some(cluster) = clusters.next()
            {
                boundary += cluster.len();
            }
            *at = boundary;
        }
    }
}
