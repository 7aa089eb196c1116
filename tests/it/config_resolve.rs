//! Defaults, `rlhf.toml`, flags: which wins, and what errors say.

use std::path::{Path, PathBuf};

use rlhf::config::{self, ConfigError, File, Overrides, SECTIONS};
use rlhf::model::weights::SaveDtype;
use rlhf::policy::config::{KlController, KlEstimator, PpoConfig, SftConfig};
use rlhf::reward::config::RewardConfig;
use rlhf::run::settings::{Kind, Settings};

fn ppo(toml: &str, flags: Overrides) -> Result<PpoConfig, ConfigError> {
    config::resolve(&File::parse(toml, Path::new("rlhf.toml"))?, &flags)
}

fn message(toml: &str) -> String {
    ppo(toml, Overrides::default()).unwrap_err().to_string()
}

fn flag_message(key: &str, text: &str) -> String {
    ppo("", [(key, text)].into()).unwrap_err().to_string()
}

#[test]
fn defaults_are_those_of_trl() {
    let config = ppo("", Overrides::default()).unwrap();
    assert_eq!(config, PpoConfig::default());
    assert_eq!(
        (config.learning_rate, config.kl_coef, config.lam),
        (3e-6, 0.05, 0.95)
    );
    assert_eq!((config.num_ppo_epochs, config.response_length), (4, 53));
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let toml = "[ppo]\nkl_coef = 0.2\nlam = 0.9\n[reward]\nlearning_rate = 5e-6\n";
    let config = ppo(toml, [("lam", "0.8"), ("lam", "0.7")].into()).unwrap();
    assert_eq!((config.kl_coef, config.lam, config.gamma), (0.2, 0.7, 1.0));
    assert_eq!(config.learning_rate, 3e-6, "[reward] is another section");
}

#[test]
fn dashes_and_underscores_are_the_same() {
    let config = ppo("[ppo]\nkl-coef = 0.2", [("num-ppo-epochs", "2")].into()).unwrap();
    assert_eq!((config.kl_coef, config.num_ppo_epochs), (0.2, 2));
}

#[test]
fn every_kind_of_value_is_read_from_file_and_flag() {
    let toml = "[ppo]\nwhiten_rewards = true\nkl_coef = 1\nkl_controller = \"adaptive\"\n\
                stop_token = \"eos\"\nlora_target_modules = [\"q_proj\", \"v_proj\"]\ntarget_kl = 0.1\n";
    let config = ppo(toml, Overrides::default()).unwrap();
    assert!(config.whiten_rewards);
    assert_eq!(
        config.kl_coef, 1.0,
        "a whole number where a decimal one is meant"
    );
    assert_eq!(config.kl_controller, KlController::Adaptive);
    assert_eq!(config.stop_token.as_deref(), Some("eos"));
    assert_eq!(config.lora_target_modules, ["q_proj", "v_proj"]);
    assert_eq!(config.target_kl, Some(0.1));

    let flags = [
        ("whiten_rewards", "False"),
        ("kl_estimator", "k3"),
        ("lora_target_modules", "up_proj, down_proj"),
        ("target_kl", "none"),
        ("stop_token", "</s>"),
    ];
    let config = ppo(toml, flags.into()).unwrap();
    assert!(!config.whiten_rewards);
    assert_eq!(config.kl_estimator, KlEstimator::K3);
    assert_eq!(config.lora_target_modules, ["up_proj", "down_proj"]);
    assert_eq!(
        (config.target_kl, config.stop_token.as_deref()),
        (None, Some("</s>"))
    );
}

#[test]
fn a_path_in_a_file_starts_from_its_folder_and_one_in_a_flag_from_here() {
    let toml = "[reward]\ndata = [\"a.jsonl\", \"/b.jsonl\"]\neval_data = \"c/d.jsonl\"\n[sft]\ndata = \"./e.jsonl\"\n";
    let file = File::parse(toml, Path::new("/project/rlhf.toml")).unwrap();
    let reward: RewardConfig = config::resolve(&file, &Overrides::default()).unwrap();
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(reward.data, paths(&["/project/a.jsonl", "/b.jsonl"]));
    assert_eq!(reward.eval_data, paths(&["/project/c/d.jsonl"]));
    let sft: SftConfig = config::resolve(&file, &Overrides::default()).unwrap();
    assert_eq!(sft.data.as_deref(), Some(Path::new("/project/e.jsonl")));

    let here = std::env::current_dir().unwrap();
    let mut flags = Overrides::default();
    flags.push_all("data", vec!["x.jsonl".to_owned(), "/y z.jsonl".to_owned()]);
    let reward: RewardConfig = config::resolve(&file, &flags).unwrap();
    assert_eq!(reward.data, [here.join("x.jsonl"), "/y z.jsonl".into()]);
    assert_eq!(reward.eval_data, paths(&["/project/c/d.jsonl"]));
    let sft: SftConfig = config::resolve(&file, &[("data", "x.jsonl")].into()).unwrap();
    assert_eq!(sft.data, Some(here.join("x.jsonl")));
    let sft: SftConfig = config::resolve(&file, &[("data", "none")].into()).unwrap();
    assert_eq!(sft.data, None);
}

