//! Export: filters, aggregation, ties, what is counted, and the manifest.

use std::collections::BTreeMap;
use std::path::Path;

use rlhf::feedback::export::aggregate::Aggregate;
use rlhf::feedback::export::filter::Labellers;
use rlhf::feedback::export::manifest::{Manifest, inputs};
use rlhf::feedback::export::{Exported, Options, Ties, export, write_file};
use rlhf::feedback::formats::OutFormat;
use rlhf::feedback::formats::judged::{Judged, Said};
use rlhf::feedback::import::{Target, import};
use rlhf::feedback::item::PromptText;
use rlhf::feedback::labels::{Folders, Labels};
use rlhf::feedback::ledger::Ledger;
use rlhf::feedback::record::{Display, Layout, Origin, Purpose, Scale, Time};
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use serde_json::{Value, json};

/// A project in which three people judged one item, two of them for "good", and one item is a tie.
fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let row = |winner: u32, other: u32| {
        let completion = |rank: u32, text: &str| json!({"rank": rank, "completion": [{"role": "assistant", "content": text}]});
        let completions = [completion(winner, "good"), completion(other, "bad")];
        let context = [json!({"role": "user", "content": "Which?"})];
        json!({"context": context, "completions": completions}).to_string()
    };
    for (name, lines) in [
        ("mia", vec![row(0, 1)]),
        ("tom", vec![row(0, 1)]),
        ("eve", vec![row(1, 0), row(0, 0)]),
    ] {
        let path = dir.path().join(format!("{name}.jsonl"));
        std::fs::write(&path, lines.join("\n")).unwrap();
        let target = Target {
            dir: dir.path(),
            batch: "b",
            annotator: Some(name),
            format: None,
            decoder: None,
            skip_bad: false,
        };
        import(&path, &target, &mut Stamps::system, &mut |_| ()).unwrap();
    }
    dir
}

fn rows(dir: &Path, options: &Options) -> (Vec<Value>, Exported) {
    options.check().unwrap();
    let ledger = Ledger::read(&Folders::of(dir)).unwrap();
    let mut rows = Vec::new();
    let mut take = |row: &Value| {
        rows.push(row.clone());
        Ok(())
    };
    let exported = export(&ledger, options, &mut take).unwrap();
    (rows, exported)
}

fn chosen(rows: &[Value]) -> Vec<&str> {
    let text = |row: &'_ Value| row["chosen"][0]["content"].as_str().map(str::to_owned);
    rows.iter()
        .map(|row| {
            assert!(text(row).is_some());
            row["chosen"][0]["content"].as_str().unwrap()
        })
        .collect()
}

#[test]
fn filters_aggregation_and_ties() {
    let dir = project();
    let mut options = Options::new(OutFormat::TrlConversational);
    let (all, exported) = rows(dir.path(), &options);
    assert_eq!(chosen(&all), ["bad", "good", "good"]);
    assert_eq!((exported.judgements, exported.dropped.ties), (4, 1));
    assert_eq!(exported.not_carried["annotator"], 3);

    options.ties = Ties::Half;
    let (all, _) = rows(dir.path(), &options);
    let wins = chosen(&all).iter().filter(|text| **text == "good").count();
    assert_eq!((all.len(), wins), (5, 3));

    options.filters.annotators = vec!["mia".into()];
    let (all, exported) = rows(dir.path(), &options);
    assert_eq!((chosen(&all), exported.filtered_out), (vec!["good"], 3));
    options.filters.annotators.clear();
    options.filters.labellers = Labellers::Simulated;
    assert_eq!(rows(dir.path(), &options).1.filtered_out, 4);
    options.filters.labellers = Labellers::People;
    options.filters.batches = vec!["other".into()];
    assert_eq!(rows(dir.path(), &options).0.len(), 0);
}

#[test]
fn what_a_record_holds_besides_is_counted_where_it_stays_behind() {
    let (mut all, _) = rows(project().path(), &Options::new(OutFormat::Native));
    let record = &mut all[0]["record"];
    record["aspects"] = json!({"honesty": 2});
    record["flags"] = json!(["unsafe"]);
    record["reason"] = json!("it depends");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.jsonl");
    let lines: Vec<String> = all.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let target = Target {
        dir: dir.path(),
        batch: "b",
        annotator: None,
        format: None,
        decoder: None,
        skip_bad: false,
    };
    import(&path, &target, &mut Stamps::system, &mut |_| ()).unwrap();
    for format in [OutFormat::TrlConversational, OutFormat::LabelStudio] {
        let (_, exported) = rows(dir.path(), &Options::new(format));
        let count = |detail| exported.not_carried.get(detail).copied();
        let of_one = ["aspects", "flags", "reason"].map(count);
        assert_eq!(of_one, [Some(1); 3], "{format:?}");
        assert_eq!(["origin", "round"].map(count), [Some(3); 2], "{format:?}");
    }
}

