//! A labelling screen without terminal, clock or disk: keys in, state and cells out.

use std::collections::VecDeque;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell, CellWidth};
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use rlhf::feedback::digest::Sha256;
use rlhf::feedback::item::{Candidate, Item, Message, Prompt, PromptText, Selector};
use rlhf::feedback::record::Purpose;
use rlhf::tui::keys::Key;
use rlhf::tui::label::draft::Draft;
use rlhf::tui::label::draw::draw;
use rlhf::tui::label::state::{App, Desk, Guidelines, Pair, Setup};
use rlhf::tui::label::update::{Effect, Event, update};
use ulid::Ulid;

/// Writes a draft and returns the id of its record.
pub type Saver = Box<dyn FnMut(&Draft) -> Ulid>;

pub struct Stage {
    pub app: App,
    /// Every draft that was to be written, in order.
    pub drafts: Vec<Draft>,
    /// Effects that are not commits.
    pub effects: Vec<Effect>,
    /// What the disk says from now on.
    pub disk_error: Option<&'static str>,
    /// Writes drafts to a real store; without it they are only counted.
    pub saver: Option<Saver>,
    pub now: u64,
}

pub fn setup() -> Setup {
    Setup::new("ann_7f3a".into())
}

pub fn guidelines(text: &str) -> Guidelines {
    Guidelines {
        text: text.into(),
        sha256: Sha256::of(text),
    }
}

pub fn item(prompt: PromptText, answers: &[&str]) -> Item {
    let prompt = Prompt::new(None, prompt).unwrap();
    let policies = ["policy-one", "policy-two", "policy-three"];
    let candidates = answers
        .iter()
        .zip(policies.into_iter().cycle())
        .map(|(a, p)| Candidate::new((*a).into(), p))
        .collect();
    let selector = Selector {
        name: "all".into(),
        score: None,
        seed: 0,
    };
    Item::new("b", 3, prompt, candidates, selector).unwrap()
}

/// `n` short pairs, from `question 0` with `one 0` and `two 0`.
pub fn items(n: usize) -> Vec<Item> {
    let prompt = |i: usize| PromptText::Text(format!("question {i}"));
    (0..n)
        .map(|i| item(prompt(i), &[&format!("one {i}"), &format!("two {i}")]))
        .collect()
}

/// A pair with the first answer on side A.
pub fn pair(prompt: &str, a: &str, b: &str) -> Pair {
    let item = item(PromptText::Text(prompt.into()), &[a, b]);
    Pair {
        item,
        slot: 0,
        purpose: Purpose::Train,
        sides: vec![0, 1],
        order_seed: 7,
    }
}

pub fn conversation(turns: &[(&str, &str)], a: &str, b: &str) -> Pair {
    let message = |(role, content): &(&str, &str)| Message {
        role: (*role).into(),
        content: (*content).into(),
    };
    let item = item(
        PromptText::Messages(turns.iter().map(message).collect()),
        &[a, b],
    );
    Pair {
        item,
        slot: 0,
        purpose: Purpose::Train,
        sides: vec![0, 1],
        order_seed: 7,
    }
}

/// Answers to be ranked, the first on side A.
pub fn ranking(prompt: &str, answers: &[&str]) -> Pair {
    Pair {
        item: item(PromptText::Text(prompt.into()), answers),
        slot: 0,
        purpose: Purpose::Train,
        sides: (0..answers.len()).collect(),
        order_seed: 7,
    }
}

/// `n` short pairs: `question 1` with `one 1` and `two 1`, and so on.
pub fn pairs(n: usize) -> Vec<Pair> {
    let text = |what: &str, i: usize| format!("{what} {i}");
    (1..=n)
        .map(|i| pair(&text("question", i), &text("one", i), &text("two", i)))
        .collect()
}

impl Stage {
    pub fn new(setup: Setup, size: (u16, u16), pairs: Vec<Pair>) -> Self {
        let mut stage = Self::locked(setup, size);
        stage.event(Event::Opened(
            Desk {
                pairs,
                ..Desk::default()
            },
            0,
        ));
        stage
    }

