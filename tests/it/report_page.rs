//! The report as one HTML file: complete, self-contained, and deaf to what the texts in it say.

use std::fs;
use std::path::Path;
use std::process::Command;

use rlhf::feedback::digest::Sha256;
use rlhf::feedback::item::read_all;
use rlhf::feedback::known::Expected;
use rlhf::feedback::record::{Origin, Purpose, UtcMillis};
use rlhf::feedback::report::dispute::disputes;
use rlhf::feedback::report::page::{About, Source, page};
use rlhf::feedback::report::votes::Votes;
use rlhf::feedback::store::decision::Shown;
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use rlhf::tui::stats::rows;
use serde_json::Value;

use crate::cli_support::rlhf;
use crate::stats_stage::{Project, campaign, say};

const HOSTILE: &str = "<script>alert('x')</script>\"><img src=x onerror=y>&amp; \u{1b}[31m\u{7}\u{202e}gnp.exe\u{feff} \
                       ]]></style></svg><!-- https://example.com";

fn html(project: &Project, names: bool) -> String {
    let about = About {
        title: "trial".into(),
        written: UtcMillis(1_790_084_000_000),
        sources: Vec::new(),
        names,
    };
    let votes = Votes::new(&project.labels);
    page(&project.report(), &disputes(&votes, 3), &about)
}

/// Names of the elements, after checking that they are closed in order.
fn elements(html: &str) -> Vec<String> {
    const VOID: [&str; 1] = ["meta"];
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let body = html.strip_prefix("<!DOCTYPE html>").unwrap();
    for tag in body.split('<').skip(1) {
        let (tag, _) = tag
            .split_once('>')
            .unwrap_or_else(|| panic!("no end: {tag:?}"));
        let name = |tag: &str| tag.split([' ', '/']).next().unwrap().to_owned();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "closed out of order");
        } else {
            all.push(name(tag));
            if !tag.ends_with('/') && !VOID.contains(&name(tag).as_str()) {
                open.push(name(tag));
            }
        }
    }
    assert_eq!(open, [] as [&str; 0]);
    all
}

#[test]
fn hostile_texts_are_text() {
    let mut project = Project::default();
    let item = project.pair(HOSTILE, [(HOSTILE, HOSTILE), ("plain", "<b>policy</b>")]);
    project.says("ada", item, say(2)).note = Some(HOSTILE.into());
    let record = project.says("ben", item, say(-2));
    record.aspects.insert(HOSTILE.into(), 2);
    let about = About {
        title: HOSTILE.into(),
        written: UtcMillis(0),
        sources: Vec::new(),
        names: true,
    };
    let votes = Votes::new(&project.labels);
    let html = page(&project.report(), &disputes(&votes, 9), &about);
    let elements = elements(&html);
    for forbidden in ["script", "img", "b", "iframe", "link", "object"] {
        assert!(!elements.contains(&forbidden.to_owned()), "<{forbidden}>");
    }
    let allowed = |c: char| {
        c == '\n' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{feff}')
    };
    assert_eq!(html.chars().find(|c| !allowed(*c)), None);
    assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    assert!(html.contains("␛[31m␇⟨U+202E⟩gnp.exe⟨U+FEFF⟩"));
}