#[test]
fn the_majority_of_three_is_one_row() {
    let dir = project();
    let mut options = Options::new(OutFormat::TrlConversational);
    options.aggregate = Aggregate::Majority;
    // Votes on the one item: good, good, bad, and eve's second judgement, a tie.
    let (all, exported) = rows(dir.path(), &options);
    assert_eq!((chosen(&all), exported.dropped.total()), (vec!["good"], 0));
    options.filters.annotators = vec!["mia".into(), "eve".into()];
    let (all, exported) = rows(dir.path(), &options);
    assert_eq!((all.len(), exported.dropped.no_majority), (0, 1));
    options.format = OutFormat::Nemo;
    let (all, exported) = rows(dir.path(), &options);
    assert_eq!((all.len(), exported.dropped.no_majority), (0, 1));
    options.format = OutFormat::TrlConversational;
    options.aggregate = Aggregate::Mean;
    assert_eq!(rows(dir.path(), &options).1.dropped.ties, 1);
}

#[test]
fn what_a_format_cannot_do_is_refused_with_what_it_can() {
    let error = |format, ties, aggregate| {
        let mut options = Options::new(format);
        (options.ties, options.aggregate) = (ties, aggregate);
        options.check().unwrap_err().to_string()
    };
    let keep = error(OutFormat::Trl, Ties::Keep, Aggregate::All);
    assert!(
        keep.starts_with("format trl cannot keep ties; it can halve"),
        "{keep}"
    );
    let half = error(OutFormat::Nemo, Ties::Half, Aggregate::All);
    assert_eq!(
        half,
        "format nemo cannot halve ties; it can keep or drop them"
    );
    assert!(
        error(OutFormat::Native, Ties::Keep, Aggregate::Mean).contains("--aggregate must be all")
    );
}

/// A project in which GPT-4 (a program) rated two answers, and people judged the same or not.
fn rated(people: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let rated = |text: &str, rating: u8| json!({"response": text, "annotations": {"honesty": {"Rating": rating}}});
    let completions = [rated("good", 1), rated("bad", 5)];
    let mut files = vec![(
        None,
        json!({"instruction": "Which?", "completions": completions}),
    )];
    for (name, chosen, rejected) in people {
        let row = json!({"prompt": "Which?", "chosen": chosen, "rejected": rejected});
        files.push((Some(*name), row));
    }
    for (annotator, row) in files {
        let path = dir.path().join("row.jsonl");
        std::fs::write(&path, row.to_string()).unwrap();
        let target = Target {
            dir: dir.path(),
            batch: "b",
            annotator,
            format: None,
            decoder: None,
            skip_bad: false,
        };
        import(&path, &target, &mut Stamps::system, &mut |_| ()).unwrap();
    }
    dir
}

#[test]
fn a_program_never_outvotes_people_unless_asked_to() {
    let export = |dir: &Path, more: &[&str]| {
        let out = dir.join("out.jsonl");
        let path = out.to_str().unwrap();
        let fixed = ["feedback", "export", "--format", "trl", "--out", path];
        let (code, text, error) = crate::cli_support::rlhf(dir, &[&fixed, more].concat());
        assert_eq!(code, 0, "{error}");
        let rows = std::fs::read_to_string(&out).unwrap();
        let row: Option<Value> = rows
            .lines()
            .next()
            .map(|row| serde_json::from_str(row).unwrap());
        let manifest = std::fs::read(Manifest::path_of(&out)).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let counted = manifest["counted"].as_str().unwrap().to_owned();
        let chosen = row.map(|row| row["chosen"].as_str().unwrap().to_owned());
        (chosen, counted, text)
    };
    let both = rated(&[("mia", "good", "bad")]);
    for how in ["majority", "mean"] {
        let (chosen, counted, text) = export(both.path(), &["--aggregate", how]);
        assert_eq!(
            (chosen.as_deref(), counted.as_str()),
            (Some("good"), "people"),
            "{how}"
        );
        assert!(
            text.contains("Only people's judgements count here"),
            "{text}"
        );
        // One for each: no majority.
        let (chosen, counted, _) = export(both.path(), &["--aggregate", how, "--with-simulated"]);
        assert_eq!((chosen, counted.as_str()), (None, "all"), "{how}");
        let named = ["--aggregate", how, "--annotator", "sim:gpt-4"];
        assert_eq!(export(both.path(), &named).0.as_deref(), Some("bad"));
    }
    let (chosen, counted, _) = export(rated(&[]).path(), &["--aggregate", "majority"]);
    assert_eq!((chosen.as_deref(), counted.as_str()), (Some("bad"), "all"));
}

