//! Write the world of the embedded model: corpus, tokenizer, decoder configuration and prompts.
//!
//! ```text
//! cargo run --release --example make_world -- --out world --seed 1
//! ```
//!
//! Everything comes from the tables in `rlhf::feedback::gold` and one seed; nothing is downloaded.
//! The corpus holds good and bad replies alike (see `reply.rs`), each with what the person says to it: it follows the reply's end token
//! at once, so that a model has to know there what the reply is like. One text a line.
//!
//! | file | what |
//! |---|---|
//! | `sft_train.jsonl`, `sft_validation.jsonl` | for the first pass of `rlhf sft`: request, reply, reaction |
//! | `sft_completions.jsonl` | for the second: the same with nothing to learn from the requests |
//! | `model/` | `config.json`, `tokenizer.json`, `tokenizer_config.json`: a decoder without weights |
//! | `prompts/world_train.jsonl`, `prompts/world_heldout.jsonl`, `prompts/world_validation.jsonl` | `{"id", "prompt"}`; no ask–situation pair of the first is in the others, and the corpus has none of theirs |

mod reply;
mod request;
mod tokenizer;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use color_eyre::eyre::{Result, WrapErr as _};
use rand::SeedableRng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use request::Theme;

#[derive(Parser)]
#[command(about = "Write the corpus, tokenizer and prompts of the embedded model")]
struct Args {
    /// Folder to write to; made if missing
    #[arg(long)]
    out: PathBuf,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Conversations in the training corpus
    #[arg(long, default_value_t = 30_000)]
    conversations: usize,
    /// Conversations in the validation corpus
    #[arg(long, default_value_t = 500)]
    validation: usize,
    /// Prompts to train on
    #[arg(long, default_value_t = 2000)]
    train_prompts: usize,
    /// Held-out prompts
    #[arg(long, default_value_t = 600)]
    heldout_prompts: usize,
    /// Prompts to watch the training with, as far from it as the held-out ones
    #[arg(long, default_value_t = 100)]
    validation_prompts: usize,
}

/// The share of ask–situation pairs that neither the corpus nor the training prompts contain.
const HELD_OUT_SHARE: f64 = 0.15;

struct Conversation {
    user: String,
    assistant: String,
    /// What the person says to the reply.
    reaction: String,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let (train, held_out) = request::split_themes(HELD_OUT_SHARE, &mut rng);
    let corpus = conversations(&train, args.conversations, &mut rng);
    let validation = conversations(&train, args.validation, &mut rng);
    let out = made(args.out)?;
    write_texts(&out.join("sft_train.jsonl"), &corpus)?;
    write_texts(&out.join("sft_validation.jsonl"), &validation)?;
    write_completions(&out.join("sft_completions.jsonl"), &corpus)?;
    let texts: Vec<&str> = corpus
        .iter()
        .flat_map(|row| [&row.user, &row.assistant, &row.reaction])
        .map(String::as_str)
        .collect();
    tokenizer::write(&made(out.join("model"))?, &texts)?;
    let prompts = made(out.join("prompts"))?;
    let mut seen = HashSet::new();
    for (name, themes, count) in [
        ("world_train", &train, args.train_prompts),
        ("world_heldout", &held_out, args.heldout_prompts),
        ("world_validation", &held_out, args.validation_prompts),
    ] {
        write_prompts(&prompts, name, themes, count, &mut seen, &mut rng)?;
    }
    Ok(())
}

fn conversations(themes: &[Theme], count: usize, rng: &mut ChaCha8Rng) -> Vec<Conversation> {
    let mut rows = Vec::with_capacity(count);
    while let Some(theme) = themes.choose(rng).filter(|_| rows.len() < count) {
        let request = request::write(*theme, rng);
        let reply = reply::write(&request, rng);
        let reaction = reply.reaction(&request, rng);
        rows.push(Conversation {
            user: request.text,
            assistant: reply.text,
            reaction,
        });
    }
    rows
}

impl Conversation {
    fn request(&self) -> String {
        format!("<|user|>{}<|end|><|assistant|>", self.user)
    }

    fn answer(&self) -> String {
        format!("{}<|end|>{}", self.assistant, self.reaction)
    }
}

fn write_texts(path: &Path, rows: &[Conversation]) -> Result<()> {
    let row = |row: &Conversation| json!({"text": row.request() + &row.answer()});
    write_lines(path, rows.iter().map(row))
}

fn write_completions(path: &Path, rows: &[Conversation]) -> Result<()> {
    let row = |row: &Conversation| json!({"prompt": row.request(), "completion": row.answer()});
    write_lines(path, rows.iter().map(row))
}

/// `count` prompts on `themes` that were not `seen`.
fn write_prompts(
    dir: &Path,
    name: &str,
    themes: &[Theme],
    count: usize,
    seen: &mut HashSet<String>,
    rng: &mut ChaCha8Rng,
) -> Result<()> {
    let mut rows = Vec::with_capacity(count);
    while let Some(theme) = themes.choose(rng).filter(|_| rows.len() < count) {
        let prompt = request::write(*theme, rng).text;
        if seen.insert(prompt.clone()) {
            let id = format!("{}-{:04}", name.replace('_', "-"), rows.len() + 1);
            rows.push(json!({"id": id, "prompt": [{"role": "user", "content": prompt}]}));
        }
    }
    write_lines(&dir.join(format!("{name}.jsonl")), rows.into_iter())
}

fn write_lines(path: &Path, rows: impl Iterator<Item = Value>) -> Result<()> {
    let mut text = String::new();
    for row in rows {
        writeln!(text, "{row}")?;
    }
    write(path, &text)
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    write(path, &format!("{value:#}\n"))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).wrap_err_with(|| format!("cannot write {}", path.display()))
}

/// `dir`, made with its parents if missing.
fn made(dir: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&dir).wrap_err_with(|| format!("cannot make folder {}", dir.display()))?;
    Ok(dir)
}
