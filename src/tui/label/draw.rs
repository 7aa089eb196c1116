//! The labelling screen as cells. Reads the state, changes nothing, decides nothing.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, BorderType, Clear, Widget};

use super::dialog;
use super::field::Field;
use super::find;
use super::header;
use super::layout::{Answers, Regions, inside};
use super::pane::Pane;
use super::ranking;
use super::remarks::Remarks;
use super::scale_row;
use super::state::{App, Pair, Role, Screen};
use super::view::View;
use crate::tui::keys::{Action, GAP, Mode};
use crate::tui::text::{Row, columns, fit, sanitise};
use crate::tui::theme::Theme;

/// Where the row below the answers begins.
const MARGIN: usize = 2;

/// How comment and flags are written below the answers.
#[derive(Clone, Copy)]
struct Form {
    /// The columns that each has.
    columns: usize,
    /// With the word beside what is set.
    named: bool,
}

impl Form {
    fn word(self, name: &str, set: &str) -> String {
        match (set, self.named) {
            ("", _) => name.to_owned(),
            (_, true) => format!("{name}: {set}"),
            (_, false) => set.to_owned(),
        }
    }
}

/// The forms, roomiest first: the first that fits is taken, so that a long comment hides no flag.
const FORMS: [Form; 5] = [
    form(32, true),
    form(20, true),
    form(12, true),
    form(12, false),
    form(8, false),
];

const fn form(columns: usize, named: bool) -> Form {
    Form { columns, named }
}

/// Where the cells go and how they look.
pub(super) struct Canvas<'a> {
    pub(super) buffer: &'a mut Buffer,
    pub(super) theme: Theme,
}

impl Canvas<'_> {
    /// Writes one line of text, cut to the columns there are; returns the column after it.
    ///
    /// Everything on the screen passes here, so this is where nothing unsafe passes, whatever was
    /// sanitised before.
    pub(super) fn put(&mut self, area: Rect, x: u16, text: &str, style: Style) -> u16 {
        if area.is_empty() || x >= area.right() {
            return x;
        }
        let room = usize::from(area.right() - x);
        let text = sanitise(text).replace('\n', "␊");
        self.buffer.set_stringn(x, area.y, text, room, style).0
    }

    /// Writes text at the right end of an area, if it fits there.
    pub(super) fn put_right(&mut self, area: Rect, from: u16, text: &str, style: Style) {
        let x = area.right().saturating_sub(columns(text) as u16);
        if x >= from {
            self.put(area, x, text, style);
        }
    }

    /// Writes rows of text from the top of an area.
    pub(super) fn put_rows(&mut self, area: Rect, rows: &[Row]) {
        for (row, y) in rows.iter().zip(area.y..area.bottom()) {
            let line = Rect {
                y,
                height: 1,
                ..area
            };
            row.spans.iter().fold(area.x, |x, span| {
                self.put(line, x, &span.text, self.theme.marked(span.marks))
            });
        }
    }

    /// A border with a title at the left and another at the right.
    pub(super) fn frame(&mut self, area: Rect, left: &str, right: &str, focused: bool) {
        let theme = self.theme;
        let (kind, style) = if focused {
            (BorderType::Double, theme.focus())
        } else {
            (BorderType::Plain, theme.faint())
        };
        Clear.render(area, self.buffer);
        Block::bordered()
            .border_type(kind)
            .border_style(style)
            .render(area, self.buffer);
        let top = Rect {
            width: area.width.saturating_sub(1),
            height: 1,
            ..area
        };
        let end = self.put(top, area.x + 2, left, theme.strong());
        self.put_right(
            Rect {
                width: top.width.saturating_sub(1),
                ..top
            },
            end + 1,
            right,
            theme.faint(),
        );
    }

    /// Keys and words, such as `u undo   ? help`.
    pub(super) fn put_keys(&mut self, area: Rect, x: u16, keys: &[(String, &str)]) -> u16 {
        keys.iter().fold(x, |x, (key, word)| {
            let x = self.put(area, x, key, self.theme.strong());
            self.put(area, x + 1, word, self.theme.text()) + GAP as u16
        })
    }
}

