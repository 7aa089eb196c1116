//! The house rules that a compiler cannot check, read off the sources.
//!
//! Rooms import downwards only, pure rooms stay pure, only `cli` and `tui` print, only `main` exits.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from the top floor down; a room imports from lower floors and from itself.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["config", "tui"],
    &["round"],
    &["policy", "reward"],
    &["generate"],
    &["model", "feedback"],
    &["algo", "stats", "run", "device", "kernels"],
    &["cores"],
];

struct Source {
    /// Path below `src`, with `/`.
    path: String,
    room: String,
    /// Without comments and without the tests at the end.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let source = |file: PathBuf| {
        let path = file
            .strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/");
        let room = path.split(['/', '.']).next().unwrap().to_owned();
        let code = code_of(&fs::read_to_string(&file).unwrap());
        Source { path, room, code }
    };
    files
        .into_iter()
        .map(source)
        .filter(|s| s.room != "lib" && !s.path.ends_with("tests.rs"))
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

fn code_of(text: &str) -> String {
    let text = text
        .split("\n#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default();
    let code = text
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

/// Rooms that `code` names as `crate::room` or `crate::{room::…, room}`.
fn imports(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(list) => rooms.extend(top_level_names(list)),
            None => rooms.push(identifier(after)),
        }
    }
    rooms
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn top_level_names(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(identifier(list[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.into_iter().filter(|name| !name.is_empty()).collect()
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// `path: word` for each forbidden word in the sources chosen.
fn occurrences(words: &[&str], chosen: impl Fn(&Source) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().into_iter().filter(chosen) {
        let hits = words.iter().filter(|word| source.code.contains(**word));
        found.extend(hits.map(|word| format!("{}: {word}", source.path)));
    }
    found
}

#[test]
fn dependencies_point_down() {
    let mut wrong = Vec::new();
    for source in sources() {
        let own = floor(&source.room);
        assert!(
            own.is_some(),
            "src/{} is in no room of FLOORS; give it a floor",
            source.path
        );
        for room in imports(&source.code) {
            let upwards =
                floor(&room).is_some_and(|other| Some(other) <= own) && room != source.room;
            if upwards {
                wrong.push(format!("{} imports {room}", source.path));
            }
        }
    }
    assert_eq!(wrong, [] as [&str; 0]);
}

#[test]
fn screens_know_judgements_and_runs_but_not_models() {
    let allowed = ["tui", "round", "feedback", "run", "stats"];
    for source in sources().into_iter().filter(|s| s.room == "tui") {
        for room in imports(&source.code) {
            assert!(
                floor(&room).is_none() || allowed.contains(&room.as_str()),
                "{} imports {room}",
                source.path
            );
        }
    }
}

#[test]
fn nothing_below_cli_imports_the_configuration() {
    let above = ["main", "cli", "config"];
    for source in sources()
        .into_iter()
        .filter(|s| !above.contains(&s.room.as_str()))
    {
        assert!(
            !imports(&source.code).contains(&"config".to_owned()),
            "{} imports config",
            source.path
        );
    }
}

#[test]
fn pure_rooms_do_no_io_read_no_clock_and_draw_no_random_numbers_of_their_own() {
    let impure = [
        "std::fs",
        "std::io",
        "std::net",
        "std::env",
        "std::process",
        "std::time",
        "Instant::now",
        "SystemTime",
        "Timestamp::now",
        "rand::rng(",
        "thread_rng",
        "OsRng",
        "SysRng",
        "from_os_rng",
    ];
    let pure = |s: &Source| {
        let update = s.room == "tui" && s.path.contains("update");
        let record = s.path == "feedback/record.rs" || s.path.starts_with("feedback/record/");
        ["algo", "stats"].contains(&s.room.as_str()) || update || record
    };
    assert_eq!(occurrences(&impure, pure), [] as [&str; 0]);
}

#[test]
fn the_maths_does_not_know_the_model() {
    for source in sources().into_iter().filter(|s| s.room == "algo") {
        let others: Vec<_> = imports(&source.code)
            .into_iter()
            .filter(|room| !["algo", "cores"].contains(&room.as_str()))
            .collect();
        assert_eq!(others, [] as [&str; 0], "{}", source.path);
    }
}

#[test]
fn only_cli_and_tui_print_and_only_main_exits() {
    let printing = [
        "println!",
        "eprintln!",
        "print!(",
        "eprint!(",
        "stdout()",
        "stderr()",
    ];
    let silent = |s: &Source| !["cli", "tui"].contains(&s.room.as_str());
    assert_eq!(occurrences(&printing, silent), [] as [&str; 0]);
    let exits = ["process::exit", "process::abort"];
    assert_eq!(occurrences(&exits, |s| s.room != "main"), [] as [&str; 0]);
}

#[test]
fn main_stays_short() {
    let main =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(
        main.lines().count() <= 60,
        "main.rs has {} lines",
        main.lines().count()
    );
}

#[test]
fn imports_are_found_in_every_form() {
    let code = "use crate::run::Input;\nuse crate::{model::{Decoder, Linear}, algo, run::{a, b::{c}}};\n\
                let x = crate::stats::wilson(1, 2);";
    assert_eq!(imports(code), ["run", "model", "algo", "run", "stats"]);
}

#[test]
fn comments_and_tests_are_not_code() {
    let text =
        "use a;\n/// crate::config\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n println!();\n}\n";
    assert_eq!(code_of(text), "use a;\nfn f() {}");
}