#[test]
fn the_page_needs_nothing_else_and_allows_nothing_else() {
    let html = html(&campaign(), false);
    elements(&html);
    assert!(html.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
    for loads in [" src=", "url(", "@import", "href=\"http", "<script"] {
        assert!(!html.contains(loads), "{loads}");
    }
    assert!(html.contains("@media (prefers-color-scheme: dark)"));
    // Every chart has a name and a description of its own.
    let charts = html.matches("<svg role=\"img\"").count();
    assert!(charts >= 6, "{charts}");
    assert_eq!(html.matches("<title id=").count(), charts);
    assert_eq!(html.matches("<desc id=").count(), charts);
    let mut ids: Vec<&str> = html
        .split(" id=\"")
        .skip(1)
        .map(|s| s.split('"').next().unwrap())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id stands twice");
}

#[test]
fn people_have_numbers_unless_names_are_asked_for() {
    let project = campaign();
    let numbered = html(&project, false);
    assert!(numbered.contains("annotator 3") && numbered.contains("sim:gold"));
    for name in ["ada", "ben", "cleo"] {
        assert!(
            !numbered.contains(&format!(">{name}<")) && !numbered.contains(&format!("{name} and")),
            "{name}"
        );
    }
    assert!(html(&project, true).contains("<td>cleo</td>"));
}

#[test]
fn the_command_writes_the_page_with_the_hashes_of_its_sources() {
    let dir = tempfile::tempdir().unwrap();
    let row = "{\"prompt\":\"why?\",\"chosen\":\"a longer one\",\"rejected\":\"b\"}\n";
    fs::write(dir.path().join("pairs.jsonl"), row).unwrap();
    let (code, _, err) = rlhf(dir.path(), &["feedback", "import", "pairs.jsonl"]);
    assert_eq!(code, 0, "{err}");
    let (code, out, err) = rlhf(
        dir.path(),
        &["feedback", "report", "--json", "--title", "A <trial>"],
    );
    assert_eq!(code, 0, "{err}");
    let written: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (written["out"].as_str(), written["people"].as_u64()),
        (Some("report.html"), Some(1))
    );
    assert_eq!(written["simulated"].as_u64(), Some(0));
    let html = fs::read_to_string(dir.path().join("report.html")).unwrap();
    elements(&html);
    assert!(html.contains("<h1>Labelling report: A &lt;trial&gt;</h1>"));
    let sources = written["sources"].as_array().unwrap();
    let paths: Vec<_> = sources
        .iter()
        .map(|source| source["path"].as_str().unwrap())
        .collect();
    assert!(
        paths[0].starts_with("feedback/annotator 1/") && paths[1] == "samples/pairs.jsonl",
        "{paths:?}"
    );
    for source in sources {
        assert!(html.contains(source["sha256"].as_str().unwrap()));
    }
    let (code, _, err) = rlhf(
        dir.path(),
        &["feedback", "report", "--out", "no/such/folder.html"],
    );
    assert!(
        code == 1 && err.contains("cannot write no/such/folder.html"),
        "{err}"
    );
}

#[test]
fn names_stand_nowhere_in_the_file_unless_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let row = "{\"prompt\":\"why?\",\"chosen\":\"one\",\"rejected\":\"b\"}\n";
    fs::write(dir.path().join("pairs.jsonl"), row).unwrap();
    let import = ["feedback", "import", "pairs.jsonl", "--annotator", "miriam"];
    let (code, _, err) = rlhf(dir.path(), &import);
    assert_eq!(code, 0, "{err}");
    // A session that took everything back is a source too.
    let feedback = dir.path().join("feedback");
    let mut session = Session::open(&feedback, "konrad", Stamps::system()).unwrap();
    let shown = Shown {
        item: &read_all(&dir.path().join("samples")).unwrap()[0],
        slot: 0,
        purpose: Purpose::Train,
        origin: Origin::Import,
        display: None,
        time: None,
    };
    session.skip(&shown, None).unwrap();
    session.undo().unwrap();
    session.close().unwrap();
    let report = |arguments: &[&str]| {
        let arguments = [&["feedback", "report", "--title", "t"], arguments].concat();
        let (code, _, err) = rlhf(dir.path(), &arguments);
        assert_eq!(code, 0, "{err}");
        fs::read_to_string(dir.path().join("report.html")).unwrap()
    };
    let html = report(&[]);
    assert!(!html.contains("miriam") && !html.contains("konrad"));
    for path in ["annotator 1/", "annotator 2/"] {
        assert!(html.contains(&format!("<td>feedback/{path}")), "{path}");
    }
    assert!(report(&["--names"]).contains("<td>feedback/miriam/"));
}

#[test]
fn what_is_printed_does_not_depend_on_the_machine_and_names_nobody() {
    let home = tempfile::tempdir().unwrap();
    let row = "{\"prompt\":\"why?\",\"chosen\":\"one\",\"rejected\":\"b\"}\n";
    fs::write(home.path().join("pairs.jsonl"), row).unwrap();
    let import = [
        "feedback",
        "import",
        "pairs.jsonl",
        "--dir",
        "here",
        "--annotator",
        "miriam",
    ];
    let (code, _, err) = rlhf(home.path(), &import);
    assert_eq!(code, 0, "{err}");
    let copied = Command::new("cp")
        .args(["-r", "here", "there"])
        .current_dir(home.path())
        .status();
    assert!(copied.unwrap().success());
    let report = |dir: &Path, out: &Path| {
        let [dir, out] = [dir, out].map(|path| path.to_str().unwrap());
        let arguments = [
            "feedback", "report", "--json", "--title", "t", "--dir", dir, "--out", out,
        ];
        let (code, printed, err) = rlhf(home.path(), &arguments);
        assert_eq!(code, 0, "{err}");
        printed
    };
    let here = home.path().join("here");
    let printed = report(&here, &here.join("docs.html"));
    assert_eq!(
        printed,
        report(Path::new("there"), Path::new("there/docs.html"))
    );
    assert!(printed.contains("{\"out\":\"docs.html\","), "{printed}");
    assert!(
        printed.contains("\"path\":\"feedback/annotator 1/"),
        "{printed}"
    );
    for real in ["miriam", home.path().to_str().unwrap()] {
        assert!(!printed.contains(real), "{printed}");
    }
    // Elsewhere than in the project only the name is left.
    let elsewhere = report(&here, &home.path().join("elsewhere.html"));
    assert!(
        elsewhere.contains("{\"out\":\"elsewhere.html\","),
        "{elsewhere}"
    );
}