/// Draws the whole screen.
pub fn draw(app: &App, buffer: &mut Buffer) {
    let area = buffer.area;
    let theme = app.setup.theme;
    let mut canvas = Canvas { buffer, theme };
    let Some(regions) = app.regions() else {
        dialog::too_small(app, &mut canvas, area);
        return;
    };
    header::draw(app, &mut canvas, regions.header);
    match &app.screen {
        Screen::Guidelines { .. } => dialog::page(app, &mut canvas, "Guidelines"),
        Screen::Help(_) => dialog::page(app, &mut canvas, "Help"),
        Screen::Prompt => dialog::page(app, &mut canvas, "Prompt"),
        Screen::Statistics => dialog::page(app, &mut canvas, "Statistics"),
        Screen::History => dialog::history(app, &mut canvas),
        Screen::Locked(holder) => dialog::locked(app, &mut canvas, holder),
        _ => over_base(app, &mut canvas, &regions),
    }
    match &app.search {
        Some(field) => search(app, &mut canvas, regions.footer, field),
        None => footer(app, &mut canvas, regions.footer),
    }
}

/// The pair, or what is said in its place, and the dialog over it.
fn over_base(app: &App, canvas: &mut Canvas, regions: &Regions) {
    match app.base() {
        Screen::BatchDone => dialog::batch_done(app, canvas),
        Screen::WaitingForSamples => dialog::waiting(app, canvas),
        _ => pair(app, canvas, regions),
    }
    last(app, canvas, regions.last);
    dialog::over_pair(app, canvas, regions);
}

fn search(app: &App, canvas: &mut Canvas, area: Rect, field: &Field) {
    let end = canvas.put(area, 1, "/", canvas.theme.strong());
    let shown = sanitise(&field.shown()).replace('\n', " ");
    let end = canvas.put(area, end, &shown, canvas.theme.text());
    let [enter, esc] = [Action::Confirm, Action::Back].map(|action| app.key(Mode::Search, action));
    let keys = format!("{enter} finds · {esc} leaves");
    canvas.put_right(area, end + 2, &keys, canvas.theme.faint());
}

fn footer(app: &App, canvas: &mut Canvas, area: Rect) {
    let room = usize::from(area.width.saturating_sub(1));
    let keys = app.setup.keymap.footer(&app.context(), room);
    canvas.put_keys(area, 1, &keys);
}

fn pair(app: &App, canvas: &mut Canvas, regions: &Regions) {
    let Some(pair) = app.pair() else { return };
    let view = &app.view;
    let focused = view.focused && view.on_prompt;
    let range = prompt_range(&view.prompt, regions.prompt.width);
    let title = beside_range(&prompt_title(pair, view), &range, regions.prompt);
    canvas.frame(regions.prompt, &title, &range, focused);
    text(view, canvas, regions.prompt, pair.answers());
    if pair.is_ranking() {
        ranking::draw(app, canvas, regions.answers, pair);
        ranking::draw_row(app, canvas, regions.scale);
    } else {
        answers(app, canvas, regions.answers);
        scale_row::draw(app, canvas, regions.scale);
    }
    beside(app, canvas, regions.beside);
}

/// The text of a pane with what was found in it.
pub(super) fn text(view: &View, canvas: &mut Canvas, pane: Rect, stop: usize) {
    canvas.put_rows(inside(pane), view.shown(stop).visible());
    find::draw(view, canvas, inside(pane), stop);
}

fn answers(app: &App, canvas: &mut Canvas, answers: Answers) {
    let view = &app.view;
    match answers {
        Answers::Split(panes) => {
            for (side, (area, name)) in panes.into_iter().zip(["A", "B"]).enumerate() {
                let focused = view.focused && !view.on_prompt && view.side == side;
                let name = format!(" {name}{} ", notice(view, side));
                answer(canvas, area, &name, (view, side), focused);
            }
        }
        Answers::Flip(area) => {
            let name = format!(" A   B{} ", notice(view, view.side));
            answer(canvas, area, &name, (view, view.side), false);
            let (x, name) = [(area.x + 2, "[A]"), (area.x + 6, "[B]")][view.side.min(1)];
            canvas.put(Rect { height: 1, ..area }, x, name, canvas.theme.selected());
        }
    }
}

/// What must be known to read a text.
fn notice(view: &View, stop: usize) -> String {
    let notice = view.notice(stop);
    notice.map_or(String::new(), |notice| format!(" · {notice}"))
}

fn last(app: &App, canvas: &mut Canvas, area: Rect) {
    let unkept = app.unkept.as_ref();
    let unkept = unkept.map(|error| format!("What is begun could not be kept: {error}"));
    let said = match app.message.as_str() {
        "" => guidance(&app.setup.role, area.width),
        message => message,
    };
    let (text, style) = match (app.hint.as_str(), &unkept) {
        ("", None) => (said, canvas.theme.text()),
        ("", Some(unkept)) => (unkept.as_str(), canvas.theme.warning()),
        (hint, _) => (hint, canvas.theme.warning()),
    };
    let room = usize::from(area.width).saturating_sub(2);
    canvas.put(area, 1, &fit(text, room), style);
}

