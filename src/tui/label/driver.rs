//! The impure half of the screen: it owns the terminal and the store, carries out effects, and feeds
//! what came of them back.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use super::census::{Counted, count, now_ms};
use super::desk::{self, Rules, lay_out};
use super::draw;
use super::mouse::{Mouse, MouseAction};
use super::state::{App, Desk, Ending, Pair};
use super::unsaved::begun;
use super::update::{Effect, Event, update};
use super::{Job, LabelError, Supplied, Supply};
use crate::feedback::item::Item;
use crate::feedback::queue::checks::Mixer;
use crate::feedback::queue::order::Choice;
use crate::feedback::queue::{Plan, Task};
use crate::feedback::record::Purpose;
use crate::feedback::store::history::History;
use crate::feedback::store::load::load;
use crate::feedback::store::lock::Request;
use crate::feedback::store::session::Session;
use crate::feedback::store::stamps::Stamps;
use crate::feedback::store::{StoreError, annotator_folder};
use crate::run::control::StopFlag;
use crate::tui::terminal::{Input, Screen};

/// How long the driver waits for a key before it looks at the clock and the stop flag.
const TICK: Duration = Duration::from_millis(200);

/// How often the driver looks whether somebody asks for the lock, in milliseconds.
const LOOK_MS: u64 = 1000;

/// Fetch more items when fewer than this are waiting.
const SUPPLY_BELOW: usize = 4;

type Opened = Result<(Session, Desk), StoreError>;

/// Locks and loads the annotator's judgements and lays out what is left.
fn open(job: &Job) -> Opened {
    let setup = &job.setup;
    let guidelines = setup.guidelines.as_ref().map(|g| g.sha256);
    let session = Session::open(job.feedback, &setup.annotator, Stamps::system())?;
    let session = session
        .asking(&setup.question, guidelines)
        .settling(job.plan.disputes.clone().unwrap_or_default());
    let mut desk = desk_of(job, session.history())?;
    let (begun, history) = (session.begun(), session.history());
    desk::bring_back(&mut desk, begun, job.items, history, job.plan.seed);
    Ok((session, desk))
}

/// The work that is left according to a history.
fn desk_of(job: &Job, history: &History) -> Result<Desk, StoreError> {
    let plan: Plan = job
        .plan
        .divided(job.feedback, job.items, history, now_ms())?;
    let rules = Rules {
        plan: &plan,
        scale: job.setup.scale,
        guidelines_sha256: job.setup.guidelines.as_ref().map(|g| g.sha256),
    };
    lay_out(job.items, history, rules)
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
        Input::Resumed(at) => Event::Resumed(at),
        Input::Closed => Event::Terminate,
    }
}

/// The screen, the store, and whatever makes more items.
pub(super) struct Driver<'a> {
    job: &'a Job<'a>,
    app: App,
    session: Option<Session>,
    /// What is read without the lock.
    read: Option<History>,
    /// When it was last looked whether somebody asks for the lock.
    looked_ms: u64,
    /// When it was last tried to keep what is begun.
    tried_ms: u64,
    /// What was asked of the session that has the lock.
    request: Option<Request>,
    supply: Option<Supply<'a>>,
    supplied: Option<Supplied>,
    supply_failed: Option<String>,
    /// The items that it made so far.
    arrived: Vec<Item>,
    /// Everybody's labels, while they are being counted on a thread of their own.
    counting: Option<Receiver<Counted>>,
    /// Mixes checks in among them.
    mixer: Option<Mixer<'a>>,
}

