//! `rlhf`: see `rlhf --help`, and the library's documentation for how it is built.

use std::process::ExitCode;

use rlhf::cli;

fn main() -> ExitCode {
    if let Err(report) = cli::reports::install(exit) {
        return cli::fail(&report);
    }
    cli::run(std::env::args_os())
}

#[allow(
    clippy::exit,
    reason = "signals and broken pipes end the process from outside `main`'s own flow"
)]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}