#[test]
fn every_hostile_name_is_text() {
    let mut project = Project::default();
    let item = project.several(HOSTILE, &[(HOSTILE, HOSTILE), ("b", "p"), ("c", "q")]);
    project.ranks(HOSTILE, item, &[&[0], &[1], &[2]]);
    let record = project.ranks("ben", item, &[&[2], &[1], &[0]]);
    record.flags = vec![HOSTILE.into()];
    record.question = Some(HOSTILE.into());
    project.labels.items[item].batch = HOSTILE.into();
    let about = About {
        title: "t".into(),
        written: UtcMillis(0),
        sources: vec![Source {
            path: format!("feedback/{HOSTILE}/{HOSTILE}.jsonl"),
            bytes: 1,
            sha256: Sha256::of(""),
        }],
        names: true,
    };
    let votes = Votes::new(&project.labels);
    let html = page(&project.report(), &disputes(&votes, 9), &about);
    let elements = elements(&html);
    for forbidden in ["script", "img"] {
        assert!(!elements.contains(&forbidden.to_owned()), "<{forbidden}>");
    }
    assert!(!html.contains('\u{202e}') && !html.contains('\u{1b}'));
    assert!(html.contains("<td>feedback/&lt;script&gt;"));
    assert!(html.contains("A &gt; B &gt; C"));
}

#[test]
fn people_and_programs_stand_under_their_own_headings() {
    let html = html(&campaign(), false);
    assert!(
        html.contains("People and programs (annotators called sim:…) are never counted together.")
    );
    for id in ["people-wins", "people-left", "people-pace"] {
        assert!(html.contains(&format!("id=\"{id}-t\"")), "{id}");
    }
    assert_eq!(html.matches("<h3>Programs</h3>").count(), 4);
    assert_eq!(html.matches("<h3>People</h3>").count(), 5);
}

/// A campaign in which everything happens: gold items, repeats, aspects, rankings, imports, and a
/// selector beside the random one.
fn everything() -> Project {
    let mut project = campaign();
    for item in 0..40 {
        project.labels.items[item].selector.name = ["random", "uncertainty"][item % 2].into();
    }
    for label in &mut project.labels.labels {
        let item = &project.labels.items[label.item];
        label.record.selector = Some(item.selector.clone());
        label.record.aspects.insert("helpful".into(), 1);
    }
    let gold = project.pair("gold", [("yes, it is", "round-0"), ("no", "round-1")]);
    let best = project.labels.items[gold].candidates[0].id.clone();
    let id = project.labels.items[gold].id.clone();
    project.expected.insert(id, Expected::Best(best));
    project.says("ada", gold, say(2)).purpose = Some(Purpose::Gold);
    let again = project.says("ada", 3, say(1));
    (again.purpose, again.slot) = (Some(Purpose::Repeat), Some(1));
    let several = project.several(
        "rank",
        &[("a", "round-0"), ("bb", "round-1"), ("ccc", "round-2")],
    );
    project.ranks("ada", several, &[&[0], &[1], &[2]]);
    project.ranks("ben", several, &[&[0, 1], &[2]]);
    let import = project.pair("import", [("one", "round-0"), ("three", "round-2")]);
    let record = project.says("crowd", import, say(1));
    (record.origin, record.display, record.time) = (Some(Origin::Import), None, None);
    project
}