impl<'a> Driver<'a> {
    /// Takes the terminal and stays until the screen is left.
    pub(super) fn stay(
        job: &'a Job<'a>,
        supply: Option<Supply<'a>>,
    ) -> Result<super::Report, LabelError> {
        // Before the terminal is taken: a damaged store is reported on the ordinary screen.
        let opened = match open(job) {
            Err(error) if !matches!(error, StoreError::Locked { .. }) => return Err(error.into()),
            opened => opened,
        };
        let mut screen = Screen::enter(job.setup.mouse)?;
        let mut driver = Self {
            job,
            app: App::new(job.setup.clone(), screen.size()?, screen.now_ms()),
            session: None,
            read: None,
            looked_ms: 0,
            tried_ms: 0,
            request: None,
            supply,
            supplied: None,
            supply_failed: None,
            arrived: Vec::new(),
            counting: None,
            mixer: None,
        };
        let first = driver.opened(opened, screen.now_ms())?;
        // Until all is kept: of a terminal that vanishes its end may be seen before its signal comes, which
        // ends the process at once where nobody listens.
        let stop = StopFlag::on_ctrl_c();
        let ending = driver.drive(&mut screen, first, &stop);
        // The store first: giving back a terminal that is gone can end the process.
        let report = match ending {
            Ok(ending) => driver.leave(ending),
            Err(error) => driver.leave(Ending::Quit).and(Err(error)),
        };
        drop((screen, stop));
        report
    }