#[test]
fn models_are_those_that_a_judgement_names_whatever_brought_the_item() {
    let dir = tempfile::tempdir().unwrap();
    let pair = json!({"prompt": "Which?", "chosen": "good", "rejected": "bad"});
    let rated = |text: &str, model: &str, rating: u8| json!({"response": text, "model": model, "annotations": {"honesty": {"Rating": rating}}});
    let completions = [rated("good", "llama", 1), rated("bad", "gpt", 5)];
    let models = json!({"instruction": "Which?", "completions": completions});
    let bring = |row: &Value| {
        let path = dir.path().join("row.jsonl");
        std::fs::write(&path, row.to_string()).unwrap();
        let target = Target {
            dir: dir.path(),
            batch: "b",
            annotator: None,
            format: None,
            decoder: None,
            skip_bad: false,
        };
        import(&path, &target, &mut Stamps::system, &mut |_| ()).unwrap()
    };
    assert_eq!(bring(&pair).new_items, 1);
    let imported = bring(&models);
    assert_eq!((imported.new_items, imported.judgements), (0, 1));
    let mut options = Options::new(OutFormat::LabelStudio);
    options.filters.policies = vec!["llama".into()];
    let (all, exported) = rows(dir.path(), &options);
    assert_eq!((all.len(), exported.filtered_out), (1, 1));
    assert!(all[0].to_string().contains("llama"), "{}", all[0]);
    options.aggregate = Aggregate::Majority;
    let (combined, _) = rows(dir.path(), &options);
    assert_eq!(combined.len(), 1);
    assert!(combined[0].to_string().contains("llama"), "{}", combined[0]);
}

#[test]
fn the_manifest_says_how_the_file_came_about() {
    let dir = project();
    let options = Options::new(OutFormat::Nemo);
    let folders = Folders::of(dir.path());
    let inputs = inputs(&folders).unwrap();
    let ledger = Ledger::read(&folders).unwrap();
    // What is added now is not in the file, so it is not behind the hashes either.
    std::fs::write(folders.samples.join("late.jsonl"), "").unwrap();
    let out = dir.path().join("ranks.jsonl");
    let exported = write_file(&out, |take| export(&ledger, &options, take)).unwrap();
    let manifest = Manifest::new(&out, inputs, options, exported).unwrap();
    let value = serde_json::to_value(&manifest).unwrap();
    assert_eq!(
        Manifest::path_of(&out),
        dir.path().join("ranks.jsonl.manifest.json")
    );
    assert_eq!(
        (&value["format"], &value["ties"], &value["aggregate"]),
        (&json!("nemo"), &json!("keep"), &json!("all"))
    );
    assert_eq!(
        (&value["rows"], &value["dropped"]["ties"]),
        (&json!(4), &json!(0))
    );
    assert_eq!(value["tool"]["name"], "rlhf");
    let (sha256, bytes) = rlhf::run::hash::contents([&out]).unwrap();
    assert_eq!(
        value["output"],
        json!({"path": "ranks.jsonl", "sha256": sha256, "bytes": bytes})
    );
    let inputs: Vec<&str> = value["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["path"].as_str().unwrap())
        .collect();
    assert_eq!(inputs.len(), 4);
    assert_eq!(inputs[0], "samples/b.jsonl");
    assert!(inputs[1].starts_with("feedback/eve/"), "{inputs:?}");
}

#[test]
fn one_pass_sees_what_reading_everything_sees() {
    let dir = project();
    let folders = Folders::of(dir.path());
    // Mia takes back what she said; a moderator rules on Tom's and Eve's.
    let all = Labels::read(&folders).unwrap();
    let of = |name: &str| {
        let mut records = all.labels.iter().map(|label| &label.record);
        records.find(|record| record.annotator == name).unwrap()
    };
    let mut session = Session::open(&folders.feedback, "mia", Stamps::system()).unwrap();
    session.retract(of("mia").id).unwrap();
    session.close().unwrap();
    let ruled = vec![of("tom").id, of("eve").id];
    let item = &all.items[0];
    let disputes = [(item.id.clone(), ruled)].into_iter().collect();
    let session = Session::open(&folders.feedback, "mod", Stamps::system()).unwrap();
    let mut session = session.settling(disputes);
    let shown = Shown {
        item,
        slot: 0,
        purpose: Purpose::Adjudication,
        origin: Origin::Screen,
        display: Some(Display {
            order: item.candidates.iter().map(|c| c.id.clone()).collect(),
            order_seed: 1,
            blind: true,
            size: None,
            layout: Layout::Flip,
            viewed: BTreeMap::new(),
        }),
        time: Some(Time::default()),
    };
    let decision = Decision::new(Verdict::Tie, Scale::Binary);
    session.judge(&shown, decision).unwrap();
    session.close().unwrap();

    let all = Labels::read(&folders).unwrap();
    let ledger = Ledger::read(&folders).unwrap();
    let walked: Vec<_> = ledger.labels().map(Result::unwrap).collect();
    assert_eq!((all.labels.len(), walked.len()), (4, 4));
    for (held, (label, item)) in all.labels.iter().zip(&walked) {
        assert_eq!(
            (&held.record, held.item, held.settled),
            (&label.record, label.item, label.settled)
        );
        assert_eq!(all.item(held), item);
    }
    let settled = walked.iter().filter(|(label, _)| label.settled).count();
    assert_eq!(settled, 2);
    let items: Vec<_> = ledger.items().map(Result::unwrap).collect();
    assert_eq!(items, all.items);
    let native: Vec<_> = ledger.opinions().chain(ledger.rulings()).collect();
    let last = native.last().unwrap().as_ref().unwrap();
    assert_eq!((native.len(), &*last.0.record.annotator), (4, "mod"));
    assert!(ledger.has("mod") && !ledger.has("mia") && !ledger.has("nobody"));
}

#[test]
fn a_label_without_its_text_ends_the_export_and_no_file_appears() {
    let dir = project();
    let folders = Folders::of(dir.path());
    let samples = folders.samples.join("b.jsonl");
    let text = std::fs::read_to_string(&samples).unwrap();
    let other = text.replace("Which?", "Whose?");
    assert_ne!(other, text);
    std::fs::write(&samples, &other).unwrap();
    let error = Ledger::read(&folders).unwrap_err().to_string();
    assert!(
        error.contains("b.jsonl:1: the SHA-256 of the prompt does not match"),
        "{error}"
    );
    std::fs::write(&samples, "").unwrap();
    let ledger = Ledger::read(&folders).unwrap();
    let (out, options) = (dir.path().join("out.jsonl"), Options::new(OutFormat::Nemo));
    let error = write_file(&out, |take| export(&ledger, &options, take)).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains(".jsonl:2: item ") && error.contains("is not in samples/b.jsonl"),
        "{error}"
    );
    assert!(!out.exists());
    std::fs::write(&samples, &text).unwrap();
    let ledger = Ledger::read(&folders).unwrap();
    std::fs::write(&samples, &other).unwrap();
    let error = write_file(&out, |take| export(&ledger, &options, take)).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("b.jsonl: was changed while it was read"),
        "{error}"
    );
    assert!(!out.exists());
}