    pub fn locked(setup: Setup, size: (u16, u16)) -> Self {
        let app = App::new(setup, size, 0);
        Self {
            app,
            drafts: vec![],
            effects: vec![],
            disk_error: None,
            saver: None,
            now: 0,
        }
    }

    /// Applies an event and plays the driver's part for commits.
    pub fn event(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for effect in update(&mut self.app, event) {
                let Effect::Commit(draft) = effect else {
                    self.effects.push(effect);
                    continue;
                };
                self.drafts.push(draft);
                events.push_back(self.commit());
            }
        }
    }

    fn commit(&mut self) -> Event {
        let (Some(draft), None) = (self.drafts.last(), self.disk_error) else {
            return Event::CommitFailed(self.disk_error.unwrap_or_default().into());
        };
        let id = match &mut self.saver {
            Some(save) => save(draft),
            None => Ulid::from_parts(0, self.drafts.len() as u128),
        };
        Event::Committed(id, self.now + 10)
    }

    /// Types a text, one character a second.
    pub fn write(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.now += 1000;
            self.event(Event::Key(Key::Char(c), self.now));
        }
        self
    }

    /// Presses keys, one a second: `7 u <tab> <ctrl-r>`, separated by spaces.
    pub fn press(&mut self, keys: &str) -> &mut Self {
        for name in keys.split_whitespace() {
            self.now += 1000;
            self.event(Event::Key(key(name), self.now));
        }
        self
    }

    /// The state in one line: mode, the item on the screen, what was done, what can be redone.
    pub fn describe(&self) -> String {
        let app = &self.app;
        let list = |done: &[rlhf::tui::label::state::Done]| {
            let words = done
                .iter()
                .map(|done| done.decision.describe(app.setup.scale));
            words.collect::<Vec<_>>().join(", ")
        };
        let on_screen = app.pair().map_or("-".into(), |pair| pair.prompt_text());
        let (done, undone) = (list(&app.done), list(&app.undone));
        format!("{:?} {on_screen} done[{done}] redo[{undone}]", app.mode())
    }

    /// The screen as text.
    pub fn screen(&self) -> String {
        let (width, height) = self.app.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| draw(&self.app, frame.buffer_mut()))
            .unwrap();
        let buffer = terminal.backend().buffer();
        let rows = (0..height).map(|y| {
            let (mut row, mut x) = (String::new(), 0);
            while x < width {
                row.push_str(buffer[(x, y)].symbol());
                x += buffer[(x, y)].cell_width().max(1);
            }
            row.trim_end().to_owned()
        });
        rows.collect::<Vec<_>>().join("\n")
    }
}

/// What is drawn in reverse, row by row.
pub fn reversed(stage: &Stage) -> Vec<String> {
    let (width, height) = stage.app.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    draw(&stage.app, &mut buffer);
    let rows = (0..height).map(|y| {
        let cells = (0..width).map(|x| &buffer[(x, y)]);
        let found = cells.filter(|cell| cell.modifier.contains(Modifier::REVERSED));
        found.map(Cell::symbol).collect::<String>()
    });
    rows.filter(|row| !row.is_empty()).collect()
}

fn key(name: &str) -> Key {
    match name {
        "<tab>" => Key::Tab,
        "<backtab>" => Key::BackTab,
        "<enter>" => Key::Enter,
        "<esc>" => Key::Esc,
        "<pgdn>" => Key::PageDown,
        "<pgup>" => Key::PageUp,
        "<left>" => Key::Left,
        "<right>" => Key::Right,
        "<down>" => Key::Down,
        "<ctrl-c>" => Key::Ctrl('c'),
        "<ctrl-r>" => Key::Ctrl('r'),
        "<ctrl-z>" => Key::Ctrl('z'),
        "<ctrl-l>" => Key::Ctrl('l'),
        "<ctrl-j>" => Key::Ctrl('j'),
        "<ctrl-o>" => Key::Ctrl('o'),
        "<backspace>" => Key::Backspace,
        "<space>" => Key::Char(' '),
        "<up>" => Key::Up,
        "<lt>" => Key::Char('<'),
        _ => Key::Char(name.chars().next().unwrap()),
    }
}
