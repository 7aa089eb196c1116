//! What the annotator looks at: panes, focus and scrolling.
//!
//! A text of a megabyte takes tens of milliseconds to sanitise, compare or wrap. Each is done once,
//! when the text first appears or is to look different, and no key that scrolls, searches on or opens
//! a page does it again.

use std::rc::Rc;

use super::find::Find;
use super::layout::{Regions, inside, ranking_text};
use super::pair::Pair;
use super::pane::{Pane, scroll_both};
use super::ranks::Ranks;
use super::state::{App, Screen};
use crate::tui::keys::Step;
use crate::tui::text::document::Document;
use crate::tui::text::row::Mark;
use crate::tui::text::{bidi, diff, markdown};

/// What the annotator looks at and scrolls.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// The prompt.
    pub prompt: Pane,
    /// The answers, A first.
    pub answers: Vec<Pane>,
    /// The answer that has the focus; on small screens and in a ranking, the one that is visible.
    pub side: usize,
    /// The prompt has the focus instead.
    pub on_prompt: bool,
    /// The focus was moved and is shown. Before that neither answer stands out: it would bias.
    pub focused: bool,
    /// Guidelines, help or statistics, while they are open.
    page: Pane,
    /// The whole prompt as a page, once it was opened.
    whole_prompt: Pane,
    /// Markdown is shown as it is meant. It stays so from pair to pair.
    pub markdown: bool,
    /// The words in which two answers differ are marked. It stays so from pair to pair.
    pub diff: bool,
    /// What was searched for.
    pub find: Find,
    /// A ranking that was begun and wiped; undo brings it back.
    pub wiped: Option<Ranks>,
    /// The texts as they are shown now, once they were needed.
    texts: Option<Rc<Texts>>,
}

/// The answers and, last, the prompt.
#[derive(Debug, PartialEq, Default)]
pub struct Texts {
    /// Sanitised, rendered if that is asked for, with the differences marked.
    pub documents: Vec<Document>,
    /// What must be known to read each.
    pub notices: Vec<Option<&'static str>>,
}

impl Texts {
    fn of(pair: &Pair, rendered: bool, compared: bool) -> Self {
        let answer = |side| match (&pair.answer(side).text, rendered) {
            (text, true) => markdown::document(text),
            (text, false) => Document::raw(text),
        };
        let mut documents: Vec<Document> = (0..pair.answers()).map(answer).collect();
        if compared && let [a, b] = documents.as_mut_slice() {
            let [in_a, in_b] = diff::words(a.text(), b.text());
            for (document, differing) in [(a, in_a), (b, in_b)] {
                *document = std::mem::take(document).mark(&differing, Mark::Differs);
            }
        }
        let prompt = pair.prompt_text();
        documents.push(Document::raw(&prompt));
        let answers = (0..pair.answers()).map(|side| bidi::notice(&pair.answer(side).text));
        let notices = answers.chain([bidi::notice(&prompt)]).collect();
        Self { documents, notices }
    }
}

