//! The editor of `$VISUAL` or `$EDITOR`, for texts that are too long for a line or two.

use std::fs;
use std::io::{self, Write};
use std::process::Command;

/// What to run: `$VISUAL`, else `$EDITOR`, else `vi`; it may carry arguments, as in `code --wait`.
fn command() -> Vec<String> {
    let set = |name| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.trim().is_empty())
    };
    let command = set("VISUAL").or_else(|| set("EDITOR"));
    let command = command.unwrap_or_else(|| "vi".to_owned());
    command.split_whitespace().map(str::to_owned).collect()
}

/// Lets a person edit `text` in a temporary file and returns what they left. The terminal must not
/// be in our hands.
pub(super) fn edit(text: &str) -> io::Result<String> {
    let mut file = tempfile::Builder::new()
        .prefix("rlhf-comment-")
        .suffix(".md")
        .tempfile()?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    let words = command();
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::NotFound)?;
    let status = Command::new(program)
        .args(arguments)
        .arg(file.path())
        .status()
        .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    if !status.success() {
        return Err(io::Error::other(format!("{program} ended with {status}")));
    }
    // Read by its name: most editors replace the file instead of writing into it.
    fs::read_to_string(file.path())
}
