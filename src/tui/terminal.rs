//! The terminal: entered and left in one place, restored however the program ends.

mod editor;
mod input;
#[cfg(unix)]
mod signals;

use std::io::{self, IsTerminal, Stdout, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use ratatui::crossterm::style::{Print, ResetColor};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use ratatui::crossterm::{cursor, execute, queue};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};

pub use self::input::Input;
use self::input::{Arrival, Reader};

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

/// Bidirectional support off, ECMA-48's BDSM mode 8: text stays in logical order, each character in
/// the cell that it was written to. Terminals without it ignore the sequence.
const EXPLICIT_ORDER: Print<&str> = Print("\x1b[8l");
/// The mode that terminals with bidirectional support begin in and programs leave them in
/// (<https://terminal-wg.pages.freedesktop.org/bidi/recommendation/escape-sequences.html>).
const IMPLICIT_ORDER: Print<&str> = Print("\x1b[8h");

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
            IMPLICIT_ORDER,
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
        // A program that was killed may have left the terminal there, with its colours and text.
        ResetColor,
        Clear(ClearType::All),
        EXPLICIT_ORDER,
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
    arrivals: Receiver<Arrival>,
    sender: Sender<Arrival>,
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
        let (sender, arrivals) = channel();
        #[cfg(unix)]
        signals::report_to(sender.clone()).inspect_err(|_| restore())?;
        Ok(Self {
            terminal,
            arrivals,
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

    /// Draws one frame as one synchronised update, so nothing flickers over a slow line. Draws nothing
    /// if the terminal is not of this `size` any more: its change is the next input.
    ///
    /// # Errors
    /// If the terminal cannot be written.
    pub fn draw(&mut self, size: (u16, u16), render: impl FnOnce(&mut Frame)) -> io::Result<()> {
        queue!(stdout(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| {
            let area = frame.area();
            if (area.width, area.height) == size {
                render(frame);
            }
        })?;
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

    /// The next input, or `None` after `timeout` without one. Stopping and going on happen in here.
    ///
    /// # Errors
    /// If the terminal cannot be taken again.
    pub fn next(&mut self, timeout: Duration) -> io::Result<Option<Input>> {
        if !is_entered() {
            // A panic on another thread gave it away, to be read.
            return self.take_again();
        }
        match self.arrivals.recv_timeout(timeout) {
            Ok(Arrival::Input(input)) => Ok(Some(input)),
            Ok(Arrival::Stop) => {
                #[cfg(unix)]
                self.lend(signals::stop)?;
                Ok(Some(Input::Resumed(self.now_ms())))
            }
            Ok(Arrival::Continued) => self.take_again(),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Ok(Some(Input::Closed)),
        }
    }

    /// Asks the process group to stop until `fg`; [`Screen::next`] gives the terminal to the shell.
    pub fn suspend(&self) {
        #[cfg(unix)]
        if !signals::stop_group() {
            // Without a shell only this process stops.
            let _ = self.sender.send(Arrival::Stop);
        }
    }

    /// Sets all modes anew. Whoever had the terminal, such as a shell while this process was stopped
    /// by SIGSTOP, may have left others.
    fn take_again(&mut self) -> io::Result<Option<Input>> {
        disable_raw_mode()?;
        take(self.mouse)?;
        self.redraw()?;
        Ok(Some(Input::Resumed(self.now_ms())))
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
