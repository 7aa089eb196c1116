//! The labelling screen: two answers side by side, blind, one key per judgement.
//!
//! | file | what |
//! |---|---|
//! | [`state`] | what the screen knows |
//! | [`mod@update`] | what happens on each event: pure |
//! | [`layout`] | where everything goes: pure |
//! | [`draw`], `scale_row`, `dialog` | state → cells |
//! | [`scale`], [`clock`], [`pane`] | grades, times, scrolling |
//! | [`desk`], [`draft`] | from the store, to the store |
//!
//! [`run`] is the driver: it owns the terminal and the store, carries out effects, and feeds what
//! came of them back. A judgement is on disk before the next pair appears.

pub mod clock;
pub mod desk;
mod dialog;
pub mod draft;
pub mod draw;
pub mod layout;
pub mod pane;
pub mod scale;
mod scale_row;
pub mod state;
pub mod update;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use self::desk::{Rules, lay_out, pair};
use self::state::{App, Ending, Setup};
use self::update::{Effect, Event, update};
use super::terminal::{self, Input, Screen};
use super::theme::Theme;
use crate::feedback::item::Item;
use crate::feedback::queue::Plan;
use crate::feedback::record::Purpose;
use crate::feedback::store::StoreError;
use crate::feedback::store::session::Session;
use crate::feedback::store::stamps::Stamps;
use crate::run::control::StopFlag;

/// How long the driver waits for a key before it looks at the clock and the stop flag.
const TICK: Duration = Duration::from_millis(200);

/// What is to be labelled, where the judgements go, and how.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The project's `feedback/` folder.
    pub feedback: &'a Path,
    /// The items; those with more than two answers are left out and counted.
    pub items: &'a [Item],
    /// Which items come, and in which order: the same one on resuming.
    pub plan: &'a Plan,
    /// Who judges and how.
    pub setup: Setup,
}

/// Starts making items, once the annotator's files are open.
pub type Supply<'a> = Box<dyn FnOnce() -> Supplied + 'a>;
/// Items that are complete and on disk, or why no more come. It ends when there are no more.
pub type Supplied = Receiver<Result<Item, String>>;

/// Fetch more items when fewer than this are waiting.
const SUPPLY_BELOW: usize = 4;

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
    /// Items with more than two answers, which are not compared here.
    pub not_pairs: usize,
    /// Why no more items were made, if that failed.
    pub supply_failed: Option<String>,
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
    run_supplied(job, None)
}

/// The same with items that are still being made.
///
/// # Errors
/// As [`run`].
pub fn run_supplied(job: &Job, supply: Option<Supply>) -> Result<Report, LabelError> {
    if !terminal::is_interactive() {
        return Err(LabelError::NoTerminal);
    }
    // Before the terminal is taken: a damaged store is reported on the ordinary screen.
    let opened = match open(job) {
        Err(error) if !matches!(error, StoreError::Locked { .. }) => return Err(error.into()),
        opened => opened,
    };
    let mut screen = Screen::enter()?;
    let app = App::new(job.setup.clone(), screen.size()?, screen.now_ms());
    let mut driver = Driver {
        job,
        app,
        session: None,
        theme: Theme::from_env(),
        supply,
        supplied: None,
        supply_failed: None,
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
    let guidelines_sha256 = setup
        .guidelines
        .as_ref()
        .map(|guidelines| guidelines.sha256);
    let session = Session::open(job.feedback, &setup.annotator, Stamps::system())?;
    let session = session
        .asking(&setup.question, guidelines_sha256)
        .settling(job.plan.disputes.clone().unwrap_or_default());
    let now_ms = u64::try_from(Stamps::system().now().0).unwrap_or(0);
    let plan = job
        .plan
        .divided(job.feedback, job.items, session.history(), now_ms)?;
    let rules = Rules {
        plan: &plan,
        scale: setup.scale,
        guidelines_sha256,
    };
    let desk = lay_out(job.items, session.history(), rules)?;
    Ok((session, desk))
}

/// The impure half of the screen.
struct Driver<'a> {
    job: &'a Job<'a>,
    app: App,
    session: Option<Session>,
    theme: Theme,
    supply: Option<Supply<'a>>,
    supplied: Option<Supplied>,
    supply_failed: Option<String>,
}

impl Driver<'_> {
    fn stay(&mut self, screen: &mut Screen, first: Event) -> Result<Ending, LabelError> {
        let stop = StopFlag::on_ctrl_c();
        let mut events = VecDeque::from([first]);
        loop {
            events.extend(self.fetch(screen.now_ms()));
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
                screen.draw(|frame| draw::draw(&self.app, self.theme, frame.buffer_mut()))?;
            }
            events.push_back(match screen.next(TICK) {
                _ if stop.is_set() || self.is_wanted() => Event::Terminate,
                Some(Input::Key(key, at)) => Event::Key(key, at),
                Some(Input::Resize(width, height)) => Event::Resize(width, height),
                Some(Input::Closed) => Event::Terminate,
                None => self.look_up(screen)?,
            });
        }
    }

    /// Whether another process asks for the annotator's files.
    fn is_wanted(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(Session::takeover_requested)
    }

    /// The next item, if the queue is short and one is complete; no pairs if no more will come.
    fn fetch(&mut self, now_ms: u64) -> Option<Event> {
        let supplied = self.supplied.as_ref()?;
        if self.app.queue.len() >= SUPPLY_BELOW {
            return None;
        }
        let item = match supplied.try_recv() {
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => None,
            Ok(Ok(item)) => Some(item),
            Ok(Err(reason)) => {
                self.supply_failed = Some(reason);
                None
            }
        };
        if item.is_none() {
            self.supplied = None;
        }
        let (annotator, seed) = (&self.job.setup.annotator, self.job.plan.seed);
        let pair = item.map(|item| pair(item, annotator, 0, Purpose::Train, seed));
        Some(Event::Supply(pair.into_iter().collect(), now_ms))
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

    fn opened(&mut self, opened: Opened, now_ms: u64) -> Result<Event, LabelError> {
        match opened {
            Ok((session, mut desk)) => {
                self.session = Some(session);
                if let Some(start) = self.supply.take() {
                    self.supplied = Some(start());
                }
                desk.more = self.supplied.is_some();
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
            decided: app.this_session().len(),
            judged: app.judged(),
            left: app.queue.iter().map(|pair| pair.item.id.clone()).collect(),
            active_ms: app.clock.session_active_ms(),
            supply_failed: self.supply_failed,
            not_pairs: self
                .job
                .items
                .iter()
                .filter(|item| !desk::is_pair(item))
                .count(),
        })
    }
}
