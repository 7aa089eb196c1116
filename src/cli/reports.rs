//! What happens when something breaks from outside a command's own flow: panics and signals.

use std::panic::{PanicHookInfo, set_hook, take_hook};

use color_eyre::Result;
use color_eyre::config::{HookBuilder, Theme};

use super::{INTERRUPTED, announce_stop};
use crate::feedback::rows::is_decoding;
use crate::run::control::{Interrupt, interrupt};
use crate::tui::terminal;

/// Installs the report of errors, the panic hook and the handler of Ctrl-C, SIGTERM and SIGHUP;
/// `exit` ends the process with a code.
///
/// # Errors
/// If they are installed already.
pub fn install(exit: fn(i32) -> !) -> Result<()> {
    let (panic_hook, eyre_hook) = HookBuilder::default()
        .theme(Theme::new())
        .display_env_section(false)
        .panic_section("This is a bug in rlhf; please report it with what you did before.")
        .into_hooks();
    eyre_hook.install()?;
    panic_hook.install();
    let report = take_hook();
    set_hook(Box::new(move |panic| panicked(panic, &report, exit)));
    ctrlc::set_handler(move || interrupted(exit))?;
    Ok(())
}

/// Panics are bugs and say so, on a terminal that works again.
fn panicked(panic: &PanicHookInfo, report: &dyn Fn(&PanicHookInfo), exit: fn(i32) -> !) {
    if is_decoding() {
        return; // Caught, and reported as an error about the file.
    }
    terminal::restore();
    // `println!` panics when its reader, such as `head` or a terminal, is gone; that is no bug.
    let gone = |text: &str| text.contains("Broken pipe") || text.contains("Input/output error");
    if panic.payload_as_str().is_some_and(gone) {
        exit(0);
    }
    report(panic);
}

/// Ctrl-C stops a job after its step; a second one ends the process.
fn interrupted(exit: fn(i32) -> !) {
    match interrupt() {
        // A screen of ours ends at once and says by itself what is saved.
        Interrupt::Stopping if terminal::is_entered() => {}
        Interrupt::Stopping => announce_stop(),
        Interrupt::Same => {}
        Interrupt::Abort => {
            terminal::restore();
            exit(i32::from(INTERRUPTED));
        }
    }
}
