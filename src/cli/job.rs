//! What every training command has in common: project, configuration, device, output folder, provenance.
//!
//! ```text
//! #[derive(Debug, clap::Args)]
//! #[command(after_help = "Example:\n  rlhf ppo --model embedded --reward-model runs/reward-001/model")]
//! pub struct PpoArgs {
//!     #[command(flatten)]
//!     job: JobArgs<PpoConfig>,
//! }
//!
//! pub fn run(args: PpoArgs) -> Result<ExitCode> {
//!     let Some(job) = args.job.resolve()? else { return Ok(ExitCode::SUCCESS) }; // --dry-run
//!     let device = args.job.opener().device(job.project.device.parse()?)?;
//!     let run = job.open_run("ppo", job.settings.seed, &device.name, Some(&model_folder), &[prompts])?;
//!     let result = ppo::train(&job.settings, &mut args.job.progress(1), …);
//!     let outcome = conclude(&run, result, |outcome| outcome.interrupted)?;
//!     Ok(exit_code(outcome.interrupted))
//! }
//! ```

mod end;
mod resume;
mod start;

use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};

use clap::Args;
use color_eyre::Result;

use crate::cli::flags::Flags;
use crate::cli::models::Opener;
use crate::cli::progress::Progress;
use crate::config::{self, ConfigError, File, Overrides, ProjectConfig};
use crate::kernels;
use crate::run::hash::HashError;
use crate::run::settings::Settings;
use crate::run::{Input, Provenance, RunDirectory};

pub use self::end::{conclude, exit_code, how_to_go_on};

/// Arguments of a training command with the settings `S`.
#[derive(Debug, Clone, Args)]
pub struct JobArgs<S: Settings + Clone + Send + Sync + 'static> {
    /// Model to start from: a folder, `embedded`, or a hub id such as HuggingFaceTB/SmolLM2-135M-Instruct
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,

    /// Where to compute: auto, cpu, wgpu, wgpu:N, cuda or cuda:N
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,

    /// Project directory, with rlhf.toml and runs/
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,

    /// Configuration file instead of the project's rlhf.toml; a run's config.toml repeats that run
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Folder for the results instead of the next runs/KIND-NNN; must be absent or empty
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Continue a run that was stopped, from its last checkpoint and with its configuration and data
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "config"])]
    pub resume: Option<PathBuf>,

    /// Print the resolved configuration and stop
    #[arg(long)]
    pub dry_run: bool,

    /// Print nothing but errors
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,

    /// Print progress as JSON lines
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    flags: Flags<S>,
}

/// A training command's resolved configuration.
#[derive(Debug, Clone)]
pub struct Job<S> {
    /// Hyperparameters.
    pub settings: S,
    /// `[project]`, with the flags for its keys applied.
    pub project: ProjectConfig,
    root: PathBuf,
    out: Option<PathBuf>,
    /// The run to continue.
    pub resume: Option<PathBuf>,
}

impl<S: Settings + Clone + Send + Sync + 'static> JobArgs<S> {
    /// Defaults, file and flags together; `None` after `--dry-run`, which prints them.
    pub fn resolve(&self) -> Result<Option<Job<S>>> {
        self.resolve_with(&[])
    }

    /// The same for a command with more flags for keys of `[project]` than `--model` and `--device`.
    pub fn resolve_with(&self, project: &[(&str, &Option<String>)]) -> Result<Option<Job<S>>> {
        let file = self.file()?;
        let mut flags = Overrides::default();
        let own = [("model", &self.model), ("device", &self.device)];
        for (key, value) in own.iter().chain(project) {
            if let Some(value) = value {
                flags.push(key, value);
            }
        }
        let job = Job {
            settings: config::resolve(&file, self.flags.overrides())?,
            project: config::resolve(&file, &flags)?,
            root: self.dir.clone(),
            out: self.out.clone(),
            resume: self.resume.clone(),
        };
        if self.dry_run {
            write!(stdout(), "{}", job.to_toml()?)?;
            return Ok(None);
        }
        Ok(Some(job))
    }

    /// Shows progress every `logging_steps` steps, in the way that terminal and flags ask for.
    pub fn progress(&self, logging_steps: usize) -> Progress {
        Progress::new(self.json, self.quiet, logging_steps)
    }

    /// Opens device and models, and names them unless `--quiet` was given.
    pub fn opener(&self) -> Opener {
        Opener { quiet: self.quiet }
    }

    fn file(&self) -> Result<File, ConfigError> {
        match (&self.resume, &self.config) {
            (Some(run), _) => File::read(&run.join("config.toml")),
            (None, Some(path)) => File::read(path),
            (None, None) => File::of_project(&self.dir),
        }
    }
}

impl<S: Settings> Job<S> {
    /// A job of the project in `root`, with the settings of its file.
    pub fn of_project(root: &Path, settings: S, project: ProjectConfig) -> Self {
        Self {
            settings,
            project,
            root: root.to_owned(),
            out: None,
            resume: None,
        }
    }

