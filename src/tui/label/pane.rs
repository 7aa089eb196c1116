//! A scrolling text: its rows, where it stands, and how much of it has been seen.

use crate::tui::keys::Step;
use crate::tui::text::Row;

/// A text wrapped for a pane of a given size.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pane {
    rows: Vec<Row>,
    width: u16,
    height: usize,
    top: usize,
    /// Which rows have been on the screen.
    seen: Vec<bool>,
}

impl Pane {
    /// Makes the pane this large. If its width is new, `rows` wraps the text again; how far it was
    /// scrolled, as a share, and what was seen are kept.
    pub fn fit(&mut self, (width, height): (u16, u16), rows: impl FnOnce(usize) -> Vec<Row>) {
        let place = self.place();
        if self.rows.is_empty() || width != self.width {
            self.rows = rows(usize::from(width));
            let (old, new) = (self.seen.len(), self.rows.len());
            self.seen = (0..new)
                .map(|i| old > 0 && self.seen[i * old / new])
                .collect();
        }
        (self.width, self.height) = (width, usize::from(height));
        self.go_to(place);
    }

    /// The text looks different now (rendered, marked): the next [`fit`](Self::fit) wraps it again.
    pub fn rewrap(&mut self) {
        self.width = 0;
    }

    /// All rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows on the screen.
    pub fn visible(&self) -> &[Row] {
        let end = (self.top + self.height).min(self.rows.len());
        &self.rows[self.top.min(end)..end]
    }

    /// First and last row on the screen, counted from 1.
    pub fn range(&self) -> (usize, usize) {
        let last = (self.top + self.height).min(self.rows.len());
        ((self.top + 1).min(last), last)
    }

    /// Whether not all rows fit.
    pub fn overflows(&self) -> bool {
        self.rows.len() > self.height
    }

    /// How many rows the top can move.
    pub fn slack(&self) -> usize {
        self.rows.len().saturating_sub(self.height)
    }

    /// How far it is scrolled: 0 at the beginning, 1 at the end.
    pub fn place(&self) -> f64 {
        if self.slack() == 0 {
            0.0
        } else {
            self.top as f64 / self.slack() as f64
        }
    }

    /// Scrolls to a place between 0 and 1.
    pub fn go_to(&mut self, place: f64) {
        self.top = (place.clamp(0.0, 1.0) * self.slack() as f64).round() as usize;
    }

    /// Scrolls by a step; a page keeps one row of what was on the screen.
    pub fn scroll(&mut self, step: Step) {
        let page = self.height.saturating_sub(1).max(1);
        let top = match step {
            Step::Down => self.top + 1,
            Step::Up => self.top.saturating_sub(1),
            Step::PageDown => self.top + page,
            Step::PageUp => self.top.saturating_sub(page),
            Step::Top => 0,
            Step::Bottom => usize::MAX,
        };
        self.top = top.min(self.slack());
    }

    /// Scrolls so that a row, counted from 0, is on the screen.
    pub fn show_row(&mut self, row: usize) {
        if !(self.top..self.top + self.height).contains(&row) {
            self.top = row.saturating_sub(self.height / 2).min(self.slack());
        }
    }

    /// What is on the screen now has been seen.
    pub fn look(&mut self) {
        let (first, last) = self.range();
        if first > 0 {
            self.seen[first - 1..last].fill(true);
        }
    }

    /// The share of the text that has been on the screen, 0..1.
    pub fn seen(&self) -> f64 {
        let seen = self.seen.iter().filter(|&&seen| seen).count();
        seen as f64 / self.seen.len().max(1) as f64
    }
}

/// Scrolls two panes together: the longer one by the step, the other to the same place.
pub fn scroll_both(panes: &mut [Pane], step: Step) {
    let [a, b] = panes else { return };
    let (lead, follow) = if b.slack() > a.slack() {
        (b, a)
    } else {
        (a, b)
    };
    lead.scroll(step);
    follow.go_to(lead.place());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::text::wrap;

    fn pane(lines: usize, height: u16) -> Pane {
        let text: Vec<String> = (1..=lines).map(|i| i.to_string()).collect();
        let mut pane = Pane::default();
        pane.fit((10, height), |width| wrap(&text.join("\n"), width));
        pane
    }

    #[test]
    fn scrolling_stops_at_both_ends() {
        let mut p = pane(10, 4);
        p.scroll(Step::Up);
        assert_eq!((p.visible()[0].text().as_str(), p.range()), ("1", (1, 4)));
        p.scroll(Step::PageDown);
        assert_eq!(p.range(), (4, 7));
        p.scroll(Step::Bottom);
        p.scroll(Step::Down);
        assert_eq!((p.visible()[3].text().as_str(), p.range()), ("10", (7, 10)));
    }

    #[test]
    fn the_shorter_pane_follows_in_proportion() {
        let mut panes = [pane(8, 4), pane(24, 4)];
        for _ in 0..10 {
            scroll_both(&mut panes, Step::Down);
        }
        assert_eq!((panes[0].range().0, panes[1].range().0), (3, 11));
        scroll_both(&mut panes, Step::Bottom);
        assert_eq!((panes[0].range().1, panes[1].range().1), (8, 24));
    }

    #[test]
    fn what_was_seen_is_remembered() {
        let mut p = pane(10, 4);
        assert_eq!(p.seen(), 0.0);
        p.look();
        assert_eq!(p.seen(), 0.4);
        p.scroll(Step::Bottom);
        p.look();
        assert_eq!(p.seen(), 0.8, "jumping over the middle is not reading it");
        p.scroll(Step::Up);
        p.scroll(Step::Up);
        p.look();
        assert_eq!(p.seen(), 1.0);
    }

    #[test]
    fn a_new_width_keeps_the_place() {
        let text = "word ".repeat(100);
        let mut p = Pane::default();
        p.fit((50, 5), |width| wrap(&text, width));
        p.go_to(0.5);
        p.fit((25, 5), |width| wrap(&text, width));
        assert_eq!((p.rows().len(), p.slack(), p.range().0), (20, 15, 10));
    }

    #[test]
    fn another_look_at_the_same_size_keeps_place_and_what_was_seen() {
        let mut p = pane(20, 5);
        p.scroll(Step::Bottom);
        p.look();
        p.fit((10, 5), |_| unreachable!("neither width nor look changed"));
        p.rewrap();
        p.fit((10, 5), |width| wrap(&"x\n".repeat(39), width));
        assert_eq!((p.rows().len(), p.range(), p.seen()), (40, (36, 40), 0.25));
    }
}
