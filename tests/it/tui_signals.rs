//! Signals and panics, from the real binary and a real shell in a pseudo-terminal.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use portable_pty::CommandBuilder;
use ratatui::Frame;
use rlhf::cli::reports;
use rlhf::feedback::record::Kind::{Judgement, SessionEnd, SessionStart};
use rlhf::tui::keys::Key;
use rlhf::tui::terminal::{Input, Screen};

use tempfile::TempDir;

use crate::tui_person::{Person, kinds, project};

fn signal(name: &str, process: &str) {
    let sent = Command::new("kill").args([name, process]).status();
    assert!(sent.unwrap().success(), "{name} {process}");
}

#[test]
fn a_signal_ends_in_good_order() {
    for signal in ["-TERM", "-HUP"] {
        let project = project();
        let mut mia = Person::sit_down(project.path(), 120, 36);
        mia.sees(&["0/3"]).types("7").sees(&["1/3"]);
        let process = mia.child.process_id().unwrap().to_string();
        self::signal(signal, &process);
        let (_, farewell) = mia.leaves();
        assert!(
            farewell.contains("1 judged (1 preferred)"),
            "{signal}: {farewell}"
        );
        let ended = [SessionStart, Judgement, SessionEnd];
        assert_eq!(kinds(project.path()), ended, "{signal}");
    }
}

/// A shell with job control in which `rlhf label` runs; its process id is in `pid`.
fn in_a_shell(project: &Path) -> Person {
    let mut shell = CommandBuilder::new("sh");
    shell.arg("-i");
    shell.env("PS1", "ready> ");
    shell.env("VISUAL", "sh editor");
    shell.cwd(project);
    let mut person = Person::run(shell, project, 100, 28);
    let label = format!(
        "{} label pairs.jsonl --annotator mia",
        env!("CARGO_BIN_EXE_rlhf")
    );
    person.sees(&["ready>"]);
    person.types(&format!("sh -c 'echo $$ >pid; exec {label}'\r"));
    person.sees(&["0/3", "Prompt"]);
    person
}

/// Waits for the shell, then brings the screen back and judges and leaves.
fn is_brought_back(mut person: Person, project: &Path) {
    person.reads(|screen| screen.contains("Stopped") && screen.ends_with("ready> "));
    assert!(!person.screen.screen().alternate_screen());
    assert!(!person.screen.screen().bracketed_paste());
    // The shell echoes what is typed, in a terminal that is not raw.
    person.types("echo $((6 * 7))\r").sees(&["42"]);
    person
        .types("fg\r")
        .sees(&["1/3", "Prompt", "last: B slightly better"]);
    assert!(person.screen.screen().alternate_screen());
    person.types("5").sees(&["2/3", "last: tie"]).types("q");
    person.sees(&["1 left; run the same command"]);
    person.types("exit\r");
    let (status, said) = person.leaves();
    assert!(status.success(), "{said}");
    let saved = [SessionStart, Judgement, Judgement, SessionEnd];
    assert_eq!(kinds(project), saved);
}

#[test]
fn ctrl_z_stops_it_and_fg_brings_it_back() {
    let project = project();
    let mut mia = in_a_shell(project.path());
    mia.types("7").sees(&["1/3"]).types("\x1a");
    is_brought_back(mia, project.path());
}

#[test]
fn sigtstp_from_outside_stops_it_and_fg_brings_it_back() {
    let project = project();
    let mut mia = in_a_shell(project.path());
    mia.types("7").sees(&["1/3"]);
    let process = fs::read_to_string(project.path().join("pid")).unwrap();
    signal("-TSTP", process.trim());
    is_brought_back(mia, project.path());
}

#[test]
fn an_editor_can_be_stopped_too_and_goes_on_where_it_was() {
    let project = project();
    let editor = "kill -TSTP 0\necho written after fg >\"$1\"\n";
    fs::write(project.path().join("editor"), editor).unwrap();
    let mut mia = in_a_shell(project.path());
    mia.types("c").sees(&["Comment"]).types("\x0f");
    mia.reads(|screen| screen.contains("Stopped") && screen.ends_with("ready> "));
    mia.types("fg\r").sees(&["Comment", "written after fg▏"]);
    mia.types("\r7").sees(&["1/3", "last: B slightly better"]);
    mia.types("q").sees(&["2 left; run the same command"]);
    mia.types("exit\r");
    assert!(mia.leaves().0.success());
}

/// SIGSTOP cannot be caught, so the screen is still there; whatever was written over it is not.
#[test]
fn after_sigstop_and_sigcont_the_screen_is_drawn_afresh() {
    let project = project();
    let mut mia = Person::sit_down(project.path(), 120, 36);
    mia.sees(&["0/3", "Prompt"]);
    let process = mia.child.process_id().unwrap().to_string();
    signal("-STOP", &process);
    mia.screen.process(b"\x1b[?1049l\x1b[2J\x1b[H[1]+ Stopped");
    signal("-CONT", &process);
    mia.reads(|screen| screen.contains("Prompt") && !screen.contains("Stopped"));
    mia.types("q");
    assert!(mia.leaves().0.success());
}

/// In the child process of the tests below: what `main` does, then a screen and a panic.
const PANIC: &str = "RLHF_TEST_PANIC";

fn panics(thread: &str) -> (TempDir, Person) {
    let project = project();
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    let itself = "tui_signals::a_panic_gives_the_terminal_back";
    command.args(["--exact", itself, "--nocapture"]);
    command.cwd(project.path());
    command.env(PANIC, thread);
    // A backtrace would push what matters off the screen.
    command.env("RUST_BACKTRACE", "0");
    let person = Person::run(command, project.path(), 120, 36);
    (project, person)
}

fn panic_with_a_screen(thread: &str) {
    reports::install(|code| panic!("exit with {code}")).unwrap();
    let mut screen = Screen::enter(true).unwrap();
    if thread == "own" {
        // Never dropped: only the hook is left to restore anything.
        std::mem::forget(screen);
        panic!("on purpose");
    }
    let other = std::thread::spawn(|| panic!("on purpose"));
    assert!(other.join().is_err());
    let minute = Duration::from_mins(1);
    let resumed = screen.next(minute).unwrap();
    assert!(matches!(resumed, Some(Input::Resumed(_))), "{resumed:?}");
    let size = screen.size().unwrap();
    let words = |frame: &mut Frame| frame.render_widget("still here", frame.area());
    screen.draw(size, words).unwrap();
    let key = screen.next(minute).unwrap();
    assert!(
        matches!(key, Some(Input::Key(Key::Char('x'), _))),
        "{key:?}"
    );
}

#[test]
fn a_panic_gives_the_terminal_back() {
    if let Ok(thread) = std::env::var(PANIC) {
        return panic_with_a_screen(&thread);
    }
    let (_project, person) = panics("own");
    let (status, said) = person.leaves();
    assert!(!status.success());
    assert!(said.contains("on purpose"), "{said}");
    assert!(
        said.contains("This is a bug in rlhf; please report it"),
        "{said}"
    );
}

#[test]
fn a_panic_on_another_thread_is_told_and_the_screen_goes_on() {
    let (_project, mut person) = panics("other");
    person.sees(&["still here"]);
    assert!(person.screen.screen().alternate_screen());
    // Raw mode is on again: a key comes without Enter.
    person.types("x");
    let (status, said) = person.leaves();
    assert!(status.success(), "{said}");
    assert!(
        said.contains("This is a bug in rlhf; please report it"),
        "{said}"
    );
}
