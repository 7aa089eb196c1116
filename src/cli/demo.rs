//! `rlhf demo`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use color_eyre::Result;

use crate::cli::job::{Job, exit_code, how_to_go_on};
use crate::cli::models::Opener;
use crate::cli::progress::Progress;
use crate::cli::sample::Responses;
use crate::cli::{demo_report, label, ppo, reward};
use crate::config::{self, File, Overrides, ProjectConfig};
use crate::feedback::gold;
use crate::feedback::item::Item;
use crate::feedback::queue::Plan;
use crate::feedback::record::{QUESTION, Scale};
use crate::feedback::sim::Simulated;
use crate::feedback::store::session::Session;
use crate::feedback::store::stamps::Stamps;
use crate::model::LanguageModel;
use crate::policy::rollout::Episode;
use crate::reward::config::RewardConfig;
use crate::round::config::SampleConfig;
use crate::round::demo;
use crate::round::prompts::request;
use crate::run::RunDirectory;
use crate::run::control::StopFlag;
use crate::run::settings::Settings;
use crate::tui;

/// The simulated labeller that takes over, or judges from the start without a terminal.
const SIMULATED: &str = "sim:gold";
/// The demo has named its device before the first job opens it again.
const SILENT: Opener = Opener { quiet: true };

/// Arguments of `rlhf demo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rlhf demo                          you label as many pairs as you like, then hand over
  rlhf demo --annotator sim:gold     nobody labels; about three minutes

The demo runs on the model inside the binary: sample pairs, label, train a reward model, improve the policy with PPO, compare.
Everything it makes is a normal project in --dir, which the other commands continue.")]
pub struct DemoArgs {
    /// Folder for the project; must be absent or empty
    #[arg(long, value_name = "DIR", default_value = "rlhf-demo")]
    dir: PathBuf,

    /// Who labels: sim:gold, sim:gold:noise=0.25, or your name for the labelling screen
    #[arg(long, value_name = "NAME")]
    annotator: Option<String>,

    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Where to compute: auto, cpu, wgpu, wgpu:N, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: crate::device::DeviceChoice,

    /// Print nothing but the result
    #[arg(long, short)]
    quiet: bool,
}

/// Runs `rlhf demo`.
pub fn run(args: DemoArgs) -> Result<ExitCode> {
    let started = Instant::now();
    demo::create(&args.dir)?;
    let chosen = Opener { quiet: args.quiet }.device(args.device)?;
    let stage = Stage {
        args: &args,
        stop: StopFlag::on_ctrl_c(),
        file: File::of_project(&args.dir)?,
    };

    stage.say("1/5 sampling pairs of answers from the embedded model");
    let model = LanguageModel::embedded(&chosen.device)?;
    let config: SampleConfig = stage.settings()?;
    let items =
        stage.decode(|listener| demo::sample_pairs(&args.dir, &model, &config, listener))?;
    let held_out_config = SampleConfig {
        seed: config.seed + 1,
        ..config
    };
    let held_out = stage.decode(|listener| {
        demo::held_out_judgements(&args.dir, &model, &held_out_config, listener)
    })?;

    stage.say(&format!("2/5 labelling {} pairs", items.len()));
    if !stage.label(&items)? {
        println!(
            "Everything is saved in {}. Go on with: rlhf label --dir {0}",
            args.dir.display()
        );
        return Ok(ExitCode::SUCCESS);
    }

    stage.say("3/5 training the reward model on the judgements");
    let config = RewardConfig {
        data: vec![std::path::absolute(&args.dir)?],
        eval_data: vec![std::path::absolute(held_out)?],
        ..stage.settings()?
    };
    let job = stage.job(config, None);
    let trained = reward::learn(&job, SILENT, &mut stage.progress(), &stage.stop)?;
    let Some(report) = trained.report else {
        return Ok(stage.interrupted("reward train", &trained.run));
    };

    stage.say("4/5 improving the policy with PPO");
    let judge =
        |episode: &Episode<'_>| gold::score(request(&episode.prompt.input), &episode.response);
    let reward_folder = std::path::absolute(trained.run.model())?;
    let job = stage.job(stage.settings()?, Some(reward_folder.display().to_string()));
    let mut progress = stage.progress();
    let (ppo_run, outcome) = ppo::train(&job, SILENT, Some(&judge), &mut progress, &stage.stop)?;
    drop(progress);
    if outcome.interrupted {
        return Ok(stage.interrupted("ppo", &ppo_run));
    }

    stage.say("5/5 comparing old and new policy on held-out prompts");
    let after = LanguageModel::load(&ppo_run.model(), &chosen.device)?;
    let comparison =
        demo::compare_policies(&args.dir, &model, &after, &trained.model, &job.settings)?;
    for report in &report.held_out {
        demo_report::print_reward_model(report);
    }
    demo_report::print(&args.dir, &comparison, started.elapsed());
    Ok(ExitCode::SUCCESS)
}

