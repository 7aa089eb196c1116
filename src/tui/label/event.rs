//! What can happen to the screen, and what it can ask for.

use ulid::Ulid;

use super::draft::Draft;
use super::history::Entry;
use super::mouse::Mouse;
use super::state::{Desk, Ending, Pair};
use crate::feedback::report::Report;
use crate::tui::keys::Key;

/// Something that happened. Times are milliseconds of the driver's monotonic clock.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A key, and when it was read.
    Key(Key, u64),
    /// A text was pasted. It is never taken for keys.
    Paste(String, u64),
    /// The mouse was used.
    Mouse(Mouse, u64),
    /// The terminal has this many columns and rows.
    Resize(u16, u16),
    /// Time passes.
    Tick(u64),
    /// The process was stopped since the last event and goes on.
    Resumed(u64),
    /// The work was opened.
    Opened(Desk, u64),
    /// Somebody else has the work open; says who.
    StillLocked(String),
    /// More pairs were made; none means that there will be no more.
    Supply(Vec<Pair>, u64),
    /// The judgements of this annotator, newest first, and how many older ones are left out.
    Listed(Vec<Entry>, usize),
    /// What everybody judged, or why it could not be counted; and how many pairs are left to this
    /// annotator in the whole project.
    Counted(Result<Box<Report>, String>, usize),
    /// The comment as the editor left it, or why there is none.
    Edited(Result<String, String>, u64),
    /// The record being written is on disk, under this id.
    Committed(Ulid, u64),
    /// The record could not be written; says why.
    CommitFailed(String),
    /// What is begun is kept, or why it could not be.
    Kept(Result<(), String>),
    /// Another session of this annotator asks for the work.
    TakeOver,
    /// The process was asked to end.
    Terminate,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write this record, then report [`Event::Committed`] or [`Event::CommitFailed`].
    Commit(Draft),
    /// Try to open the work, then report [`Event::Opened`] or [`Event::StillLocked`].
    Open,
    /// The same without the lock: nothing will be written.
    OpenReadOnly,
    /// Ask the session that has the work open to end.
    TakeOver,
    /// Report the judgements as [`Event::Listed`].
    List,
    /// Count what everybody judged, then report [`Event::Counted`]; keys are answered meanwhile.
    Count,
    /// Let the annotator write this text in an editor, then report [`Event::Edited`].
    Edit(String),
    /// Draw everything afresh.
    Redraw,
    /// Give the terminal to the shell until it brings us back.
    Suspend,
    /// Leave the screen.
    Quit(Ending),
}
