//! Says on standard error that a GPU's kernels are being compiled, and how long that took.

use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use color_eyre::Result;
use indicatif::{ProgressBar, ProgressStyle};

use super::progress::COMPILING;
use crate::device;
use crate::generate::{Request, Settings};
use crate::model::Decoder;

/// Compiles what generating will need before it is timed or shown. On the CPU there is nothing to do or to say; `silent` says
/// nothing anywhere.
///
/// # Errors
/// As [`generate`](crate::generate::generate).
pub fn warm_up(
    decoder: &Decoder,
    requests: &[Request],
    settings: Settings<'_>,
    silent: bool,
) -> Result<()> {
    let line = (!silent && !device::is_cpu(&decoder.embedding.device())).then(begin);
    let since = Instant::now();
    let result = crate::generate::warm_up(decoder, requests, settings);
    if let Some(line) = line {
        line.finish_and_clear();
        if result.is_ok() {
            eprintln!("{}", ready(since.elapsed()));
        }
    }
    result?;
    Ok(())
}

/// A line that shows the time passing on a terminal, and stands still elsewhere.
fn begin() -> ProgressBar {
    if !stderr().is_terminal() {
        eprintln!("{COMPILING}");
        return ProgressBar::hidden();
    }
    let line = ProgressBar::no_length().with_message(COMPILING);
    if let Ok(style) = ProgressStyle::with_template("{msg} {elapsed}") {
        line.set_style(style);
    }
    line.enable_steady_tick(Duration::from_millis(500));
    line
}

fn ready(time: Duration) -> String {
    format!("kernels ready after {:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_told_in_seconds() {
        let line = ready(Duration::from_millis(83_250));
        assert_eq!(line, "kernels ready after 83.2 s");
    }
}