    fn drive(
        &mut self,
        screen: &mut Screen,
        first: Event,
        stop: &StopFlag,
    ) -> Result<Ending, LabelError> {
        let mut events = VecDeque::from([first]);
        loop {
            events.extend(self.fetch(screen.now_ms()));
            events.extend(self.counted());
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
                let size = self.app.size;
                screen.draw(size, |frame| draw::draw(&self.app, frame.buffer_mut()))?;
            }
            let next = match screen.next(TICK)? {
                _ if stop.is_set() => Event::Terminate,
                _ if self.is_wanted(screen.now_ms()) => Event::TakeOver,
                Some(input) => event(input),
                None => {
                    events.extend(self.kept(screen.now_ms()));
                    self.look_up(screen)?
                }
            };
            events.push_back(next);
        }
    }

    /// Keeps what is begun, and says when that begins to fail or works again. What failed is tried
    /// again once a second.
    fn kept(&mut self, now_ms: u64) -> Option<Event> {
        if self.app.unkept.is_some() && now_ms < self.tried_ms + LOOK_MS {
            return None;
        }
        self.tried_ms = now_ms;
        let kept = self.keep().map_err(|error| error.to_string());
        (kept.as_ref().err() != self.app.unkept.as_ref()).then_some(Event::Kept(kept))
    }

    /// Keeps what is begun and not saved, if it changed.
    fn keep(&mut self) -> Result<(), StoreError> {
        match &mut self.session {
            Some(session) => session.keep(begun(&self.app)),
            None => Ok(()),
        }
    }

    /// Whether another session asks for the annotator's files; looks once a second.
    fn is_wanted(&mut self, now_ms: u64) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        if now_ms < self.looked_ms + LOOK_MS {
            return false;
        }
        self.looked_ms = now_ms;
        session.takeover_requested()
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
        let pairs = item.map(|item| self.arrive(item)).unwrap_or_default();
        Some(Event::Supply(pairs, now_ms))
    }

    /// The pair of an item that was just made, and the checks that follow it.
    fn arrive(&mut self, item: Item) -> Vec<Pair> {
        let task = Task {
            index: self.job.items.len() + self.arrived.len(),
            slot: 0,
            purpose: Purpose::Train,
            choice: Choice::Listed,
        };
        let history = self.session.as_ref().map(Session::history);
        let mixer = self.mixer.as_mut().zip(history);
        let tasks = mixer.map_or_else(
            || vec![task],
            |(mixer, history)| mixer.follow(task, &item.id, history),
        );
        self.arrived.push(item);
        let all = || self.job.items.iter().chain(&self.arrived);
        let (annotator, seed) = (&self.job.setup.annotator, self.job.plan.seed);
        let pair = |task: Task| {
            let item = all().nth(task.index)?.clone();
            Some(desk::pair(item, annotator, task.slot, task.purpose, seed))
        };
        tasks.into_iter().filter_map(pair).collect()
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
                self.request = None;
                let history = load(self.job.feedback, &self.job.setup.annotator)?;
                let desk = desk_of(self.job, &history)?;
                self.read = Some(history);
                Some(Event::Opened(desk, screen.now_ms()))
            }
            Effect::TakeOver => {
                let folder = annotator_folder(self.job.feedback, &self.job.setup.annotator)?;
                self.request = Some(Request::leave(&folder)?);
                None
            }
            Effect::List => Some(self.list()?),
            Effect::Count => {
                self.count();
                None
            }
            Effect::Edit(text) => {
                let text = screen.edit(&text)?.map_err(|error| error.to_string());
                Some(Event::Edited(text, screen.now_ms()))
            }
            Effect::Redraw => {
                screen.redraw()?;
                None
            }
            Effect::Suspend => {
                screen.suspend();
                None
            }
            Effect::Quit(_) => None,
        })
    }

    /// Counts everybody's labels, unless that is going on.
    fn count(&mut self) {
        if self.counting.is_some() {
            return;
        }
        let feedback = self.job.feedback.to_owned();
        let (annotator, plan) = (self.job.setup.annotator.clone(), self.job.plan.clone());
        let (sender, counting) = channel();
        self.counting = Some(counting);
        std::thread::spawn(move || {
            // Nobody waits any more if the screen was left.
            let _ = sender.send(count(&feedback, &annotator, plan));
        });
    }

    /// What was counted, once it is.
    fn counted(&mut self) -> Option<Event> {
        match self.counting.as_ref()?.try_recv() {
            Err(TryRecvError::Empty) => None,
            counted => {
                self.counting = None;
                let failed = |_| Err("counting failed".to_owned());
                Some(match counted.unwrap_or_else(failed) {
                    Ok((report, left)) => Event::Counted(Ok(report), left),
                    Err(error) => Event::Counted(Err(error), 0),
                })
            }
        }
    }

    /// What this annotator judged.
    fn list(&self) -> Result<Event, StoreError> {
        let session = self.session.as_ref().map(Session::history);
        let Some(history) = session.or(self.read.as_ref()) else {
            return Ok(Event::Listed(vec![], 0));
        };
        let items = self.job.items.iter().chain(&self.arrived);
        let (entries, left_out) = desk::list(items, history, self.job.plan.seed)?;
        Ok(Event::Listed(entries, left_out))
    }

    fn opened(&mut self, opened: Opened, now_ms: u64) -> Result<Event, LabelError> {
        match opened {
            Ok((session, mut desk)) => {
                if let Some(start) = self.supply.take() {
                    self.supplied = Some(start());
                    let (plan, items) = (self.job.plan, self.job.items);
                    self.mixer = Some(plan.mixer(items, session.history()));
                }
                desk.more = self.supplied.is_some();
                self.session = Some(session);
                self.request = None;
                Ok(Event::Opened(desk, now_ms))
            }
            Err(StoreError::Locked { annotator, holder }) => {
                if let Some(request) = &mut self.request {
                    request.renew()?;
                }
                let holder = holder.map_or(String::new(), |holder| format!(" ({holder})"));
                let words = format!("annotator {annotator:?} is open elsewhere{holder}");
                Ok(Event::StillLocked(words))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn leave(mut self, ending: Ending) -> Result<super::Report, LabelError> {
        let kept = self.keep();
        // After a failed write nothing more is written to the session, and that is reported.
        if let (Some(session), false) = (self.session, matches!(ending, Ending::WriteFailed(_))) {
            session.close()?;
            kept?;
        }
        let app = self.app;
        Ok(super::Report {
            ending,
            counts: app.counts(),
            decided: app.decided(),
            judged: app.judged(),
            left: app.queue.iter().map(|pair| pair.item.id.clone()).collect(),
            active_ms: app.clock.session_active_ms(),
            supply_failed: self.supply_failed,
        })
    }
}
