//! Progress of a job: bars with ETA on a terminal, plain lines elsewhere, JSON lines or nothing on request.
//!
//! Everything but JSON goes to standard error, without colours.

use std::io::{IsTerminal, Write as _, stderr, stdout};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Map, json};

use crate::run::Observer;

/// While nothing else can be said of a job on a GPU.
pub const COMPILING: &str = "compiling kernels for the GPU";

/// Shows what a trainer reports.
#[derive(Debug)]
pub struct Progress {
    display: Display,
    every: usize,
    first: Option<(usize, Instant)>,
}

#[derive(Debug)]
enum Display {
    Bars {
        all: MultiProgress,
        steps: ProgressBar,
        phase: ProgressBar,
    },
    Lines,
    Json,
    Quiet,
}

impl Progress {
    /// Chooses the display; a plain line or a JSON object appears every `every` steps.
    pub fn new(json: bool, quiet: bool, every: usize) -> Self {
        let display = match (json, quiet) {
            (true, _) => Display::Json,
            (_, true) => Display::Quiet,
            _ if stderr().is_terminal() => bars(),
            _ => Display::Lines,
        };
        Self {
            display,
            every: every.max(1),
            first: None,
        }
    }

    /// Time left at the pace since the first step that was seen; `None` until the second.
    fn eta(&mut self, step: usize, total: usize) -> Option<Duration> {
        let (first, since) = *self.first.get_or_insert_with(|| (step, Instant::now()));
        remaining(
            since.elapsed(),
            step.saturating_sub(first),
            total.saturating_sub(step),
        )
    }
}

fn bars() -> Display {
    let all = MultiProgress::new();
    let style = |template: &str| {
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        style.progress_chars("##-")
    };
    let steps = all.add(ProgressBar::new(0));
    steps.set_style(style("step {pos}/{len} [{bar:20}] {elapsed} {wide_msg}"));
    steps.enable_steady_tick(Duration::from_millis(500)); // Keeps the elapsed time alive during long steps.
    let phase = ProgressBar::hidden(); // Joins the display with the first phase.
    phase.set_style(style("  {msg} {pos}/{len} [{bar:20}]"));
    Display::Bars { all, steps, phase }
}

impl Observer for Progress {
    fn phase(&mut self, name: &str, done: usize, total: usize) {
        if let Display::Bars { all, phase, .. } = &self.display {
            if phase.is_hidden() {
                all.add(phase.clone());
            }
            phase.set_length(total as u64);
            phase.set_position(done as u64);
            phase.set_message(name.to_owned());
        }
    }

    fn step(&mut self, step: usize, total: usize, metrics: &[(&str, f64)]) {
        let eta = self.eta(step, total);
        let due = step.is_multiple_of(self.every) || step == total;
        match &self.display {
            Display::Bars { steps, .. } => {
                steps.set_length(total as u64);
                steps.set_position(step as u64);
                steps.set_message(summary(eta, metrics));
            }
            Display::Lines if due => eprintln!("step {step}/{total} {}", summary(eta, metrics)),
            Display::Json if due => {
                let metrics: Map<_, _> = metrics
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), json!(v)))
                    .collect();
                print_json(
                    &json!({"event": "step", "step": step, "total": total, "metrics": metrics}),
                );
            }
            _ => {}
        }
    }

    fn compiling(&mut self) {
        match &self.display {
            Display::Bars { steps, .. } => steps.set_message(COMPILING), // the bar shows the time that passes
            Display::Lines => eprintln!("{COMPILING}"),
            Display::Json | Display::Quiet => {}
        }
    }

    fn note(&mut self, text: &str) {
        match &self.display {
            Display::Bars { all, .. } => all.suspend(|| eprintln!("{text}")),
            Display::Lines => eprintln!("{text}"),
            Display::Json => print_json(&json!({"event": "note", "text": text})),
            Display::Quiet => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Display::Bars { steps, phase, .. } = &self.display {
            phase.finish_and_clear();
            steps.abandon();
        }
    }
}

/// A reader that went away does not stop the job.
fn print_json(value: &serde_json::Value) {
    let _ = writeln!(stdout(), "{value}");
}

fn remaining(elapsed: Duration, done: usize, left: usize) -> Option<Duration> {
    (done > 0).then(|| elapsed.mul_f64(left as f64 / done as f64))
}

fn summary(eta: Option<Duration>, metrics: &[(&str, f64)]) -> String {
    let eta = eta.map(|eta| format!("ETA {}", clock(eta)));
    let metrics = metrics
        .iter()
        .map(|(name, value)| format!("{name} {}", short(*value)));
    eta.into_iter()
        .chain(metrics)
        .collect::<Vec<_>>()
        .join("  ")
}

/// Four significant digits or so.
fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size != 0.0 && !(1e-3..1e5).contains(&size) => format!("{value:.2e}"),
        _ if size >= 100.0 => format!("{value:.1}"),
        _ => format!("{value:.4}"),
    }
}

/// `45s`, `3m20s`, `2h05m`.
fn clock(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        _ => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_says_that_kernels_are_compiled_until_the_first_step() {
        let mut progress = Progress {
            display: bars(),
            every: 1,
            first: None,
        };
        let message = |progress: &Progress| match &progress.display {
            Display::Bars { steps, .. } => steps.message(),
            _ => unreachable!("bars were asked for"),
        };
        progress.compiling();
        progress.phase("rollout", 1, 8);
        assert_eq!(message(&progress), COMPILING);
        progress.step(1, 9, &[("kl", 0.0)]);
        assert_eq!(message(&progress), "kl 0.0000");
    }

    #[test]
    fn the_time_left_follows_the_pace() {
        let minute = Duration::from_mins(1);
        assert_eq!(remaining(minute, 0, 9), None);
        assert_eq!(remaining(minute, 3, 9), Some(Duration::from_mins(3)));
        assert_eq!(remaining(minute, 3, 0), Some(Duration::ZERO));
    }

    #[test]
    fn a_step_is_one_short_line() {
        let metrics = [
            ("kl", 0.123_456),
            ("learning_rate", 3e-6),
            ("length", 1234.5),
        ];
        let line = summary(Some(Duration::from_secs(200)), &metrics);
        assert_eq!(
            line,
            "ETA 3m20s  kl 0.1235  learning_rate 3.00e-6  length 1234.5"
        );
        assert_eq!(summary(None, &[("kl", 0.0)]), "kl 0.0000");
    }

    #[test]
    fn times_are_written_for_people() {
        let text = |s| clock(Duration::from_secs(s));
        assert_eq!(
            [text(59), text(60), text(3599), text(7500)],
            ["59s", "1m00s", "59m59s", "2h05m"]
        );
    }
}