#[test]
fn files_are_arrays_or_gzip_by_their_name() {
    let dir = project();
    let ledger = Ledger::read(&Folders::of(dir.path())).unwrap();
    for name in ["a.json", "a.json.gz", "a.jsonl", "a.jsonl.gz"] {
        let out = dir.path().join(name);
        let options = Options::new(OutFormat::OpenAi);
        let exported = write_file(&out, |take| export(&ledger, &options, take)).unwrap();
        assert_eq!(exported.rows, 3);
        assert_eq!(
            rlhf::feedback::pairs::read(&out).unwrap().len(),
            3,
            "{name}"
        );
    }
    let array: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("a.json")).unwrap()).unwrap();
    assert_eq!(array.as_array().unwrap().len(), 3);
    let error = write_file(&dir.path().join("a.parquet"), |_| Ok(())).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("name a .jsonl, .jsonl.gz or .json file")
    );
}

#[test]
fn prompts_and_good_answers_are_written_for_trl() {
    let dir = project();
    let (prompts, _) = rows(dir.path(), &Options::new(OutFormat::PromptsConversational));
    let which = json!([{"role": "user", "content": "Which?"}]);
    assert_eq!(prompts, [json!({"prompt": which})]);
    let mut options = Options::new(OutFormat::SftConversational);
    options.filters.annotators = vec!["tom".into()];
    let good =
        json!([{"role": "user", "content": "Which?"}, {"role": "assistant", "content": "good"}]);
    assert_eq!(rows(dir.path(), &options).0, [json!({"messages": good})]);
    let tasks = rows(dir.path(), &Options::new(OutFormat::LabelStudioTasks)).0;
    assert_eq!(
        (tasks.len(), tasks[0]["data"]["prompt"].as_str()),
        (1, Some("Which?"))
    );
}

#[test]
fn an_implicit_prompt_that_would_be_read_otherwise_is_left_out() {
    let pair = |a: &str, b: &str| Judged::pair(PromptText::Text("Sky".into()), a.into(), b.into());
    assert!(
        OutFormat::TrlImplicit
            .write(&pair(" blue", " green"))
            .is_some()
    );
    // Both begin alike: the reader would take " b" for the prompt's.
    assert_eq!(OutFormat::TrlImplicit.write(&pair(" blue", " black")), None);
    let ranking = Judged {
        said: Said::Ranking(vec![vec![0], vec![1]]),
        ..pair("a", "b")
    };
    assert_eq!(OutFormat::Trl.write(&ranking), None);
}
