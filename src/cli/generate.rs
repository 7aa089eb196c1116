//! `rlhf generate`: continue a prompt, or answer a message.

use std::io::{self, IsTerminal, Write, stdout};
use std::process::ExitCode;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use color_eyre::Result;
use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

use crate::device::DeviceChoice;
use crate::generate::engine::DEFAULT_BATCH_SIZE;
use crate::generate::{
    Completion, FinishReason, Listener, Request, SamplerConfig, Settings, prompt_key,
};
use crate::model::chat_template::Message;
use crate::model::tokenizer::TextStream;
use crate::model::{ModelError, PromptInput, Tokenizer, precision};
use crate::tui::text::sanitise;

use super::models::Opener;
use super::warm_up::warm_up;

const EXAMPLES: &str = "\
Examples:
  rlhf generate --model embedded --chat --prompt 'How do I boil an egg?'
  rlhf generate --model HuggingFaceTB/SmolLM2-135M-Instruct --chat --prompt 'Hi!' --n 3
  rlhf generate --model runs/ppo-001/model --prompt 'Once upon a time' --greedy --json
  rlhf generate --model ./smollm2 --prompt 'Once upon a time' --n 32 --bf16";

/// Arguments of `rlhf generate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GenerateArgs {
    /// Model: a folder, embedded, or a hub id (ORG/NAME)
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Text to continue, or with --chat the message to answer
    #[arg(long, value_name = "TEXT")]
    pub prompt: String,
    /// Put the prompt into the model's chat template, as a user's message
    #[arg(long)]
    pub chat: bool,
    /// Number of answers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive())]
    pub n: usize,
    /// Take the most probable token instead of drawing one
    #[arg(long)]
    pub greedy: bool,
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = positive())]
    pub max_new_tokens: usize,
    /// Logits are divided by this before a token is drawn; log-probabilities are at this temperature
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature)]
    pub temperature: f64,
    /// Draw from the most probable tokens that have this mass together
    #[arg(long, value_name = "P", default_value_t = 1.0, value_parser = top_p)]
    pub top_p: f64,
    /// Draw from so many most probable tokens; 0: from all
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub top_k: usize,
    /// Seed of the draws
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
    /// Round the factors of products with weights to bf16, as PyTorch's autocast does: up to twice as fast on an AMD CPU with AVX512-BF16 or one with AMX.
    /// On a GPU that lacks bf16: to f16
    #[arg(long)]
    pub bf16: bool,
    /// Print one JSON object: prompt_ids, and of each sample ids, text, logprobs and finish_reason
    #[arg(long)]
    pub json: bool,
    /// Where to compute: auto, cpu, wgpu, wgpu:N, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub device: DeviceChoice,
}

fn positive() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

fn temperature(text: &str) -> Result<f64, String> {
    checked(text, |temperature| SamplerConfig {
        temperature,
        ..SamplerConfig::default()
    })
}

fn top_p(text: &str) -> Result<f64, String> {
    checked(text, |top_p| SamplerConfig {
        top_p,
        ..SamplerConfig::default()
    })
}

fn checked(text: &str, config: impl Fn(f64) -> SamplerConfig) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|e| format!("{e}"))?;
    config(value).validate().map_err(|e| e.to_string())?;
    Ok(value)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Output {
    prompt_ids: Vec<u32>,
    samples: Vec<Sample>,
}

#[derive(Debug, Serialize)]
struct Sample {
    ids: Vec<u32>,
    text: String,
    logprobs: Vec<f32>,
    finish_reason: FinishReason,
}

/// Generates and prints.
///
/// # Errors
/// If the model can't be opened, the prompt doesn't fit it, or the answers can't be printed.
pub fn run(args: &GenerateArgs) -> Result<ExitCode> {
    let opener = Opener::default();
    let device = opener.device(args.device)?.device;
    opener.tell_bf16(args.bf16, &device);
    let mut model = opener.open(&args.model, &device)?;
    let precision = precision::of_products(args.bf16);
    model.decoder.set_matmul_precision(precision);
    model.decoder = model.decoder.sampler();
    let tokenizer = model.text.tokenizer()?;
    let prompt_ids = model.prompt_ids(&prompt(args))?;
    let requests = requests(&prompt_ids, args.n);
    let sampler = sampler(args);
    let settings = Settings {
        sampler: &sampler,
        stop_ids: tokenizer.stop_ids(),
        batch_size: DEFAULT_BATCH_SIZE,
        trace: false,
    };
    warm_up(&model.decoder, &requests, settings, args.json)?;
    let generate = |listener: &mut dyn Listener| {
        crate::generate::generate(&model.decoder, &requests, settings, listener)
    };
    if stdout().is_terminal() && args.n == 1 && !args.json {
        let mut screen = Screen::new(tokenizer, stdout());
        let finished = generate(&mut screen);
        screen.end()?;
        finished?;
        return Ok(ExitCode::SUCCESS);
    }
    let samples = generate(&mut ())?
        .into_iter()
        .map(|completion| sample(completion, tokenizer))
        .collect::<Result<Vec<_>, ModelError>>()?;
    print(
        &Output {
            prompt_ids,
            samples,
        },
        args.json,
        stdout().is_terminal(),
        &mut stdout().lock(),
    )?;
    Ok(ExitCode::SUCCESS)
}

