//! What the statistics screen knows.

use super::rows::{self, Row};
use crate::feedback::report::Report;
use crate::tui::keys::Key;

/// Fewest columns and rows on which there is something to see.
pub const SMALLEST: (u16, u16) = (30, 8);
/// Rows that are not the page: title, tabs, footer.
const FRAME: usize = 3;

/// A page of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Counts.
    Overview,
    /// Win rates and ratings.
    Policies,
    /// Agreement.
    Agreement,
    /// Everybody in one row.
    Annotators,
    /// Sides and lengths.
    Habits,
    /// Judgements over time.
    Pace,
}

/// All pages in their order, with the key and the name of each.
pub const PAGES: [(Page, Key, &str); 6] = [
    (Page::Overview, Key::Char('1'), "counts"),
    (Page::Policies, Key::Char('2'), "policies"),
    (Page::Agreement, Key::Char('3'), "agreement"),
    (Page::Annotators, Key::Char('4'), "annotators"),
    (Page::Habits, Key::Char('5'), "habits"),
    (Page::Pace, Key::Char('6'), "time"),
];

/// The state of the screen.
#[derive(Debug, Clone)]
pub struct App {
    /// What is looked at, such as the project's folder.
    pub title: String,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// The page that is open.
    pub page: Page,
    /// First visible row of the page.
    pub top: usize,
    /// What there is to show.
    pub report: Report,
    /// Whether it is being counted again right now.
    pub counting: bool,
    /// Why the last count failed; what is shown is older.
    pub problem: Option<String>,
}

impl App {
    /// The first page of a report.
    pub fn new(title: String, report: Report, size: (u16, u16)) -> Self {
        Self {
            title,
            size,
            page: Page::Overview,
            top: 0,
            report,
            counting: false,
            problem: None,
        }
    }

    /// Whether there is room to show anything.
    pub fn fits(&self) -> bool {
        self.size.0 >= SMALLEST.0 && self.size.1 >= SMALLEST.1
    }

    /// The rows of the open page.
    pub fn rows(&self) -> Vec<Row> {
        let width = usize::from(self.size.0);
        let of = match self.page {
            Page::Overview => rows::overview,
            Page::Policies => rows::policies,
            Page::Agreement => rows::agreement,
            Page::Annotators => rows::annotators,
            Page::Habits => rows::habits,
            Page::Pace => rows::pace,
        };
        // One column is left free on the left.
        rows::wrapped(of(&self.report, width), width.saturating_sub(1))
    }

    /// Rows that the page has on the screen.
    pub fn height(&self) -> usize {
        usize::from(self.size.1).saturating_sub(FRAME)
    }

    /// The highest value of [`App::top`]; any while the page cannot be shown, so that its place is kept.
    pub fn last_top(&self) -> usize {
        if !self.fits() {
            return usize::MAX;
        }
        self.rows().len().saturating_sub(self.height())
    }
}
