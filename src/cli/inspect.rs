//! `rlhf inspect`: what a model thinks of a text, token by token.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::process::ExitCode;

use burn::tensor::Device;
use clap::Args;
use color_eyre::Result;
use color_eyre::eyre::bail;
use serde::Serialize;

use crate::device::DeviceChoice;
use crate::generate::inspect::{TokenReport, inspect};
use crate::model::{ModelText, Tokenizer};
use crate::tui::text::{columns, sanitise};

use super::models::Opener;

const EXAMPLES: &str = "\
Examples:
  rlhf inspect --model embedded --text 'The capital of France is Paris'
  rlhf inspect --model runs/ppo-001/model --against embedded --text 'Sure, here is how.'
  rlhf inspect --model ./policy --ids 1,15,27 --reward-model runs/reward-001/model --json";

/// Arguments of `rlhf inspect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// Model: a folder, embedded, or a hub id (ORG/NAME)
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Text to read
    #[arg(
        long,
        value_name = "TEXT",
        required_unless_present = "ids",
        conflicts_with = "ids"
    )]
    pub text: Option<String>,
    /// Token ids to read, separated by commas; works without a tokenizer
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub ids: Option<Vec<u32>>,
    /// Another model: log-ratios are log p of MODEL minus log p of this one
    #[arg(long, value_name = "MODEL")]
    pub against: Option<String>,
    /// Reward model that scores the text
    #[arg(long, value_name = "MODEL")]
    pub reward_model: Option<String>,
    /// Print one JSON object, numbers in full precision
    #[arg(long)]
    pub json: bool,
    /// Where to compute: auto, cpu, wgpu, wgpu:N, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub device: DeviceChoice,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Output {
    tokens: Vec<Token>,
    score: Option<f64>,
    score_position: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Token {
    id: u32,
    text: Option<String>,
    logprob: Option<f64>,
    rank: Option<usize>,
    entropy: Option<f64>,
    logratio: Option<f64>,
}

/// A score, raw as transformers computes it and normalised as PPO uses it, and what it was read from.
struct Score {
    raw: f64,
    normalised: f64,
    position: usize,
    token: Option<String>,
}