impl View {
    /// A view of another pair: from its beginning, shown in the same way.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self {
            markdown: self.markdown,
            diff: self.diff,
            ..Self::default()
        }
    }

    /// The pane of the page that is open.
    pub fn page(&self, screen: &Screen) -> &Pane {
        match screen {
            Screen::Prompt => &self.whole_prompt,
            _ => &self.page,
        }
    }

    /// The same to change.
    pub(super) fn page_mut(&mut self, screen: &Screen) -> &mut Pane {
        match screen {
            Screen::Prompt => &mut self.whole_prompt,
            _ => &mut self.page,
        }
    }

    /// Opens a page at its top.
    pub(super) fn turn_to(&mut self, screen: &Screen) {
        match screen {
            Screen::Prompt => self.whole_prompt.scroll(Step::Top),
            _ => self.page = Pane::default(),
        }
    }

    /// The pane of a stop: an answer, or the prompt behind the last of them.
    pub fn pane(&mut self, stop: usize) -> &mut Pane {
        match self.answers.get_mut(stop) {
            Some(answer) => answer,
            None => &mut self.prompt,
        }
    }

    /// The same to read.
    pub(super) fn shown(&self, stop: usize) -> &Pane {
        self.answers.get(stop).unwrap_or(&self.prompt)
    }

    /// Wraps a pair for these regions, as far as it is not wrapped already.
    pub fn fit(&mut self, pair: &Pair, regions: &Regions) {
        let texts = self.texts(pair);
        let answers = pair.answers();
        self.answers.resize_with(answers, Pane::default);
        for (stop, document) in texts.documents.iter().enumerate() {
            let area = match stop {
                _ if stop >= answers => regions.prompt,
                _ if pair.is_ranking() => ranking_text(regions.answers),
                _ => regions.answers.pane(stop),
            };
            let size = inside(area).as_size().into();
            self.pane(stop).fit(size, |width| document.rows(width));
        }
    }

    /// Wraps the prompt for its page; only once, as long as the page keeps its width.
    pub(super) fn fit_prompt(&mut self, size: (u16, u16)) {
        let prompt = self.texts.as_ref().and_then(|texts| texts.documents.last());
        if let Some(prompt) = prompt {
            self.whole_prompt.fit(size, |width| prompt.rows(width));
        }
    }

    /// The texts of the pair as they are shown now.
    pub fn texts(&mut self, pair: &Pair) -> Rc<Texts> {
        let made = self.texts.take();
        let made = made.unwrap_or_else(|| Rc::new(Texts::of(pair, self.markdown, self.diff)));
        self.texts = Some(Rc::clone(&made));
        made
    }

    /// What must be known to read the text of a stop.
    pub fn notice(&self, stop: usize) -> Option<&'static str> {
        let texts = self.texts.as_ref()?;
        texts.notices.get(stop).copied().flatten()
    }

    /// The text looks different now: the next [`View::fit`] makes and wraps it again.
    pub fn rewrap(&mut self) {
        self.texts = None;
        self.prompt.rewrap();
        self.answers.iter_mut().for_each(Pane::rewrap);
    }
}

/// Marks the words in which the answers differ, or no longer.
pub(super) fn toggle_diff(app: &mut App) {
    app.view.diff = !app.view.diff;
    app.view.rewrap();
    app.fit();
    app.hint.push_str(if app.view.diff {
        "Words that only one answer has are underlined."
    } else {
        "No differences are marked."
    });
}

/// Shows Markdown as it is meant, or as it is written.
pub(super) fn toggle_markdown(app: &mut App) {
    app.view.markdown = !app.view.markdown;
    app.view.rewrap();
    app.fit();
    // The text that was searched is another one now.
    super::find::search_again(app);
    app.hint.push_str(if app.view.markdown {
        "Markdown as it is meant, in every answer alike."
    } else {
        "The text as it was written."
    });
}

/// Scrolls what is open, or both answers in step.
pub(super) fn scroll(app: &mut App, step: Step) {
    let flips = app.flips();
    match app.screen {
        Screen::Guidelines { .. } | Screen::Help(_) | Screen::Prompt | Screen::Statistics => {
            app.view.page_mut(&app.screen).scroll(step);
        }
        _ if app.view.on_prompt || flips => scroll_focused(app, step),
        _ => scroll_both(&mut app.view.answers, step),
    }
}

pub(super) fn scroll_focused(app: &mut App, step: Step) {
    app.view.focused = true;
    let stop = if app.view.on_prompt {
        app.view.answers.len()
    } else {
        app.view.side
    };
    app.view.pane(stop).scroll(step);
}

/// A → B → … → the prompt, if it is longer than its box → A.
pub(super) fn focus_next(app: &mut App, step: isize) {
    let answers = app.view.answers.len();
    let stops = answers + usize::from(app.view.prompt.overflows());
    let here = if app.view.on_prompt {
        answers
    } else {
        app.view.side
    };
    // The first Tab on a split screen shows where the focus is; it need not move.
    let step = if app.view.focused || app.flips() {
        step
    } else {
        0
    };
    focus(
        app,
        (here as isize + step).rem_euclid(stops.max(1) as isize) as usize,
    );
}

/// Gives the focus to an answer, or to the prompt behind the last of them.
pub(super) fn focus(app: &mut App, stop: usize) {
    let answers = app.view.answers.len();
    app.view.focused = true;
    app.view.on_prompt = stop >= answers;
    if stop < answers {
        app.view.side = stop;
    }
}

/// To A or B; in a ranking, to the answer before or behind.
pub(super) fn focus_side(app: &mut App, side: usize) {
    let answers = app.view.answers.len();
    if answers > 2 {
        let step = if side == 0 { answers - 1 } else { 1 };
        focus(app, (app.view.side + step) % answers);
    } else {
        focus(app, side);
    }
}