#[test]
fn every_statistic_of_the_specification_is_in_every_form() {
    let project = everything();
    let report = project.report();
    let pages = [
        rows::overview,
        rows::policies,
        rows::agreement,
        rows::habits,
        rows::pace,
        rows::annotators,
    ];
    let text: Vec<String> = pages
        .iter()
        .flat_map(|page| page(&report, 200))
        .map(|row| row.text)
        .collect();
    let text = text.join("\n");
    let json = serde_json::to_value(&report).unwrap();
    let html = html(&project, false);
    // In words on the screen and in a pipe, as a path in --json, in words on the page.
    let all = [
        (
            "wins among decisive",
            "/people/policies/0/win_rate/low",
            "wins among decisive",
        ),
        ("by prompt", "/people/policies/0/by_prompt/low", "by prompt"),
        (
            "ties as half",
            "/people/policies/0/ties_as_half/high",
            "ties as half",
        ),
        ("both bad", "/people/policies/0/both_bad_rate/n", "both bad"),
        (
            "at equal length and side",
            "/people/policies/0/controlled/n",
            "at equal length and side",
        ),
        (
            "chosen by random",
            "/people/policies/0/by_selector/random/n",
            "<td>random</td>",
        ),
        (
            "true win rate of 55 %",
            "/people/policies/0/more_labels/0/labels",
            ">55 %</th>",
        ),
        ("60 %: 194", "/power/2/labels", "60 %: 194"),
        (
            "Elo above",
            "/people/ratings/rated/0/elo",
            "Elo points above",
        ),
        (
            "round-2 above round-0: ",
            "/people/ratings/differences/0/interval/low",
            "round-2 above round-0",
        ),
        ("exact binomial", "/people/left_p", "exact binomial"),
        (
            "the left answer won",
            "/people/left/low",
            "The answer on the left won",
        ),
        ("(γ)", "/people/bias/side/low", "(γ)"),
        (
            "length, policies and sides equal",
            "/people/bias/length/n",
            "Length, policies and sides",
        ),
        (
            "length and verdict",
            "/people/bias/length_correlation/low",
            "Length difference and verdict",
        ),
        (
            "length and grade",
            "/people/bias/length_grade_correlation/n",
            "Length difference and grade",
        ),
        (
            "chose the same of A, tie and B",
            "/people/agreement/raw_interval/low",
            "chose the same of A",
        ),
        (
            "Krippendorff's α, A, tie, B",
            "/people/agreement/nominal/low",
            "nominal on A, tie and B",
        ),
        (
            "Krippendorff's α, grades",
            "/people/agreement/ordinal/units",
            "ordinal on the grades",
        ),
        (
            "Cohen's κ",
            "/people/agreement/pairs/1/kappa/low",
            "Cohen’s κ",
        ),
        (
            "of grades (quadratic)",
            "/people/agreement/pairs/1/kappa_quadratic/low",
            "quadratic",
        ),
        (
            "follow from rankings",
            "/people/agreement/ranked_units",
            "follow from rankings",
        ),
        (
            "raw agreement over time",
            "/people/agreement/trend/0/low",
            "Raw agreement over time",
        ),
        (
            "per hour at work",
            "/people/per_active_hour",
            "per hour at work",
        ),
        (
            "Judgements per minute",
            "/people/pace/counts/0",
            "Judgements per minute",
        ),
        (
            "1 imported judgements do not say",
            "/people/untimed",
            "1 imported judgements do not say",
        ),
        (
            "median time",
            "/people/median_active_interval/low",
            "median time",
        ),
        (
            "gold right",
            "/annotators/ada/quality/gold/low",
            "gold right",
        ),
        (
            "repeated",
            "/annotators/ada/quality/repeats/same/n",
            "repeats the same",
        ),
        ("left won", "/annotators/ada/left/low", "left won"),
        (
            "agrees",
            "/annotators/ada/quality/with_others/low",
            "agrees with others",
        ),
        (
            "helpful: ",
            "/people/aspects/0/policies/0/low",
            "<h4>helpful</h4>",
        ),
        ("never counted together", "/rule", "never counted together"),
        ("Programs", "/simulated/judgements", "<h3>Programs</h3>"),
    ];
    for (words, path, on_page) in all {
        assert!(text.contains(words), "text: {words}\n{text}");
        let found = json.pointer(path);
        assert!(found.is_some_and(|found| !found.is_null()), "json: {path}");
        assert!(html.contains(on_page), "page: {on_page}");
    }
}

#[test]
fn a_page_without_programs_says_people_and_one_without_people_says_so() {
    let mut project = Project::default();
    project.pairs(2);
    project.says("sim:gold", 0, say(1));
    project.says("sim:judge", 0, say(-1));
    let programs = html(&project, false);
    assert!(programs.contains("No person judged here:"));
    assert!(programs.contains("These judgements are by programs:"));
    assert!(!programs.contains("<h3>People</h3>"));
    project.says("ada", 0, say(1));
    let people = html(&project, false);
    assert!(!people.contains("No person judged here:"));
    assert!(people.contains("<h3>People</h3>") && people.contains("<h3>Programs</h3>"));
}
