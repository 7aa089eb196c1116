//! Keys, pasted text and the mouse, read on a thread of their own and stamped when they are read, so
//! that a key typed while the disk was slow is known to be older than what is on the screen now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{
    self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent,
    MouseEventKind,
};

use crate::tui::keys::{Key, Step};

/// How often the thread looks whether it should end.
const POLL: Duration = Duration::from_millis(50);

/// How long the end of the thread is waited for. From a terminal that is gone crossterm reads for
/// ever; whoever waits for that never lets go of the annotator's files.
const PATIENCE: Duration = Duration::from_millis(500);

/// Something that happened at the terminal. Times are milliseconds of [`super::Screen::now_ms`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key, and when it was read.
    Key(Key, u64),
    /// A pasted text; it never acts as keys.
    Paste(String, u64),
    /// The left button was pressed at this column and row.
    Click(u16, u16, u64),
    /// The wheel was turned by a notch at this column and row.
    Wheel(Step, u16, u16, u64),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// The process was stopped for a while, or the terminal was ours no longer: it is again.
    Resumed(u64),
    /// The terminal is gone (its window was closed, the connection was lost).
    Closed,
}

/// What comes to a screen: inputs, and the signals that it answers itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arrival {
    /// For whoever drives the screen.
    Input(Input),
    /// The process is asked to stop (SIGTSTP).
    #[cfg_attr(not(unix), allow(dead_code, reason = "there are no such signals"))]
    Stop,
    /// The process goes on (SIGCONT).
    #[cfg_attr(not(unix), allow(dead_code, reason = "there are no such signals"))]
    Continued,
}

/// The thread that reads.
#[derive(Debug)]
pub(super) struct Reader {
    thread: Option<JoinHandle<()>>,
    ended: Arc<AtomicBool>,
    /// Disconnected once the thread is at its end.
    end: Receiver<()>,
}

impl Reader {
    /// Begins to read; `started` is the origin of all times.
    pub(super) fn start(sender: Sender<Arrival>, started: Instant) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (running, end) = channel();
        let thread = {
            let ended = Arc::clone(&ended);
            std::thread::spawn(move || {
                read(&sender, &ended, started);
                drop(running);
            })
        };
        Self {
            thread: Some(thread),
            ended,
            end,
        }
    }
}

impl Drop for Reader {
    /// The thread ends within one poll; keys typed after this belong to whoever reads next. If the
    /// terminal is gone it is left to the end of the process.
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let at_its_end = self.end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected);
        if let Some(thread) = self.thread.take().filter(|_| at_its_end) {
            let _ = thread.join();
        }
    }
}

fn read(sender: &Sender<Arrival>, ended: &AtomicBool, started: Instant) {
    while !ended.load(Ordering::SeqCst) {
        let input = match event::poll(POLL) {
            Ok(false) => continue,
            Ok(true) => match event::read() {
                Ok(event) => translate(event, started.elapsed().as_millis() as u64),
                Err(_) => Some(Input::Closed),
            },
            Err(_) => Some(Input::Closed),
        };
        let Some(input) = input else { continue };
        let closed = input == Input::Closed;
        if sender.send(Arrival::Input(input)).is_err() || closed {
            return;
        }
    }
}

fn translate(event: Event, at_ms: u64) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            translate_key(&key).map(|key| Input::Key(key, at_ms))
        }
        Event::Paste(text) => Some(Input::Paste(text, at_ms)),
        Event::Mouse(mouse) => translate_mouse(mouse, at_ms),
        Event::Resize(width, height) => Some(Input::Resize(width, height)),
        _ => None,
    }
}

fn translate_mouse(mouse: MouseEvent, at_ms: u64) -> Option<Input> {
    let (x, y) = (mouse.column, mouse.row);
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => Some(Input::Click(x, y, at_ms)),
        MouseEventKind::ScrollDown => Some(Input::Wheel(Step::Down, x, y, at_ms)),
        MouseEventKind::ScrollUp => Some(Input::Wheel(Step::Up, x, y, at_ms)),
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
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
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
        assert_eq!(key(KeyCode::F(1), KeyModifiers::NONE), None);
    }

    #[test]
    fn pasted_text_is_not_keys_and_only_the_left_button_clicks() {
        assert_eq!(
            translate(Event::Paste("1959".into()), 7),
            Some(Input::Paste("1959".into(), 7))
        );
        assert_eq!(
            translate(Event::Resize(80, 24), 0),
            Some(Input::Resize(80, 24))
        );
        let mouse = |kind| MouseEvent {
            kind,
            column: 3,
            row: 4,
            modifiers: KeyModifiers::NONE,
        };
        let left = MouseEventKind::Down(MouseButton::Left);
        assert_eq!(translate_mouse(mouse(left), 5), Some(Input::Click(3, 4, 5)));
        let right = MouseEventKind::Down(MouseButton::Right);
        assert_eq!(translate_mouse(mouse(right), 5), None);
    }
}
