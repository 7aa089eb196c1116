//! The terminal: entered and left in one place, restored however the program ends.
//!
//! Keys are read on a thread of their own and stamped when they are read, so that a key typed while
//! the disk was slow is known to be older than what is on the screen now. Pasted text never acts as
//! keys: bracketed paste is on and its events are dropped.

use std::io::{self, IsTerminal, Stdout, Write, stdout};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyCode, KeyEvent, KeyEventKind,
    KeyModifiers,
};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode, size,
};
use ratatui::crossterm::{cursor, execute, queue};
use ratatui::{Frame, Terminal};

use super::keys::Key;

/// How often the input thread looks whether it should end.
const INPUT_POLL: Duration = Duration::from_millis(50);

/// Whether the terminal is in our hands right now.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Something that happened at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A key, and when it was read in milliseconds of [`Screen::now_ms`].
    Key(Key, u64),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// The terminal is gone (its window was closed, the connection was lost).
    Closed,
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
            DisableBracketedPaste,
            LeaveAlternateScreen,
            cursor::Show
        );
    }
}

fn take() -> io::Result<()> {
    ENTERED.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(
        stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        cursor::Hide
    )
}

/// The terminal while a screen owns it.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    inputs: Receiver<Input>,
    reader: Option<JoinHandle<()>>,
    ended: Arc<AtomicBool>,
    started: Instant,
}

impl Screen {
    /// Takes the terminal: raw mode, alternate screen, keys on their own thread.
    ///
    /// # Errors
    /// If the terminal refuses.
    pub fn enter() -> io::Result<Self> {
        let started = Instant::now();
        let ended = Arc::new(AtomicBool::new(false));
        let terminal = take().and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        let terminal = terminal.inspect_err(|_| restore())?;
        let (sender, inputs) = channel();
        let reader = {
            let ended = Arc::clone(&ended);
            std::thread::spawn(move || read_inputs(&sender, &ended, started))
        };
        Ok(Self {
            terminal,
            inputs,
            reader: Some(reader),
            ended,
            started,
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
        self.terminal.clear()
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
        restore();
        stop_process_group();
        take()?;
        self.redraw()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(reader) = self.reader.take() {
            // It ends within one poll; keys typed after this belong to whoever reads next.
            let _ = reader.join();
        }
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

fn read_inputs(sender: &Sender<Input>, ended: &AtomicBool, started: Instant) {
    while !ended.load(Ordering::SeqCst) {
        let input = match event::poll(INPUT_POLL) {
            Ok(false) => continue,
            Ok(true) => match event::read() {
                Ok(event) => translate(&event, started.elapsed().as_millis() as u64),
                Err(_) => Some(Input::Closed),
            },
            Err(_) => Some(Input::Closed),
        };
        let Some(input) = input else { continue };
        if sender.send(input).is_err() || input == Input::Closed {
            return;
        }
    }
}

fn translate(event: &Event, at_ms: u64) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            translate_key(key).map(|key| Input::Key(key, at_ms))
        }
        Event::Resize(width, height) => Some(Input::Resize(*width, *height)),
        _ => None,
    }
}

fn translate_key(key: &KeyEvent) -> Option<Key> {
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        _ if key.modifiers.contains(KeyModifiers::ALT) => return None,
        KeyCode::Char(c) if ctrl => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
        translate_key(&KeyEvent::new(code, modifiers))
    }

    #[test]
    fn keys_are_translated_and_alt_is_ignored() {
        assert_eq!(
            key(KeyCode::Char('G'), KeyModifiers::SHIFT),
            Some(Key::Char('G'))
        );
        assert_eq!(
            key(KeyCode::Char('Z'), KeyModifiers::CONTROL),
            Some(Key::Ctrl('z'))
        );
        assert_eq!(key(KeyCode::Char('5'), KeyModifiers::ALT), None);
        assert_eq!(key(KeyCode::Backspace, KeyModifiers::NONE), None);
    }

    #[test]
    fn pasted_text_is_not_keys() {
        assert_eq!(translate(&Event::Paste("1959".into()), 0), None);
        assert_eq!(
            translate(&Event::Resize(80, 24), 0),
            Some(Input::Resize(80, 24))
        );
    }
}
