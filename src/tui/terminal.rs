//! The terminal: entered and left in one place, restored however the program ends.

mod editor;
mod input;

use std::io::{self, IsTerminal, Stdout, Write, stdout};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode, size,
};
use ratatui::crossterm::{cursor, execute, queue};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};

pub use self::input::Input;
use self::input::Reader;

/// Whether the terminal is in our hands right now.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Whether a screen of ours has the terminal.
pub fn is_entered() -> bool {
    ENTERED.load(Ordering::SeqCst)
}

/// Whether both ends of the conversation are terminals.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && stdout().is_terminal()
}

/// Columns for text on standard output: those of its terminal, or 100 where there is none.
pub fn columns() -> usize {
    let terminal = stdout().is_terminal().then(|| size().ok()).flatten();
    terminal.map_or(100, |(columns, _)| usize::from(columns))
}

/// Gives the terminal back to the shell. Does nothing if it is not in our hands, so a panic hook, a
/// signal and [`Screen`]'s drop may all call it.
pub fn restore() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        // The terminal may be gone already; there is nobody to tell.
        let _ = disable_raw_mode();
        let _ = execute!(
            stdout(),
            EndSynchronizedUpdate,
            DisableMouseCapture,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            cursor::Show
        );
    }
}

fn take(mouse: bool) -> io::Result<()> {
    ENTERED.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(
        stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        cursor::Hide
    )?;
    if mouse {
        execute!(stdout(), EnableMouseCapture)?;
    }
    Ok(())
}

/// The terminal while a screen owns it.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    inputs: Receiver<Input>,
    sender: Sender<Input>,
    reader: Option<Reader>,
    started: Instant,
    mouse: bool,
}

impl Screen {
    /// Takes the terminal: raw mode, alternate screen, keys on their own thread, and the mouse if
    /// it is wanted.
    ///
    /// # Errors
    /// If the terminal refuses.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        let started = Instant::now();
        let terminal = take(mouse).and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        let terminal = terminal.inspect_err(|_| restore())?;
        let (sender, inputs) = channel();
        Ok(Self {
            terminal,
            inputs,
            reader: Some(Reader::start(sender.clone(), started)),
            sender,
            started,
            mouse,
        })
    }

    /// Milliseconds since the terminal was taken, by a clock that never goes backwards.
    pub fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Columns and rows.
    ///
    /// # Errors
    /// If the terminal cannot say.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    /// Draws one frame as one synchronised update, so nothing flickers over a slow line.
    ///
    /// # Errors
    /// If the terminal cannot be written.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame)) -> io::Result<()> {
        queue!(stdout(), BeginSynchronizedUpdate)?;
        self.terminal.draw(render)?;
        execute!(stdout(), EndSynchronizedUpdate)
    }

    /// Forgets what is on the terminal: the next frame is drawn in full.
    ///
    /// # Errors
    /// If the terminal cannot be written.
    pub fn redraw(&mut self) -> io::Result<()> {
        // Not `clear`: it asks the terminal where the cursor is, and one that is slow to answer, or
        // does not, would end the session.
        let size = self.terminal.size()?;
        self.terminal
            .resize(Rect::new(0, 0, size.width, size.height))
    }

    /// The next input, or `None` after `timeout` without one.
    pub fn next(&self, timeout: Duration) -> Option<Input> {
        match self.inputs.recv_timeout(timeout) {
            Ok(input) => Some(input),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Input::Closed),
        }
    }

    /// Gives the terminal to the shell and stops the process group until `fg`, then takes it again.
    ///
    /// # Errors
    /// If the terminal cannot be taken again.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.lend(stop_process_group)
    }

    /// Lets the annotator edit `text` in their editor; the inner result is what came of that.
    ///
    /// # Errors
    /// If the terminal cannot be taken again.
    pub fn edit(&mut self, text: &str) -> io::Result<io::Result<String>> {
        self.lend(|| editor::edit(text))
    }

    /// Gives the terminal away while `user` runs. Nobody here reads keys meanwhile.
    fn lend<T>(&mut self, user: impl FnOnce() -> T) -> io::Result<T> {
        self.reader = None;
        restore();
        let result = user();
        take(self.mouse)?;
        self.reader = Some(Reader::start(self.sender.clone(), self.started));
        self.redraw()?;
        Ok(result)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.reader = None;
        restore();
        let _ = stdout().flush();
    }
}

/// Signals the whole group, as the terminal's own Ctrl-Z does: under `cargo run` the shell waits for
/// cargo, not for us. A shell does it because a signal cannot be sent without unsafe code.
#[cfg(unix)]
fn stop_process_group() {
    let _ = Command::new("sh").args(["-c", "kill -TSTP 0"]).status();
}

#[cfg(not(unix))]
fn stop_process_group() {}
