//! The labelling screen: two answers side by side, blind, one key per judgement.
//!
//! | file | what |
//! |---|---|
//! | [`state`], [`setup`], [`pair`], [`view`] | what the screen knows |
//! | [`mod@update`], `judge` | what happens on each event: pure |
//! | `note`, `marks`, `ranking`, [`history`], [`palette`], [`find`], [`mouse`] | one idea each: its state, keys and cells |
//! | [`layout`] | where everything goes: pure |
//! | [`draw`], [`header`], `scale_row`, `dialog` | state → cells |
//! | [`scale`], [`ranks`], [`remarks`] | what can be said about a pair |
//! | [`clock`], [`pane`], [`field`] | times, scrolling, text fields |
//! | [`desk`], [`draft`] | from the store, to the store |
//!
//! [`run`] is the driver: it owns the terminal and the store, carries out effects, and feeds what
//! came of them back. A judgement is on disk before the next pair appears.

pub mod clock;
pub mod desk;
mod dialog;
pub mod draft;
pub mod draw;
pub mod field;
pub mod find;
pub mod header;
pub mod history;
mod judge;
pub mod layout;
mod marks;
pub mod mouse;
mod note;
pub mod pair;
pub mod palette;
pub mod pane;
mod ranking;
pub mod ranks;
pub mod remarks;
pub mod scale;
mod scale_row;
pub mod setup;
pub mod state;
pub mod update;
pub mod view;

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use self::desk::{Rules, lay_out};
use self::mouse::{Mouse, MouseAction};
use self::state::{App, Ending, Setup};
use self::update::{Effect, Event, update};
use super::terminal::{self, Input, Screen};
use crate::feedback::item::Item;
use crate::feedback::store::history::History;
use crate::feedback::store::load::load;
use crate::feedback::store::lock::request_takeover;
use crate::feedback::store::session::Session;
use crate::feedback::store::{StoreError, annotator_folder};
use crate::feedback::store::stamps::Stamps;
use crate::run::control::StopFlag;

/// How long the driver waits for a key before it looks at the clock and the stop flag.
const TICK: Duration = Duration::from_millis(200);

/// How often the driver looks whether somebody asks for the lock, in milliseconds.
const LOOK_MS: u64 = 1000;

/// What is to be labelled, where the judgements go, and how.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The project's `feedback/` folder.
    pub feedback: &'a Path,
    /// The items: pairs to compare, and three to nine answers to rank.
    pub items: &'a [Item],
    /// Seed of the order and of the sides: the same one on resuming.
    pub seed: u64,
    /// Who judges and how.
    pub setup: Setup,
}

/// How it went.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Why the screen was left.
    pub ending: Ending,
    /// What was decided in this session, in words.
    pub counts: String,
    /// Decisions of this session that stand.
    pub decided: usize,
    /// Pairs done in all, earlier sessions included.
    pub judged: usize,
    /// Ids of the items that are left, in order.
    pub left: Vec<String>,
    /// Active time of this session in milliseconds.
    pub active_ms: u64,
}

/// Why labelling could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// Labelling needs a person at a terminal.
    #[error(
        "labelling needs a terminal, and standard input or output is not one; run it in a \
         terminal, or let a program judge with --annotator sim:gold"
    )]
    NoTerminal,
    /// The judgements could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The terminal failed.
    #[error("the terminal failed: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Opens the screen and stays until the annotator leaves, the batch is done, or the process is
/// asked to end. Every judgement is on disk when this returns.
///
/// # Errors
/// [`LabelError`]; what was judged before is saved.
pub fn run(job: &Job) -> Result<Report, LabelError> {
    if !terminal::is_interactive() {
        return Err(LabelError::NoTerminal);
    }
    // Before the terminal is taken: a damaged store is reported on the ordinary screen.
    let opened = match open(job) {
        Err(error) if !matches!(error, StoreError::Locked { .. }) => return Err(error.into()),
        opened => opened,
    };
    let mut screen = Screen::enter(job.setup.mouse)?;
    let app = App::new(job.setup.clone(), screen.size()?, screen.now_ms());
    let mut driver = Driver {
        job,
        app,
        session: None,
        read: None,
        looked_ms: 0,
    };
    let first = driver.opened(opened, screen.now_ms())?;
    let ending = driver.stay(&mut screen, first)?;
    drop(screen);
    driver.leave(ending)
}

type Opened = Result<(Session, state::Desk), StoreError>;

/// Locks and loads the annotator's judgements and lays out what is left.
fn open(job: &Job) -> Opened {
    let setup = &job.setup;
    let rules = rules(job);
    let session = Session::open(job.feedback, &setup.annotator, Stamps::system())?;
    let session = session.asking(&setup.question, rules.guidelines_sha256);
    let desk = lay_out(job.items, session.history(), rules)?;
    Ok((session, desk))
}

/// The same without the lock: another session may be writing.
fn open_read_only(job: &Job) -> Result<(History, state::Desk), StoreError> {
    let history = load(job.feedback, &job.setup.annotator)?;
    let desk = lay_out(job.items, &history, rules(job))?;
    Ok((history, desk))
}

fn rules(job: &Job) -> Rules {
    let guidelines = job.setup.guidelines.as_ref();
    Rules {
        seed: job.seed,
        scale: job.setup.scale,
        guidelines_sha256: guidelines.map(|guidelines| guidelines.sha256),
    }
}

