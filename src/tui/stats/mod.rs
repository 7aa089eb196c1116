//! The statistics screen: pages of numbers and charts about the labels of a project.
//!
//! | file | what |
//! |---|---|
//! | [`state`] | what the screen knows |
//! | [`mod@update`] | what happens on each event: pure |
//! | [`draw`] | state → cells |
//! | [`rows`] | the numbers as text, for the screen and for a pipe |
//!
//! State and drawing need a computed [`Report`] and nothing else, so any screen can open this one.
//! [`run`] is a driver of its own: it counts on a thread, again whenever a file of labels changed.

pub mod draw;
pub mod rows;
pub mod state;
pub mod update;

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use self::state::App;
use self::update::{Effect, Event, update};
use super::terminal::{self, Input, Screen};
use super::theme::Theme;
use crate::feedback::labels::{Folders, LabelsError};
use crate::feedback::report::Report;
use crate::run::control::StopFlag;

/// How long the driver waits for a key before it looks at the files and the stop flag.
const TICK: Duration = Duration::from_millis(200);
/// How often it looks whether a file changed.
const LOOK: Duration = Duration::from_secs(1);

/// Why the screen could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    /// The screen needs a terminal.
    #[error(
        "the statistics screen needs a terminal, and standard input or output is not one; leave out \
         --watch for text, or use --json"
    )]
    NoTerminal,
    /// The labels could not be read.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// The terminal failed.
    #[error("the terminal failed: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Shows the statistics of a project until the user leaves; `win_rate` is one in question beside the
/// usual ones ([`Report::ask`]).
///
/// # Errors
/// [`StatsError`].
pub fn run(
    title: String,
    folders: &Folders,
    win_rate: Option<f64>,
    theme: Theme,
) -> Result<(), StatsError> {
    if !terminal::is_interactive() {
        return Err(StatsError::NoTerminal);
    }
    let seen = folders.stamp();
    // Before the terminal is taken: a damaged store is reported on the ordinary screen.
    let report = count(folders, win_rate)?;
    let mut screen = Screen::enter(false)?;
    let app = App::new(title, report, screen.size()?);
    Driver {
        app,
        folders,
        win_rate,
        counting: None,
        seen,
        looked: Instant::now(),
    }
    .stay(&mut screen, theme)
}

fn count(folders: &Folders, win_rate: Option<f64>) -> Result<Report, LabelsError> {
    let mut report = Report::read(folders)?;
    if let Some(win_rate) = win_rate {
        report.ask(win_rate);
    }
    Ok(report)
}

struct Driver<'a> {
    app: App,
    folders: &'a Folders,
    win_rate: Option<f64>,
    counting: Option<Receiver<Event>>,
    /// Names, lengths and times of the files when they were last counted.
    seen: u64,
    looked: Instant,
}

impl Driver<'_> {
    fn stay(mut self, screen: &mut Screen, theme: Theme) -> Result<(), StatsError> {
        let stop = StopFlag::on_ctrl_c();
        let mut dirty = true;
        loop {
            if dirty {
                let size = self.app.size;
                screen.draw(size, |frame| {
                    draw::draw(&self.app, theme, frame.buffer_mut());
                })?;
            }
            let input = screen.next(TICK)?;
            if stop.is_set() || input == Some(Input::Closed) {
                return Ok(());
            }
            let events = self.events(input, screen)?;
            dirty = !events.is_empty();
            for event in events {
                match update(&mut self.app, event) {
                    Some(Effect::Quit) => return Ok(()),
                    Some(Effect::Count) => self.start(),
                    Some(Effect::Redraw) => screen.redraw()?,
                    Some(Effect::Suspend) => screen.suspend(),
                    None => {}
                }
            }
        }
    }

    /// What happened: at the keyboard, to the size, on the counting thread, on the disk.
    fn events(&mut self, input: Option<Input>, screen: &Screen) -> Result<Vec<Event>, StatsError> {
        let mut events = Vec::new();
        if let Some(Input::Key(key, _)) = input {
            events.push(Event::Key(key));
        }
        let size = screen.size()?;
        if size != self.app.size || matches!(input, Some(Input::Resumed(_))) {
            events.push(Event::Resize(size.0, size.1));
        }
        if let Some(counted) = self.counting.as_ref().and_then(|c| c.try_recv().ok()) {
            self.counting = None;
            events.push(counted);
        }
        if self.counting.is_none() && self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            if self.folders.stamp() != self.seen {
                self.start();
                events.push(Event::Counting);
            }
        }
        Ok(events)
    }

    /// Counts on a thread of its own, so that keys are answered meanwhile.
    fn start(&mut self) {
        if self.counting.is_some() {
            return;
        }
        let (sender, receiver) = channel();
        let (folders, win_rate) = (self.folders.clone(), self.win_rate);
        self.seen = folders.stamp();
        self.counting = Some(receiver);
        std::thread::spawn(move || {
            let event = match count(&folders, win_rate) {
                Ok(report) => Event::Counted(Box::new(report)),
                Err(error) => Event::Failed(error.to_string()),
            };
            // Nobody waits any more if the screen was left.
            let _ = sender.send(event);
        });
    }
}