/// Reads the text and prints what the models say.
///
/// # Errors
/// If a model can't be opened or the tokens don't fit it.
pub fn run(args: &InspectArgs) -> Result<ExitCode> {
    let opener = Opener::default();
    let device = opener.device(args.device)?.device;
    let model = opener.open(&args.model, &device)?;
    let ids = match (&args.ids, &args.text) {
        (Some(ids), _) => ids.clone(),
        (None, text) => model
            .text
            .tokenizer()?
            .encode_with_special(text.as_deref().unwrap_or_default())?,
    };
    let against = args
        .against
        .as_deref()
        .map(|other| opener.open(other, &device))
        .transpose()?;
    if let Some(other) = &against {
        check_same_tokens(&model.text, &other.text)?;
    }
    let reports = inspect(
        &model.decoder,
        &ids,
        against.as_ref().map(|other| &other.decoder),
    )?;
    let tokenizer = model.text.tokenizer.as_ref();
    let score = args
        .reward_model
        .as_deref()
        .map(|path| score(path, args, &ids, tokenizer, &device))
        .transpose()?;
    let tokens: Vec<Token> = reports
        .into_iter()
        .map(|report| token(report, tokenizer))
        .collect();
    let text = if args.json {
        let (raw, position) = (
            score.as_ref().map(|s| s.raw),
            score.as_ref().map(|s| s.position),
        );
        serde_json::to_string(&Output {
            tokens,
            score: raw,
            score_position: position,
        })?
    } else {
        table(&tokens) + &summary(&tokens, score.as_ref())
    };
    writeln!(stdout().lock(), "{}", text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Equal ids must mean equal text; folders without a tokenizer are trusted.
fn check_same_tokens(ours: &ModelText, theirs: &ModelText) -> Result<()> {
    if let (Some(a), Some(b)) = (&ours.tokenizer, &theirs.tokenizer)
        && a.sha256() != b.sha256()
    {
        let (a, b) = (ours.path.display(), theirs.path.display());
        bail!(
            "{a} and {b} have different tokenizers, so their probabilities are not of the same tokens"
        );
    }
    Ok(())
}

fn token(report: TokenReport, tokenizer: Option<&Tokenizer>) -> Token {
    let TokenReport {
        id,
        prediction,
        logratio,
    } = report;
    Token {
        id,
        text: tokenizer.and_then(|tokenizer| tokenizer.token_text(id)),
        logprob: prediction.map(|p| p.logprob),
        rank: prediction.map(|p| p.rank),
        entropy: prediction.map(|p| p.entropy),
        logratio,
    }
}

/// Scores the same ids, or the same text in the reward model's own tokens, at the last one.
fn score(
    path: &str,
    args: &InspectArgs,
    ids: &[u32],
    tokenizer: Option<&Tokenizer>,
    device: &Device,
) -> Result<Score> {
    let reward_model = Opener::default().open_reward_model(path, device)?;
    let own = reward_model.text.tokenizer.as_ref();
    let ids = match (tokenizer, own) {
        (Some(ours), Some(own)) if ours.sha256() != own.sha256() => match &args.text {
            Some(text) => own.encode_with_special(text)?,
            None => own.encode(&ours.decode(ids, false)?)?,
        },
        _ => ids.to_vec(),
    };
    let Some(&last) = ids.last() else {
        bail!("the text has no tokens for the reward model")
    };
    crate::generate::engine::check_vocabulary(&reward_model.network.decoder, &ids)?;
    let position = ids.len() - 1;
    let raw = reward_model
        .raw_scores(&[ids])?
        .first()
        .copied()
        .unwrap_or(f64::NAN);
    let token = own.and_then(|own| own.token_text(last));
    Ok(Score {
        raw,
        normalised: reward_model.scale.apply(raw),
        position,
        token,
    })
}

/// One aligned row for each token; control characters in its text are made visible.
fn table(tokens: &[Token]) -> String {
    let ratios = tokens.iter().any(|token| token.logratio.is_some());
    let shown: Vec<String> = tokens
        .iter()
        .map(|token| shown(token.text.as_deref()))
        .collect();
    let width = shown
        .iter()
        .map(|text| columns(text))
        .max()
        .unwrap_or(0)
        .max(4);
    let mut out = format!(
        "{:>4} {:>7}  {:<width$} {:>9} {:>6} {:>8}",
        "#", "id", "text", "log p", "rank", "entropy"
    );
    out.push_str(if ratios { "  log-ratio\n" } else { "\n" });
    for (index, (token, text)) in tokens.iter().zip(&shown).enumerate() {
        let pad = " ".repeat(width - columns(text));
        let number =
            |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
        let rank = token
            .rank
            .map_or_else(|| "-".to_owned(), |rank| rank.to_string());
        let (logprob, entropy) = (number(token.logprob), number(token.entropy));
        let _ = write!(
            out,
            "{index:>4} {:>7}  {text}{pad} {logprob:>9} {rank:>6} {entropy:>8}",
            token.id
        );
        if ratios {
            let _ = write!(out, " {:>10}", number(token.logratio));
        }
        out.push('\n');
    }
    out
}

/// A token's text on one line, its spaces visible.
fn shown(text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| {
        sanitise(&text.replace('\n', "⏎")).replace(' ', "·")
    })
}

fn summary(tokens: &[Token], score: Option<&Score>) -> String {
    let logprobs: Vec<f64> = tokens.iter().filter_map(|token| token.logprob).collect();
    let ratios: Vec<f64> = tokens.iter().filter_map(|token| token.logratio).collect();
    let mut out = String::new();
    if !logprobs.is_empty() {
        let sum: f64 = logprobs.iter().sum();
        let perplexity = (-sum / logprobs.len() as f64).exp();
        let _ = writeln!(
            out,
            "\nlog p of {} tokens: {sum:.4} nats, perplexity {perplexity:.4}",
            logprobs.len()
        );
    }
    if !ratios.is_empty() {
        let _ = writeln!(out, "log-ratio: {:.4} nats", ratios.iter().sum::<f64>());
    }
    if let Some(Score {
        raw,
        normalised,
        position,
        token,
    }) = score
    {
        let at = token
            .as_deref()
            .map_or_else(String::new, |token| format!(" {}", shown(Some(token))));
        let _ = writeln!(
            out,
            "score: {normalised:.4} (raw {raw:.4}), read at token {position}{at}"
        );
    }
    out
}