/// What all stages share.
struct Stage<'a> {
    args: &'a DemoArgs,
    stop: StopFlag,
    file: File,
}

impl Stage<'_> {
    fn say(&self, text: &str) {
        if !self.args.quiet {
            eprintln!("{text}");
        }
    }

    fn progress(&self) -> Progress {
        Progress::new(false, self.args.quiet, 10)
    }

    /// The section of the project's file, with the demo's seed.
    fn settings<S: Settings>(&self) -> Result<S> {
        let mut flags = Overrides::default();
        flags.push("seed", &self.args.seed.to_string());
        Ok(config::resolve(&self.file, &flags)?)
    }

    fn decode<T>(
        &self,
        work: impl FnOnce(&mut Responses<'_>) -> Result<T, demo::DemoError>,
    ) -> Result<T> {
        let mut progress = Progress::new(false, self.args.quiet, 200);
        Ok(work(&mut Responses {
            observer: &mut progress,
        })?)
    }

    /// A job on the embedded model in the demo's project, on the device that is open already.
    fn job<S: Settings>(&self, settings: S, reward_model: Option<String>) -> Job<S> {
        let project = ProjectConfig {
            model: Some("embedded".to_owned()),
            reward_model,
            device: self.args.device.to_string(),
        };
        Job::of_project(&self.args.dir, settings, project)
    }

    fn interrupted(&self, command: &str, run: &RunDirectory) -> ExitCode {
        println!(
            "Stopped; everything so far is in {}; {}",
            self.args.dir.display(),
            how_to_go_on(command, run)
        );
        exit_code(true)
    }

    /// True if the demo goes on to training.
    fn label(&self, items: &[Item]) -> Result<bool> {
        match self.args.annotator.as_deref() {
            Some(name) if name.starts_with("sim:") => self.simulate(name, items)?,
            None if !tui::terminal::is_interactive() => self.simulate(SIMULATED, items)?,
            name => return self.ask(name.unwrap_or("me"), items),
        }
        Ok(true)
    }

    fn simulate(&self, name: &str, items: &[Item]) -> Result<()> {
        let simulated: Simulated = name.parse()?;
        let mut session =
            Session::open(&self.feedback(), name, Stamps::system())?.synced_on_close();
        let plan = Plan::seeded(self.args.seed);
        let judged = simulated.annotate(&mut session, items, &plan, gold::score)?;
        session.close()?;
        self.say(&format!("{name}, a simulated labeller, judged {judged} pairs; its records are marked as simulated"));
        Ok(())
    }

    /// The labelling screen; whatever the person leaves goes to the simulated labeller if they hand over.
    fn ask(&self, annotator: &str, items: &[Item]) -> Result<bool> {
        use tui::label::state::{Ending, Setup};
        let setup = Setup {
            annotator: annotator.to_owned(),
            scale: Scale::Nine,
            auto_commit: true,
            show_rate: true,
            question: QUESTION.to_owned(),
            guidelines: label::guidelines(&self.args.dir)?,
            hand_over: Some(SIMULATED.to_owned()),
        };
        let feedback = self.feedback();
        let report = tui::label::run(&tui::label::Job {
            feedback: &feedback,
            items,
            plan: &Plan::seeded(self.args.seed),
            setup,
        })?;
        label::print_report(&report);
        match report.ending {
            Ending::HandOver => {
                let left: Vec<Item> = items
                    .iter()
                    .filter(|item| report.left.contains(&item.id))
                    .cloned()
                    .collect();
                self.simulate(SIMULATED, &left)?;
                Ok(true)
            }
            Ending::BatchDone => Ok(true),
            _ => Ok(false),
        }
    }

    fn feedback(&self) -> PathBuf {
        Path::new(&self.args.dir).join("feedback")
    }
}