/// What a judgement does here, as long as nothing else is to be said.
fn guidance(role: &Role, width: u16) -> &'static str {
    match (role, width) {
        (Role::Annotator, _) => "",
        (Role::Adjudicator, 100..) => {
            "People disagree on these items. Your judgement settles each; theirs stay in the record."
        }
        (Role::Reviewer(_), 100..) => {
            "Somebody judged these items. Your judgement settles each; theirs stays in the record."
        }
        (Role::Adjudicator, 64..) => {
            "Your judgement settles a dispute; the others' stay on record."
        }
        (Role::Reviewer(_), 64..) => "Your judgement settles the item; theirs stays on record.",
        (Role::Adjudicator, _) => "Your judgement settles a dispute.",
        (Role::Reviewer(_), _) => "Your judgement settles the item.",
    }
}

fn prompt_title(pair: &Pair, view: &View) -> String {
    let notice = notice(view, pair.answers());
    match pair.turns() {
        0 | 1 => format!(" Prompt{notice} "),
        turns => format!(" Prompt · turn {turns} of {turns}{notice} "),
    }
}

fn prompt_range(pane: &Pane, width: u16) -> String {
    if !pane.overflows() {
        return String::new();
    }
    if width < 64 {
        range(pane).replace("lines ", "")
    } else {
        format!(" Tab reads on ·{}", range(pane))
    }
}

/// A title cut to the columns that the range leaves: that there is more to read must be seen.
fn beside_range(title: &str, range: &str, area: Rect) -> String {
    fit(
        title,
        usize::from(area.width).saturating_sub(columns(range) + 5),
    )
}

/// `lines 1–16/31 ▼`, or with a check mark when nothing is hidden below.
pub(super) fn range(pane: &Pane) -> String {
    let (first, last) = pane.range();
    let total = pane.rows().len();
    let mark = if last < total { '▼' } else { '✓' };
    format!(" lines {first}–{last}/{total} {mark} ")
}

/// One renderer for both sides: a difference would bias.
fn answer(
    canvas: &mut Canvas,
    area: Rect,
    name: &str,
    (view, side): (&View, usize),
    focused: bool,
) {
    let range = range(view.shown(side));
    canvas.frame(area, &beside_range(name, &range, area), &range, focused);
    text(view, canvas, area, side);
}

/// Judgements without a grade, comment and flags, and the question if there is room.
fn beside(app: &App, canvas: &mut Canvas, area: Rect) {
    let key = |action| {
        let context = app.context_of(app.mode_of(&app.base()));
        app.setup.keymap.shown_for(&context, action)
    };
    let keyed = |form: &Form| -> Vec<(String, String)> {
        let entries = entries(app, *form).into_iter();
        entries
            .filter_map(|(action, word)| Some((key(action)?, word)))
            .collect()
    };
    let fits = |entries: &Vec<(String, String)>| {
        let each = entries
            .iter()
            .map(|(key, word)| columns(key) + 1 + columns(word) + GAP);
        MARGIN + each.sum::<usize>() <= usize::from(area.width) + GAP
    };
    let entries = FORMS.iter().map(keyed).find(fits).unwrap_or_else(|| {
        let mut least = keyed(&FORMS[FORMS.len() - 1]);
        if app.remarks != Remarks::default() {
            // What was said is seen nowhere else; the keys are in the help too.
            least.rotate_left(2);
        }
        least
    });
    let entries: Vec<(String, &str)> = entries
        .iter()
        .map(|(k, w)| (k.clone(), w.as_str()))
        .collect();
    let x = canvas.put_keys(area, MARGIN as u16, &entries);
    let question = &app.setup.question;
    canvas.put_right(area, x, &format!("{question} "), canvas.theme.faint());
}

/// What stands below the answers, in this form.
fn entries(app: &App, form: Form) -> Vec<(Action, String)> {
    let ranking = app.pair().is_some_and(|pair| pair.is_ranking());
    let bad = if ranking { "all bad" } else { "both bad" };
    let remarks = &app.remarks;
    let note = sanitise(&remarks.note).replace('\n', " ");
    let note = if note.is_empty() {
        note
    } else {
        format!("\"{}\"", fit(&note, form.columns))
    };
    let flags = fit(&sanitise(&remarks.flags.join(", ")), form.columns);
    let mut entries = vec![
        (Action::BothBad, bad.to_owned()),
        (Action::CannotJudge, "cannot judge".to_owned()),
        (Action::Note, form.word("comment", &note)),
        (Action::Flags, form.word("flags", &flags)),
    ];
    if !remarks.aspects.is_empty() {
        let count = remarks.aspects.len();
        entries.push((Action::Aspects, format!("aspects: {count}")));
    }
    entries
}
