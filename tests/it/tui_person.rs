//! The real binary in a pseudo-terminal, and a person before it.

use std::fs;
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rlhf::feedback::record::Kind;
use rlhf::feedback::store::load::load;
use tempfile::TempDir;

pub const PAIRS: &str = include_str!("../fixtures/tui/pairs.jsonl");
/// How long a busy machine may take to draw one screen.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// After this long nothing more comes from a process that has ended.
const SILENCE: Duration = Duration::from_secs(1);

/// `rlhf label --live` as `mia` over [`prompts`], on the model inside the binary.
pub const LIVE: [&str; 10] = [
    "label",
    "--live",
    "--model",
    "embedded",
    "--device",
    "cpu",
    "--prompts",
    "prompts.jsonl",
    "--annotator",
    "mia",
];

/// Writes `n` prompts to the project's `prompts.jsonl`.
pub fn prompts(project: &Path, n: usize) {
    let row = |n| format!("{{\"prompt\":\"Name a colour, number {n}.\"}}\n");
    let rows: String = (0..n).map(row).collect();
    fs::write(project.join("prompts.jsonl"), rows).unwrap();
}

/// A project with three pairs in a file.
pub fn project() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pairs.jsonl"), PAIRS).unwrap();
    dir
}

pub struct Person {
    pub screen: vt100::Parser,
    output: Receiver<Vec<u8>>,
    /// Everything that was written to the terminal.
    written: Vec<u8>,
    keys: Box<dyn Write + Send>,
    pub child: Box<dyn Child + Send + Sync>,
    pub master: Box<dyn MasterPty + Send>,
}

impl Person {
    /// Starts `rlhf label pairs.jsonl` as `mia` in a terminal of this size.
    pub fn sit_down(project: &Path, columns: u16, rows: u16) -> Self {
        let arguments = ["label", "pairs.jsonl", "--annotator", "mia"];
        Self::start(project, &arguments, columns, rows)
    }

    pub fn start(project: &Path, arguments: &[&str], columns: u16, rows: u16) -> Self {
        Self::start_on("here", project, arguments, columns, rows)
    }

    /// The same on a machine with this name.
    pub fn start_on(
        host: &str,
        project: &Path,
        arguments: &[&str],
        columns: u16,
        rows: u16,
    ) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_rlhf"));
        command.args(arguments);
        command.cwd(project);
        command.env("HOSTNAME", host);
        Self::run(command, project, columns, rows)
    }

    /// Starts any command in a terminal of this size.
    pub fn run(mut command: CommandBuilder, project: &Path, columns: u16, rows: u16) -> Self {
        let size = PtySize {
            rows,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pty = native_pty_system().openpty(size).unwrap();
        command.env("TERM", "xterm-256color");
        command.env("XDG_CONFIG_HOME", project.join("config"));
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let keys = pty.master.take_writer().unwrap();
        let output = read_in_background(pty.master.try_clone_reader().unwrap());
        let screen = vt100::Parser::new(nonzero(rows), nonzero(columns), 0);
        Self {
            screen,
            output,
            written: Vec::new(),
            keys,
            child,
            master: pty.master,
        }
    }

    fn hears(&mut self, bytes: &[u8]) {
        self.written.extend(bytes);
        self.screen.process(bytes);
    }

    /// Whether no frame is being drawn: one is a synchronised update.
    fn is_whole(&self) -> bool {
        let mut windows = self.written.windows(8).rev();
        let last = windows.find(|window| window.starts_with(b"\x1b[?2026"));
        last.is_none_or(|mark| mark.ends_with(b"l"))
    }

    /// Waits until the screen shows all of these.
    pub fn sees(&mut self, texts: &[&str]) -> &mut Self {
        let are_there = |screen: &str| texts.iter().all(|text| screen.contains(text));
        self.waits(are_there, &format!("{texts:?}"));
        self
    }

    /// Waits until the screen is as it should be, and returns it.
    pub fn reads(&mut self, is_there: impl Fn(&str) -> bool) -> String {
        self.waits(is_there, "something else");
        self.looks()
    }

    fn waits(&mut self, is_there: impl Fn(&str) -> bool, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !(self.is_whole() && is_there(&self.looks())) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.output.recv_timeout(left) else {
                panic!("waited for {what}, saw:\n{}", self.looks());
            };
            self.hears(&bytes);
        }
    }

    pub fn types(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
        self
    }

    /// `kill -9`; returns the last screen.
    pub fn dies(mut self) -> String {
        let process = self.child.process_id().unwrap().to_string();
        let kill = Command::new("kill").args(["-9", &process]).status();
        assert!(kill.unwrap().success());
        self.child.wait().unwrap();
        while let Ok(bytes) = self.output.recv_timeout(PATIENCE) {
            self.hears(&bytes);
        }
        self.screen.screen().contents()
    }

    /// What is on the screen.
    pub fn looks(&self) -> String {
        self.screen.screen().contents()
    }

    /// Where these bytes first reached the terminal.
    pub fn wrote(&self, bytes: &[u8]) -> Option<usize> {
        let mut windows = self.written.windows(bytes.len());
        windows.position(|window| window == bytes)
    }

    /// Waits for the end; the terminal must be as it was.
    pub fn leaves(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let mut ended = false;
        loop {
            match self.output.recv_timeout(SILENCE) {
                Ok(bytes) => self.hears(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                // A process of another test that was started at the wrong moment can have a copy of
                // this terminal, and keep it open. So silence is the end, if it began after the process was
                // seen to have ended: its last words may still be on their way before.
                Err(RecvTimeoutError::Timeout) if ended => break,
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {
                    ended = self.child.try_wait().unwrap().is_some();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.child.kill().unwrap();
                    panic!("it did not end:\n{}", self.screen.screen().contents());
                }
            }
        }
        let status = self.child.wait().unwrap();
        let screen = self.screen.screen();
        assert!(
            !screen.alternate_screen(),
            "the alternate screen was not left"
        );
        assert!(!screen.hide_cursor(), "the cursor is still hidden");
        assert!(!screen.bracketed_paste(), "bracketed paste is still on");
        let mouse = screen.mouse_protocol_mode();
        assert_eq!(
            mouse,
            vt100::MouseProtocolMode::None,
            "the mouse is still ours"
        );
        // Bidirectional support (BDSM), of which vt100 knows nothing: off with us, then on again.
        let order = self.written.windows(4).filter(|w| w.starts_with(b"\x1b[8"));
        let order: Vec<&[u8]> = order.collect();
        let ours = order.first().is_none_or(|first| first.ends_with(b"l"));
        let given_back = order.last().is_none_or(|last| last.ends_with(b"h"));
        assert!(ours && given_back, "{order:?}");
        (status, screen.contents())
    }
}

pub fn nonzero(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

fn read_in_background(mut reader: Box<dyn Read + Send>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = reader.read(&mut buffer) {
            if sender.send(buffer[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

pub fn kinds(project: &Path) -> Vec<Kind> {
    let history = load(&project.join("feedback"), "mia").unwrap();
    history.events().iter().map(|event| event.kind).collect()
}