fn prompt(args: &GenerateArgs) -> PromptInput {
    if args.chat {
        PromptInput::Messages(vec![Message::new("user", args.prompt.clone())])
    } else {
        PromptInput::Text(args.prompt.clone())
    }
}

fn requests(prompt: &[u32], count: usize) -> Vec<Request> {
    let key = prompt_key(prompt);
    let request = |sample| Request {
        prompt: prompt.to_vec(),
        key,
        sample,
    };
    (0..count as u64).map(request).collect()
}

fn sampler(args: &GenerateArgs) -> SamplerConfig {
    let &GenerateArgs {
        temperature,
        top_p,
        top_k,
        max_new_tokens,
        greedy,
        seed,
        ..
    } = args;
    SamplerConfig {
        temperature,
        top_p,
        top_k,
        max_new_tokens,
        greedy,
        seed,
    }
}

fn sample(completion: Completion, tokenizer: &Tokenizer) -> Result<Sample, ModelError> {
    let Completion {
        ids,
        logprobs,
        finish_reason,
        ..
    } = completion;
    let text = tokenizer.decode(&ids, true)?;
    Ok(Sample {
        ids,
        text,
        logprobs,
        finish_reason,
    })
}

/// One JSON line, or the texts: as they are into a file or a pipe, made harmless for a terminal.
fn print(output: &Output, json: bool, terminal: bool, out: &mut dyn Write) -> Result<()> {
    if json {
        writeln!(out, "{}", serde_json::to_string(output)?)?;
        return Ok(());
    }
    let count = output.samples.len();
    for (
        index,
        Sample {
            text,
            ids,
            finish_reason,
            ..
        },
    ) in output.samples.iter().enumerate()
    {
        if count > 1 {
            let end = match finish_reason {
                FinishReason::Stop => "complete",
                FinishReason::Length => "cut off",
            };
            writeln!(
                out,
                "--- {} of {count} ({} tokens, {end})",
                index + 1,
                ids.len()
            )?;
        }
        let text = if terminal { &sanitise(text) } else { text };
        writeln!(out, "{text}")?;
    }
    Ok(())
}

/// Writes an answer to the terminal while it is drawn. Nothing a terminal would interpret gets through.
struct Screen<'a, W> {
    stream: TextStream<'a>,
    out: W,
    /// The last grapheme so far: what comes next may still belong to it.
    held: String,
    failed: Option<io::Error>,
}

impl<'a, W: Write> Screen<'a, W> {
    fn new(tokenizer: &'a Tokenizer, out: W) -> Self {
        Self {
            stream: tokenizer.stream(true),
            out,
            held: String::new(),
            failed: None,
        }
    }

    fn write(&mut self, text: &str) {
        self.held.push_str(text);
        let last = self
            .held
            .grapheme_indices(true)
            .next_back()
            .map_or(0, |(start, _)| start);
        let rest = self.held.split_off(last);
        let certain = std::mem::replace(&mut self.held, rest);
        let written = write!(self.out, "{}", sanitise(&certain)).and_then(|()| self.out.flush());
        self.failed = written.err();
    }

    fn end(mut self) -> Result<()> {
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        self.held.push_str(&self.stream.finish()?);
        writeln!(self.out, "{}", sanitise(&self.held))?;
        Ok(())
    }
}

impl<W: Write + Send> Listener for Screen<'_, W> {
    fn token(&mut self, _request: usize, id: u32) {
        match self.stream.push(id) {
            Ok(text) => self.write(&text),
            Err(error) => self.failed = Some(io::Error::other(error)),
        }
    }

    fn stop(&self) -> bool {
        self.failed.is_some()
    }
}
