//! Everything that draws on a terminal: the terminal itself, text made safe to draw, the theme, the
//! key table, and the screens.
//!
//! Each screen is a pure core, `update(&mut App, Event) -> Vec<Effect>`, which reads no clock and
//! does no I/O, and a driver that carries out its effects and feeds the results back.

pub mod chart;
pub mod keys;
pub mod label;
pub mod stats;
pub mod terminal;
pub mod text;
pub mod theme;
