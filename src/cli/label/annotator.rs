//! Who judges.

use std::io::Write;
use std::path::Path;

use color_eyre::eyre::{WrapErr, bail};

use crate::feedback::digest::Sha256;
use crate::feedback::record::SIM_PREFIX;
use crate::feedback::store::stamps::Stamps;
use crate::run::atomic::write_atomic;

/// The name in the user's configuration, asked for once, so that resuming finds it.
pub fn remembered() -> color_eyre::Result<String> {
    let Some(folder) = super::screen::user_folder() else {
        bail!("no home directory to remember your name in; say --annotator NAME");
    };
    let path = folder.join("annotator");
    if let Ok(name) = std::fs::read_to_string(&path) {
        return Ok(name.trim().to_owned());
    }
    let name = ask_annotator()?;
    if name.starts_with(SIM_PREFIX) {
        bail!("{name:?} is a program's name; people sign with another");
    }
    crate::feedback::store::annotator_folder(Path::new(""), &name)?;
    std::fs::create_dir_all(&folder)
        .wrap_err_with(|| format!("cannot make {}; say --annotator NAME", folder.display()))?;
    write_atomic(&path, format!("{name}\n").as_bytes())?;
    Ok(name)
}

fn ask_annotator() -> color_eyre::Result<String> {
    let seed = Sha256::of(Stamps::system().id_after(ulid::Ulid::nil()).to_string()).to_string();
    let suggestion = format!("ann_{}", &seed[..4]);
    println!("Judgements are signed with a pseudonym, which is asked once and kept for next time.");
    print!("Your name for judgements [{suggestion}]: ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let name = line.trim();
    Ok(if name.is_empty() {
        suggestion
    } else {
        name.to_owned()
    })
}
