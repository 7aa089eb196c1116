//! SIGTSTP and SIGCONT: the terminal is given back before the process stops, and taken again when it
//! goes on.

use std::io;
use std::process::Command;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};
use std::thread;

use signal_hook::consts::{SIGCONT, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::input::Arrival;

/// The screen that is told; `None` before the first one.
static SCREEN: Mutex<Option<Sender<Arrival>>> = Mutex::new(None);

/// Tells a screen of both signals from now on.
///
/// The thread stays for the life of the process: a signal that was handled once cannot be given its
/// default effect back without unsafe code, so stopping where no screen has the terminal (in an
/// editor, after the last screen) happens here too.
pub(super) fn report_to(screen: Sender<Arrival>) -> io::Result<()> {
    let mut told = SCREEN.lock().unwrap_or_else(PoisonError::into_inner);
    if told.is_none() {
        let mut signals = Signals::new([SIGTSTP, SIGCONT])?;
        let listen = move || signals.forever().for_each(handle);
        thread::Builder::new()
            .name("signals".into())
            .spawn(listen)?;
    }
    *told = Some(screen);
    Ok(())
}

fn handle(signal: i32) {
    let arrival = if signal == SIGTSTP {
        Arrival::Stop
    } else {
        Arrival::Continued
    };
    let screen = SCREEN.lock().unwrap_or_else(PoisonError::into_inner);
    let tell = |screen: &Sender<Arrival>| screen.send(arrival).is_ok();
    let told = super::is_entered() && screen.as_ref().is_some_and(tell);
    drop(screen);
    if signal == SIGTSTP && !told {
        stop();
    }
}

/// Stops this process until SIGCONT. The terminal must not be in our hands.
pub(super) fn stop() {
    // It fails for signals that do not exist only.
    let _ = emulate_default_handler(SIGTSTP);
}

/// Signals the whole group, as the terminal's own Ctrl-Z does: under `cargo run` the shell waits for
/// cargo, not for us. It reaches us as [`Arrival::Stop`]. A shell does it because a signal cannot be
/// sent to a group without unsafe code; it ignores the signal itself, or nobody would wait for it.
/// False if there is no shell.
pub(super) fn stop_group() -> bool {
    let mut shell = Command::new("sh");
    let sent = shell.args(["-c", "trap '' TSTP; kill -TSTP 0"]).status();
    sent.is_ok_and(|status| status.success())
}
