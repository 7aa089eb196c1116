//! Opens what `--device` and `--model` name.

use std::io::{IsTerminal, Write as _, stderr};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use color_eyre::Result;
use color_eyre::eyre::bail;

use crate::device::{self, ChosenDevice, DeviceChoice};
use crate::model::LanguageModel;
use crate::model::hub::{HubSettings, Transfer, Wanted};
use crate::model::precision;
use crate::model::source::{LocalModel, ModelSource};
use crate::model::tokenizer::Tokenizer;
use crate::reward::model::RewardModel;

/// Opens devices and models, and says on standard error which ones they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Opener {
    /// Say nothing.
    pub quiet: bool,
}

impl Opener {
    /// Opens a device.
    ///
    /// # Errors
    /// If it isn't there.
    pub fn device(self, choice: DeviceChoice) -> Result<ChosenDevice> {
        let chosen = choice.open()?;
        if !self.quiet {
            let gpu = !device::is_cpu(&chosen.device);
            let remark = if gpu {
                "; kernels are compiled at their first use, which makes the first step slow"
            } else {
                ""
            };
            eprintln!("device: {}{remark}", chosen.name);
        }
        Ok(chosen)
    }

    /// Says so if `--bf16` makes nothing faster on `device`.
    pub fn tell_bf16(self, bf16: bool, device: &Device) {
        if let Some(remark) = precision::remark(bf16, device).filter(|_| !self.quiet) {
            eprintln!("{remark}");
        }
    }

    /// Opens a language model: a folder, `embedded` or a hub id, which is downloaded if it isn't in the cache.
    ///
    /// # Errors
    /// If there is no such model or its files can't be used.
    pub fn open(self, model: &str, device: &Device) -> Result<LanguageModel> {
        match self.find(model, Wanted::Model)? {
            LocalModel::Folder { path, .. } => Ok(LanguageModel::load(&path, device)?),
            LocalModel::Embedded => Ok(LanguageModel::embedded(device)?),
        }
    }

    /// Makes a model with random weights from a folder's `config.json` and tokenizer files.
    ///
    /// # Errors
    /// If they are missing or can't be used.
    pub fn open_from_scratch(
        self,
        model: &str,
        seed: u64,
        device: &Device,
    ) -> Result<LanguageModel> {
        match self.find(model, Wanted::Model)? {
            LocalModel::Folder { path, .. } => Ok(LanguageModel::random(&path, seed, device)?),
            LocalModel::Embedded => bail!(
                "the embedded model has weights; pass a folder with config.json and tokenizer files"
            ),
        }
    }

    /// Opens a reward model, from the same places.
    ///
    /// # Errors
    /// As [`Opener::open`]; for a language model without a score head.
    pub fn open_reward_model(self, model: &str, device: &Device) -> Result<RewardModel> {
        match self.find(model, Wanted::Model)? {
            LocalModel::Folder { path, .. } => Ok(RewardModel::load(&path, device)?),
            LocalModel::Embedded => {
                bail!(
                    "the embedded model is a language model; train a reward model on it first: rlhf reward train --model embedded"
                )
            }
        }
    }

    /// The same beside a policy: a reward model that is an adapter on the policy's weights shares them.
    ///
    /// # Errors
    /// As [`Opener::open_reward_model`].
    pub fn open_reward_model_beside(
        self,
        model: &str,
        policy: &LanguageModel,
        device: &Device,
    ) -> Result<RewardModel> {
        match self.find(model, Wanted::Model)? {
            LocalModel::Folder { path, .. } => Ok(RewardModel::load_beside(&path, policy, device)?),
            LocalModel::Embedded => self.open_reward_model(model, device),
        }
    }

    /// Opens a tokenizer: a model as above, or its `tokenizer.json`.
    ///
    /// # Errors
    /// If there is none, or it can't be used.
    pub fn tokenizer(self, tokenizer: &str) -> Result<Tokenizer> {
        let path = Path::new(tokenizer);
        if path.is_file() && path.ends_with("tokenizer.json") {
            let folder = path.parent().unwrap_or(Path::new(""));
            return Ok(Tokenizer::from_folder(folder)?);
        }
        match self.find(tokenizer, Wanted::Tokenizer)? {
            LocalModel::Folder { path, .. } => Ok(Tokenizer::from_folder(&path)?),
            LocalModel::Embedded => bail!(
                "the embedded model has its own small vocabulary; pass a folder with tokenizer.json or a hub id"
            ),
        }
    }

    /// Finds what is wanted of a model on this machine, or brings it here. A run's folder stands for its `model/`.
    ///
    /// # Errors
    /// If there is no such model.
    fn find(self, model: &str, wanted: Wanted) -> Result<LocalModel> {
        let mut bar = TransferBar {
            quiet: self.quiet,
            ..TransferBar::default()
        };
        let source = ModelSource::parse(model)?;
        let found = source.resolve(wanted, &HubSettings::from_env(), &mut |t| bar.show(t));
        bar.end();
        let mut found = found?;
        if let LocalModel::Folder { path, pin } = &mut found {
            *path = of_run(std::mem::take(path));
            if let Some(pin) = pin.as_ref().filter(|_| !self.quiet) {
                eprintln!("model: {pin}");
            }
        }
        Ok(found)
    }
}

/// A run's folder stands for the model that it made.
fn of_run(folder: PathBuf) -> PathBuf {
    let model = folder.join("model");
    let is_model = |folder: &Path| folder.join("config.json").is_file();
    if !is_model(&folder) && is_model(&model) {
        model
    } else {
        folder
    }
}

/// A line that follows a download: rewritten on a terminal, one a file elsewhere.
#[derive(Default)]
struct TransferBar {
    quiet: bool,
    file: String,
    open: bool,
}

impl TransferBar {
    fn show(&mut self, transfer: Transfer<'_>) {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let Transfer { file, done, total } = transfer;
        if self.quiet {
            return;
        }
        if stderr().is_terminal() {
            if self.file != file {
                self.end();
            }
            let (done, total) = (megabytes(done), megabytes(total));
            eprint!("\rdownloading {file} {done:.1} of {total:.1} MB");
            let _ = stderr().flush(); // progress only
            self.open = true;
        } else if self.file != file {
            eprintln!("downloading {file} ({:.1} MB)", megabytes(total));
        }
        file.clone_into(&mut self.file);
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            eprintln!();
        }
    }
}