#[test]
fn paths_are_written_and_read_back() {
    let reward = RewardConfig {
        data: vec!["/a \"b\".jsonl".into(), "/c".into()],
        max_train_pairs: Some(7),
        dtype: SaveDtype::Bf16,
        ..RewardConfig::default()
    };
    assert_round_trip(&reward);
    let toml = config::to_toml(&reward).unwrap();
    assert!(
        toml.contains("\neval_data = []\nmax_train_pairs = 7\ndtype = \"bf16\"\n"),
        "{toml}"
    );
    let toml = config::to_toml(&SftConfig::default()).unwrap();
    assert!(
        toml.starts_with(
            "[sft]\n# data is not set\n# eval_data is not set\nfrom_scratch = false\n"
        ),
        "{toml}"
    );
}

#[test]
fn unknown_names_are_errors_with_a_suggestion() {
    assert_eq!(
        message("[ppo]\n\nkl_ceof = 0.1\n"),
        "rlhf.toml:3: unknown key `kl_ceof` in [ppo]; did you mean `kl_coef`?"
    );
    assert_eq!(
        message("[sft]\nzzz = 1\n"),
        "rlhf.toml:2: unknown key `zzz` in [sft]; `rlhf config sft` lists the keys of [sft]"
    );
    assert_eq!(
        message("[pppo]\n"),
        "rlhf.toml:1: unknown section [pppo]; did you mean `ppo`?"
    );
    assert_eq!(
        message("ppo = 1"),
        "rlhf.toml:1: `ppo` must be a section, written [ppo] on a line of its own, not a single value"
    );
}

fn resolved<S: Settings>(toml: &str) -> Result<S, ConfigError> {
    let file = File::parse(toml, Path::new("rlhf.toml"))?;
    config::resolve(&file, &Overrides::default())
}

#[test]
fn bf16_is_off_unless_a_section_sets_it() {
    let toml =
        "[sft]\nbf16 = true\n[sample]\nbf16 = true\n[reward]\nbf16 = true\n[ppo]\nbf16 = true\n";
    for (toml, bf16) in [("", false), (toml, true)] {
        let found = [
            resolved::<SftConfig>(toml).unwrap().bf16,
            resolved::<config::SampleConfig>(toml).unwrap().bf16,
            resolved::<RewardConfig>(toml).unwrap().bf16,
            resolved::<PpoConfig>(toml).unwrap().bf16,
        ];
        assert_eq!(found, [bf16; 4]);
    }
    let config = ppo(toml, [("bf16", "false")].into()).unwrap();
    assert!(!config.bf16);
    assert_eq!(
        message("[ppo]\nlam = 1\nbf16 = \"yes\"\n"),
        "rlhf.toml:3: `bf16` must be true or false, not \"yes\""
    );
    assert_eq!(
        flag_message("bf16", "1"),
        "--bf16: `bf16` must be true or false, not `1`"
    );
    assert_eq!(
        message("[project]\nbf16 = true\n"),
        "rlhf.toml:2: unknown key `bf16` in [project] (TRL's); it belongs in [sft], [sample], [reward] or [ppo]"
    );
    assert_eq!(
        message("[ppo]\nfp16 = true\n"),
        "rlhf.toml:2: unknown key `fp16` in [ppo] (TRL's); use `bf16`, for products; all else is in f32"
    );
    assert_round_trip(&resolved::<PpoConfig>(toml).unwrap());
}

#[test]
fn trl_names_are_answered_with_our_equivalent() {
    assert_eq!(
        message("[ppo]\nmini_batch_size = 8\n"),
        "rlhf.toml:2: unknown key `mini_batch_size` in [ppo] (TRL's); use `num_mini_batches`: \
         a minibatch has batch_size / num_mini_batches episodes"
    );
    assert!(
        message("[dpo]\nbeta = 0.1\n")
            .starts_with("rlhf.toml:1: unknown section [dpo]; rlhf trains with PPO")
    );
}

