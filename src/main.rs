//! `rlhf`: see `rlhf --help`, and the library's documentation for how it is built.

use std::process::ExitCode;

use color_eyre::config::{HookBuilder, Theme};
use rlhf::feedback::rows::is_decoding;
use rlhf::run::control::{Interrupt, interrupt};
use rlhf::{cli, tui};

fn main() -> ExitCode {
    if let Err(report) = install_reports() {
        return cli::fail(&report);
    }
    cli::run(std::env::args_os())
}

/// Panics are bugs and say so, on a terminal that works again; Ctrl-C stops a job after its step.
fn install_reports() -> color_eyre::Result<()> {
    let (panic_hook, eyre_hook) = HookBuilder::default()
        .theme(Theme::new())
        .display_env_section(false)
        .panic_section("This is a bug in rlhf; please report it with what you did before.")
        .into_hooks();
    eyre_hook.install()?;
    panic_hook.install();
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if is_decoding() {
            return; // Caught, and reported as an error about the file.
        }
        tui::terminal::restore();
        // `println!` panics when its reader, such as `head` or a terminal, is gone; that is no bug.
        let gone = |text: &str| text.contains("Broken pipe") || text.contains("Input/output error");
        if panic.payload_as_str().is_some_and(gone) {
            exit(0);
        }
        report(panic);
    }));
    ctrlc::set_handler(|| match interrupt() {
        // A screen of ours ends at once and says by itself what is saved.
        Interrupt::Stopping if tui::terminal::is_entered() => {}
        Interrupt::Stopping => cli::announce_stop(),
        Interrupt::Same => {}
        Interrupt::Abort => {
            tui::terminal::restore();
            exit(i32::from(cli::INTERRUPTED));
        }
    })?;
    Ok(())
}

#[allow(
    clippy::exit,
    reason = "signals and broken pipes end the process from outside `main`'s own flow"
)]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}
