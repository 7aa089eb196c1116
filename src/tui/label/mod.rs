//! The labelling screen: two answers side by side, blind, one key per judgement.
//!
//! | file | what |
//! |---|---|
//! | [`state`], [`setup`], [`work`], [`pair`], [`view`] | what the screen knows |
//! | [`event`], [`mod@update`], `judge` | what happens on each event: pure |
//! | `note`, `marks`, `ranking`, `statistics`, [`history`], [`palette`], [`find`], [`mouse`] | one idea each: its state, keys and cells |
//! | [`layout`] | where everything goes: pure |
//! | [`draw`], [`header`], `scale_row`, `dialog` | state → cells |
//! | [`scale`], [`ranks`], [`remarks`] | what can be said about a pair |
//! | [`clock`], [`pane`], [`field`] | times, scrolling, text fields |
//! | [`desk`], [`draft`], [`unsaved`], `census` | from the store, to the store |
//!
//! [`run`] starts the driver: it owns the terminal and the store, carries out effects, and feeds what
//! came of them back. A judgement is on disk before the next pair appears.

mod census;
pub mod clock;
pub mod desk;
mod dialog;
pub mod draft;
pub mod draw;
mod driver;
pub mod event;
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
mod statistics;
pub mod unsaved;
pub mod update;
pub mod view;
pub mod work;

use std::path::Path;
use std::sync::mpsc::Receiver;

use self::driver::Driver;
use self::state::{Ending, Setup};
use super::terminal;
use crate::feedback::item::Item;
use crate::feedback::queue::Plan;
use crate::feedback::store::StoreError;

/// What is to be labelled, where the judgements go, and how.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The project's `feedback/` folder.
    pub feedback: &'a Path,
    /// The items: pairs to compare, and three to nine answers to rank.
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
    Driver::stay(job, supply)
}