#[test]
fn wrong_types_name_the_place_and_what_is_allowed() {
    let cases = [
        (
            "kl_coef = \"x\"",
            "rlhf.toml:2: `kl_coef` must be a finite number, not \"x\"",
        ),
        (
            "kl_coef = nan",
            "rlhf.toml:2: `kl_coef` must be a finite number, not nan",
        ),
        (
            "batch_size = -8",
            "rlhf.toml:2: `batch_size` must be a whole number, 0 or more, not -8",
        ),
        (
            "kl_estimator = \"k2\"",
            "rlhf.toml:2: `kl_estimator` must be k1 or k3, not \"k2\"",
        ),
        (
            "use_peft = 1",
            "rlhf.toml:2: `use_peft` must be true or false, not 1",
        ),
        (
            "stop_token = 2",
            "rlhf.toml:2: `stop_token` must be a text in quotes, not 2",
        ),
        (
            "lora_target_modules = [1]",
            "rlhf.toml:2: `lora_target_modules` must be a list of texts, not [1]",
        ),
    ];
    let cases = cases.into_iter().chain([
        (
            "prompts = 1",
            "rlhf.toml:2: `prompts` must be a path in quotes, not 1",
        ),
        (
            "prompts = \"\"",
            "rlhf.toml:2: `prompts` must be a path in quotes, not \"\"",
        ),
    ]);
    for (line, expected) in cases {
        assert_eq!(message(&format!("[ppo]\n{line}\n")), expected);
    }
    let file = File::parse("[reward]\ndata = [\"a\", 1]\n", Path::new("rlhf.toml")).unwrap();
    let error = config::resolve::<RewardConfig>(&file, &Overrides::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rlhf.toml:2: `data` must be a list of paths, not [\"a\", 1]"
    );
    assert_eq!(
        flag_message("kl-coef", "much"),
        "--kl-coef: `kl_coef` must be a finite number, not `much`"
    );
}

#[test]
fn senseless_values_name_the_place() {
    assert_eq!(
        message("[ppo]\nlam = 1.5"),
        "rlhf.toml:2: ppo.lam = 1.5: must be between 0 and 1"
    );
    assert_eq!(
        flag_message("num_mini_batches", "7"),
        "default: ppo.batch_size = 64: must be a multiple of num_mini_batches"
    );
    assert!(
        flag_message("top_p", "0.9")
            .starts_with("--top-p: ppo.top_p = 0.9: must be 1, since PPO's ratios")
    );
    let allowed = [("top_p", "0.9"), ("allow_off_policy_sampling", "true")];
    assert_eq!(ppo("", allowed.into()).unwrap().top_p, 0.9);
    assert!(flag_message("temperature", "0").contains("must be positive"));
}

#[test]
fn syntax_errors_and_repeated_keys_name_the_line() {
    assert!(message("[ppo]\nlam = \n").starts_with("rlhf.toml:2: not valid TOML: "));
    assert!(
        message("[ppo]\nlam = 1\nlam = 1\n")
            .starts_with("rlhf.toml:3: not valid TOML: duplicate key")
    );
    assert_eq!(
        message("[ppo]\nkl-coef = 1\nkl_coef = 1\n"),
        "rlhf.toml:3: `kl_coef` was already set at rlhf.toml:2; keep one"
    );
}

#[test]
fn a_project_without_file_has_defaults_and_a_named_file_must_exist() {
    let dir = tempfile::tempdir().unwrap();
    let file = File::of_project(dir.path()).unwrap();
    let config: RewardConfig = config::resolve(&file, &Overrides::default()).unwrap();
    assert_eq!(config, RewardConfig::default());
    let missing = dir.path().join("x.toml");
    let error = File::read(&missing).unwrap_err().to_string();
    assert!(error.starts_with(&format!(
        "cannot read the configuration {}",
        missing.display()
    )));
}

fn assert_round_trip<S: Settings + PartialEq + std::fmt::Debug>(settings: &S) {
    let toml = config::to_toml(settings).unwrap();
    let file = File::parse(&toml, Path::new("config.toml")).unwrap();
    assert_eq!(
        &config::resolve::<S>(&file, &Overrides::default()).unwrap(),
        settings,
        "{toml}"
    );
}

#[test]
fn the_resolved_configuration_resolves_to_itself() {
    let config = PpoConfig {
        learning_rate: 1e-17 / 3.0,
        target_kl: Some(0.1),
        stop_token: Some("a \"quoted\"\nline".to_owned()),
        kl_controller: KlController::Adaptive,
        ..PpoConfig::default()
    };
    assert_round_trip(&config);
    assert_round_trip(&PpoConfig::default());
    assert_round_trip(&SftConfig::default());
    assert_round_trip(&RewardConfig::default());
    let toml = config::to_toml(&PpoConfig::default()).unwrap();
    assert!(toml.contains("\nlearning_rate = 3e-6\n"), "{toml}");
    assert!(toml.contains("\n# target_kl is not set\n"), "{toml}");
}

#[test]
fn every_setting_is_documented_and_choices_default_to_one_of_them() {
    for (section, fields) in SECTIONS {
        for field in *fields {
            assert!(field.doc.trim().len() > 10, "{section}.{}", field.name);
            assert!(!matches!(field.kind, Kind::Choice(words) if words.len() < 2));
        }
    }
}
