//! The labelling screen: two answers side by side, blind, one key per judgement.
//!
//! | file | what |
//! |---|---|
//! | [`state`] | what the screen knows |
//! | [`update`] | what happens on each event: pure |
//! | [`layout`] | where everything goes: pure |
//! | [`draw`], `dialog` | state → cells |
//! | [`scale`], [`clock`], [`pane`], [`draft`] | grades, times, scrolling, what is written |

pub mod clock;
mod dialog;
pub mod draft;
pub mod draw;
pub mod layout;
pub mod pane;
pub mod scale;
pub mod state;
pub mod update;