/// What happened at the terminal, as the screen is told.
fn event(input: Input) -> Event {
    let mouse = |what, x, y| Mouse { what, x, y };
    match input {
        Input::Key(key, at) => Event::Key(key, at),
        Input::Paste(text, at) => Event::Paste(text, at),
        Input::Click(x, y, at) => Event::Mouse(mouse(MouseAction::Click, x, y), at),
        Input::Wheel(step, x, y, at) => Event::Mouse(mouse(MouseAction::Wheel(step), x, y), at),
        Input::Resize(width, height) => Event::Resize(width, height),
        Input::Closed => Event::Terminate,
    }
}

/// The impure half of the screen.
struct Driver<'a> {
    job: &'a Job<'a>,
    app: App,
    session: Option<Session>,
    /// What is read without the lock.
    read: Option<History>,
    /// When it was last looked whether somebody asks for the lock.
    looked_ms: u64,
}

impl Driver<'_> {
    fn stay(&mut self, screen: &mut Screen, first: Event) -> Result<Ending, LabelError> {
        let stop = StopFlag::on_ctrl_c();
        let mut events = VecDeque::from([first]);
        loop {
            let mut dirty = false;
            while let Some(event) = events.pop_front() {
                let idle = self.app.clock.is_idle();
                let quiet = matches!(event, Event::Tick(_));
                for effect in update(&mut self.app, event) {
                    match effect {
                        Effect::Quit(ending) => return Ok(ending),
                        other => events.extend(self.carry_out(other, screen)?),
                    }
                }
                dirty |= !quiet || idle != self.app.clock.is_idle();
            }
            if dirty {
                screen.draw(|frame| draw::draw(&self.app, frame.buffer_mut()))?;
            }
            events.push_back(match screen.next(TICK) {
                _ if stop.is_set() => Event::Terminate,
                _ if self.is_wanted(screen.now_ms()) => Event::TakeOver,
                Some(input) => event(input),
                None => self.look_up(screen)?,
            });
        }
    }

    /// Whether another session asks for the annotator's files; looks once a second.
    fn is_wanted(&mut self, now_ms: u64) -> bool {
        let Some(session) = &self.session else {
            return false;
        };
        if now_ms < self.looked_ms + LOOK_MS {
            return false;
        }
        self.looked_ms = now_ms;
        session.takeover_requested()
    }

    /// Without a key: the size, because a change before the first key was read is not announced,
    /// and the clock.
    fn look_up(&self, screen: &Screen) -> Result<Event, LabelError> {
        let (width, height) = screen.size()?;
        Ok(if (width, height) == self.app.size {
            Event::Tick(screen.now_ms())
        } else {
            Event::Resize(width, height)
        })
    }

    fn carry_out(
        &mut self,
        effect: Effect,
        screen: &mut Screen,
    ) -> Result<Option<Event>, LabelError> {
        Ok(match effect {
            Effect::Commit(draft) => {
                let Some(session) = &mut self.session else {
                    return Ok(None);
                };
                Some(match draft.save(session) {
                    Ok(id) => Event::Committed(id, screen.now_ms()),
                    Err(error) => Event::CommitFailed(error.to_string()),
                })
            }
            Effect::Open => Some(self.opened(open(self.job), screen.now_ms())?),
            Effect::OpenReadOnly => {
                let (history, desk) = open_read_only(self.job)?;
                self.read = Some(history);
                Some(Event::Opened(desk, screen.now_ms()))
            }
            Effect::TakeOver => {
                let folder = annotator_folder(self.job.feedback, &self.job.setup.annotator)?;
                request_takeover(&folder)?;
                None
            }
            Effect::List => Some(self.list()?),
            Effect::Edit(text) => {
                let text = screen.edit(&text)?.map_err(|error| error.to_string());
                Some(Event::Edited(text, screen.now_ms()))
            }
            Effect::Redraw => {
                screen.redraw()?;
                None
            }
            Effect::Suspend => {
                screen.suspend()?;
                let (width, height) = screen.size()?;
                Some(Event::Resize(width, height))
            }
            Effect::Quit(_) => None,
        })
    }

    /// What this annotator judged.
    fn list(&self) -> Result<Event, StoreError> {
        let session = self.session.as_ref().map(Session::history);
        let Some(history) = session.or(self.read.as_ref()) else {
            return Ok(Event::Listed(vec![], 0));
        };
        let (entries, left_out) = desk::list(self.job.items, history, self.job.seed)?;
        Ok(Event::Listed(entries, left_out))
    }

    fn opened(&mut self, opened: Opened, now_ms: u64) -> Result<Event, LabelError> {
        match opened {
            Ok((session, desk)) => {
                self.session = Some(session);
                Ok(Event::Opened(desk, now_ms))
            }
            Err(error @ StoreError::Locked { .. }) => Ok(Event::StillLocked(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    fn leave(self, ending: Ending) -> Result<Report, LabelError> {
        if let (Some(session), false) = (self.session, matches!(ending, Ending::WriteFailed(_))) {
            session.close()?;
        }
        let app = self.app;
        Ok(Report {
            ending,
            counts: app.counts(),
            decided: app.decided(),
            judged: app.judged(),
            left: app.queue.iter().map(|pair| pair.item.id.clone()).collect(),
            active_ms: app.clock.session_active_ms(),
        })
    }
}