    /// The configuration as `config.toml`: reading it, from whatever directory, gives the same job again.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        let project = ProjectConfig {
            model: self.project.model.as_deref().map(anywhere),
            reward_model: self.project.reward_model.as_deref().map(anywhere),
            ..self.project.clone()
        };
        Ok(format!(
            "{}\n{}",
            config::to_toml(&project)?,
            config::to_toml(&self.settings)?
        ))
    }

    /// The run's folder: a new one that says where the run comes from (it hashes `parent`, the model's folder, and `inputs`), or
    /// the one to continue, if `inputs` are what it was started with.
    pub fn open_run(
        &self,
        kind: &str,
        seed: u64,
        device: &str,
        parent: Option<&Path>,
        inputs: &[PathBuf],
    ) -> Result<RunDirectory> {
        if let Some(path) = &self.resume {
            return resume::run(path, inputs);
        }
        let mut provenance = Provenance::new(kind, &now(), device, start::threads(), seed);
        provenance.instructions = Some(kernels::instructions().to_owned());
        provenance.parent = parent.map(Input::read).transpose()?;
        start::run(self, provenance, inputs)
    }
}

/// A model's name that means the same in every directory: an existing folder's whole path; `embedded` and hub ids as they are.
fn anywhere(model: &str) -> String {
    let folder = Some(Path::new(model)).filter(|path| path.is_dir());
    folder
        .and_then(|path| std::path::absolute(path).ok())
        .and_then(|path| Some(path.to_str()?.to_owned()))
        .unwrap_or_else(|| model.to_owned())
}

/// A path of the configuration, which is absolute, as somebody in the current directory writes it; messages are shorter for it.
pub fn from_here(path: &Path) -> &Path {
    let here = std::env::current_dir().unwrap_or_default();
    match path.strip_prefix(&here) {
        Ok(rest) if rest.as_os_str().is_empty() => Path::new("."),
        Ok(rest) => rest,
        Err(_) => path,
    }
}

fn hashed(inputs: &[PathBuf]) -> Result<Vec<Input>, HashError> {
    inputs.iter().map(|path| Input::read(path)).collect()
}

/// The present moment, RFC 3339 in UTC, to the second.
pub fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::policy::config::PpoConfig;

    /// As a training command declares itself.
    #[derive(Debug, Parser)]
    struct Ppo {
        #[command(flatten)]
        job: JobArgs<PpoConfig>,
    }

    fn parse(arguments: &[&str]) -> Result<JobArgs<PpoConfig>, clap::Error> {
        let arguments = ["ppo"].iter().chain(arguments);
        Ppo::try_parse_from(arguments).map(|ppo| ppo.job)
    }

    #[test]
    fn the_flags_are_consistent_and_leave_the_commands_description_alone() {
        let command = Ppo::command();
        command.clone().debug_assert();
        assert_eq!(
            command.get_about().unwrap().to_string(),
            "As a training command declares itself"
        );
        let flag = command
            .get_arguments()
            .find(|a| a.get_long() == Some("kl-coef"))
            .unwrap();
        let help =
            "β: weight of the KL divergence from the reference in the reward. [default: 0.05]";
        assert_eq!(flag.get_help().unwrap().to_string(), help);
    }

    pub fn resolve(arguments: &[&str]) -> Job<PpoConfig> {
        parse(arguments).unwrap().resolve().unwrap().unwrap()
    }

    #[test]
    fn flags_override_the_projects_file() {
        let project = tempfile::tempdir().unwrap();
        let file = "[project]\nmodel = \"a\"\ndevice = \"cpu\"\n[ppo]\nkl_coef = 0.2\nlam = 0.9\n";
        fs::write(project.path().join("rlhf.toml"), file).unwrap();
        let root = project.path().to_str().unwrap();
        let flags = [
            "--dir",
            root,
            "--kl-coef",
            "0.3",
            "--whiten-rewards",
            "--model",
            "b",
        ];
        let job = resolve(&flags);
        assert_eq!((job.settings.kl_coef, job.settings.lam), (0.3, 0.9));
        assert!(job.settings.whiten_rewards);
        assert_eq!(
            (job.project.model.as_deref(), job.project.device.as_str()),
            (Some("b"), "cpu")
        );
    }

    #[test]
    fn negative_numbers_and_false_are_values() {
        let job = resolve(&["--missing-eos-score", "-1", "--whiten-advantages", "false"]);
        assert_eq!(job.settings.missing_eos_score, Some(-1.0));
        assert!(!job.settings.whiten_advantages);
    }

    #[test]
    fn a_run_stores_paths_that_mean_the_same_everywhere() {
        let here = std::env::current_dir().unwrap();
        let job = resolve(&["--model", "src", "--prompts", "p.jsonl", "--seed", "7"]);
        let toml = job.to_toml().unwrap();
        let whole = |key: &str, name: &str| format!("\n{key} = {:?}\n", here.join(name));
        assert!(toml.contains(&whole("model", "src")), "{toml}");
        assert!(toml.contains(&whole("prompts", "p.jsonl")), "{toml}");
        for name in ["embedded", "HuggingFaceTB/SmolLM2-135M"] {
            assert_eq!(anywhere(name), name);
        }
        assert_eq!(from_here(&here.join("a/b")), Path::new("a/b"));
        assert_eq!(from_here(&here), Path::new("."));
        assert_eq!(
            from_here(Path::new("/elsewhere/a")),
            Path::new("/elsewhere/a")
        );
    }

    #[test]
    fn resuming_excludes_another_folder_or_configuration() {
        for other in ["--out", "--config"] {
            let error = parse(&["--resume", "runs/ppo-001", other, "x"]).unwrap_err();
            assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict);
        }
    }
}
