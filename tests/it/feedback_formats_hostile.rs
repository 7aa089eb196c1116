//! Files that nobody should have made, given to the real binary: each is a clear error that names the
//! file, where in it, and the next step, and leaves the project as it was.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::cli_support::rlhf;

const PAIR: &str = r#"{"prompt": "p", "chosen": "a", "rejected": "b"}"#;

/// What an import of these bytes says, and that it leaves nothing behind.
fn refused(name: &str, bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), bytes).unwrap();
    refused_in(dir.path(), &[name])
}

fn refused_in(folder: &Path, arguments: &[&str]) -> String {
    let all = [&["feedback", "import", "--dir", "project"], arguments].concat();
    let (code, out, error) = rlhf(folder, &all);
    assert_eq!((code, out.as_str()), (1, ""), "{error}");
    assert!(!folder.join("project").exists(), "{error}");
    assert!(!error.contains("panicked"), "{error}");
    error
}

fn says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

fn gzip(write: impl FnOnce(&mut dyn Write)) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    write(&mut encoder);
    encoder.finish().unwrap()
}

#[test]
fn tokens_need_their_tokenizer() {
    let dir = tempfile::tempdir().unwrap();
    // tests/fixtures/tokenizer/byte_level/cases.json: "Hello world" and " leading space"; 50259 is
    // OpenAI's padding.
    let row = json!({
        "query": [50259, 50259, 42, 321, 81, 263, 264, 367],
        "sample0": [223, 267, 67, 70, 265, 73, 274, 82, 67, 69, 71], "sample1": [42, 321, 81],
        "sample2": [86, 67, 68, 85], "sample3": [42], "best": 1
    });
    std::fs::write(dir.path().join("labels.json"), json!([row]).to_string()).unwrap();
    let error = refused_in(dir.path(), &["labels.json"]);
    says(
        &error,
        &[
            "labels.json:1: lm-human-preferences holds token ids",
            "--tokenizer",
        ],
    );
    let tokenizer = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/tokenizer/byte_level"
    );
    for tokenizer in [tokenizer, &format!("{tokenizer}/tokenizer.json")] {
        let import = [
            "feedback",
            "import",
            "labels.json",
            "--tokenizer",
            tokenizer,
        ];
        let (code, out, error) = rlhf(dir.path(), &import);
        assert_eq!(code, 0, "{error}");
        says(&out, &["1 rows of format lm-human-preferences read"]);
    }
    let (_, out, _) = rlhf(dir.path(), &["feedback", "export", "--format", "trl"]);
    let rows: Vec<serde_json::Value> = out
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    assert_eq!(rows.len(), 3);
    for row in &rows {
        assert_eq!(
            (&row["prompt"], &row["chosen"]),
            (&json!("Hello world"), &json!("Hello"))
        );
    }
    let mut rejected: Vec<&str> = rows
        .iter()
        .map(|row| row["rejected"].as_str().unwrap())
        .collect();
    rejected.sort_unstable();
    assert_eq!(rejected, [" leading space", "H", "tabs"]);
    // Another vocabulary than the ids are from.
    let row = json!({"query": [420], "sample0": [42], "sample1": [43], "best": 0});
    std::fs::write(dir.path().join("other.json"), row.to_string()).unwrap();
    let error = refused_in(dir.path(), &["other.json", "--tokenizer", tokenizer]);
    says(
        &error,
        &["other.json:1: `query`: token 420 is not in the tokenizer's vocabulary of 420"],
    );
}

#[test]
fn a_suffix_that_is_not_what_is_inside() {
    let error = refused("pairs.jsonl.gz", b"\x50\x4b\x03\x04 zipped");
    says(&error, &["pairs.jsonl.gz: is a zip archive", "unpack it"]);
    let error = refused("pairs.parquet", b"ARROW1\0\0");
    says(
        &error,
        &["pairs.parquet: is an Arrow file; save it as .jsonl"],
    );
    let error = refused("pairs.parquet", b"PAR1 and no more than that");
    says(&error, &["pairs.parquet: Parquet: the file is cut off"]);
    let error = refused("pairs.jsonl", b"prompt,chosen,rejected\np,a,b\n");
    says(&error, &["pairs.jsonl:1: expected"]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("pairs.jsonl")).unwrap();
    let error = refused_in(dir.path(), &["pairs.jsonl"]);
    says(&error, &["pairs.jsonl: is a folder; name a .json, .jsonl"]);
    says(
        &refused_in(dir.path(), &["nothing.jsonl"]),
        &["nothing.jsonl: No such file"],
    );
    says(
        &refused("empty.jsonl", b""),
        &["empty.jsonl: no rows; expected"],
    );
}

#[test]
fn bombs_and_endless_lines() {
    let bomb = gzip(|file| {
        writeln!(file, "{PAIR}").unwrap();
        let spaces = vec![b' '; 1 << 20];
        (0..1024).for_each(|_| file.write_all(&spaces).unwrap());
    });
    assert!(bomb.len() < 6 << 20);
    let error = refused("bomb.jsonl.gz", &bomb);
    says(
        &error,
        &[
            "bomb.jsonl.gz:2: the line is longer than 8388608 bytes",
            "each row must be a line of its own",
        ],
    );
    let deep = format!(
        "{{\"prompt\": {}{}}}",
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    says(
        &refused("deep.jsonl", deep.as_bytes()),
        &["deep.jsonl:1: recursion limit exceeded"],
    );
    let cut = gzip(|file| (0..200).for_each(|_| writeln!(file, "{PAIR}").unwrap()));
    let error = refused("cut.jsonl.gz", &cut[..cut.len() - 12]);
    says(&error, &["cut.jsonl.gz: gzip: the file is cut off; fetch"]);
}

#[test]
fn encodings_that_are_not_utf_8() {
    let utf_16 = |bytes: fn(u16) -> [u8; 2], mark: u16| {
        let text: Vec<u16> = std::iter::once(mark).chain(PAIR.encode_utf16()).collect();
        text.into_iter().flat_map(bytes).collect::<Vec<u8>>()
    };
    for bytes in [
        utf_16(u16::to_le_bytes, 0xfeff),
        utf_16(u16::to_be_bytes, 0xfeff),
    ] {
        let error = refused("utf16.jsonl", &bytes);
        says(
            &error,
            &["utf16.jsonl: is text in UTF-16; write it in UTF-8: iconv"],
        );
    }
    let latin = "{\"prompt\": \"caf\u{e9}\", \"chosen\": \"a\", \"rejected\": \"b\"}";
    let latin: Vec<u8> = latin.chars().map(|c| c as u8).collect();
    let error = refused("latin.jsonl", &[PAIR.as_bytes(), b"\r\n", &latin].concat());
    says(&error, &["latin.jsonl:2: not UTF-8"]);
    let nul = [
        PAIR.as_bytes(),
        b"\n{\"prompt\": \"a\0b\", \"chosen\": 1}\n",
    ]
    .concat();
    says(
        &refused("nul.jsonl", &nul),
        &["nul.jsonl:2: control character"],
    );
}

#[test]
fn numbers_beyond_all_bounds_and_values_of_the_wrong_type() {
    let row = format!(
        "{{\"prompt\": \"p\", \"completion\": \"a\", \"label\": {}}}",
        "9".repeat(400)
    );
    says(
        &refused("huge.jsonl", row.as_bytes()),
        &["huge.jsonl:1:", "number out of range"],
    );
    let row = r#"{"prompt": "p", "chosen": "a", "rejected": "b", "margin": 1e308}"#;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("margin.jsonl"), row).unwrap();
    assert_eq!(
        rlhf(dir.path(), &["feedback", "import", "margin.jsonl"]).0,
        0
    );
    let row = r#"{"prompt": "p", "chosen": 3, "rejected": "b"}"#;
    let error = refused("type.jsonl", row.as_bytes());
    says(
        &error,
        &[
            "type.jsonl:1: `chosen` and `rejected` must be strings",
            "format trl: {\"prompt\"",
        ],
    );
}

#[test]
fn names_that_lead_out_of_the_project() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pairs.jsonl"), PAIR).unwrap();
    for batch in ["../out", "a/b", "", ".hidden", "a\0b", &"x".repeat(200)] {
        if batch.contains('\0') {
            continue;
        }
        let error = refused_in(dir.path(), &["pairs.jsonl", "--batch", batch]);
        says(&error, &["--batch", "letters, digits"]);
    }
    let error = refused_in(dir.path(), &["pairs.jsonl", "--annotator", "../mia"]);
    says(&error, &["is not an annotator name"]);
    // Names in rows are made safe, ids are hashed.
    let row = json!({
        "info": {"post": "p", "id": "../../x"}, "summaries": [{"text": "a"}, {"text": "b"}],
        "choice": 0, "worker": "../../../tmp/evil", "batch": "../up"
    });
    std::fs::write(dir.path().join("rows.jsonl"), row.to_string()).unwrap();
    let import = ["feedback", "import", "rows.jsonl", "--dir", "project"];
    assert_eq!(rlhf(dir.path(), &import).0, 0);
    let names = |folder: &str| {
        let entries = std::fs::read_dir(dir.path().join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names("project/samples"), ["rows.jsonl"]);
    let people = names("project/feedback");
    assert!(
        people.len() == 1 && people[0].starts_with("tmp-evil-"),
        "{people:?}"
    );
}

#[test]
fn what_tools_of_other_systems_write_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let old_mac = r#"{"prompt": "\ud83d half", "chosen": "a\u0000b", "rejected": "c"}"#;
    let rows = format!("\u{feff}{PAIR}\r\n\r\n{old_mac}\r\n");
    std::fs::write(dir.path().join("windows.jsonl"), rows).unwrap();
    let import = ["feedback", "import", "windows.jsonl", "--json"];
    let (code, out, error) = rlhf(dir.path(), &import);
    assert_eq!(code, 0, "{error}");
    says(&out, &["\"rows\":2", "\"judgements\":2"]);
    let (_, out, _) = rlhf(dir.path(), &["feedback", "export", "--format", "trl"]);
    says(&out, &["⟨U+D83D⟩ half", "a\\u0000b"]);
}

#[test]
fn exports_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pairs.jsonl"), PAIR).unwrap();
    assert_eq!(
        rlhf(dir.path(), &["feedback", "import", "pairs.jsonl"]).0,
        0
    );
    let export = |arguments: &[&str]| {
        let all = [&["feedback", "export"], arguments].concat();
        let (code, _, error) = rlhf(dir.path(), &all);
        assert!(code > 0, "{arguments:?}");
        error
    };
    let parquet = export(&["--format", "trl", "--out", "out.parquet"]);
    says(
        &parquet,
        &["out.parquet: name a .jsonl, .jsonl.gz or .json file"],
    );
    let folder = export(&["--format", "trl", "--out", "samples"]);
    says(&folder, &["samples"]);
    let missing = export(&["--format", "trl", "--out", "no/such/out.jsonl"]);
    says(&missing, &["no/such"]);
    says(
        &export(&["--format", "xml"]),
        &["expected one of native, trl"],
    );
    says(
        &export(&["--format", "trl", "--annotator", "nobody"]),
        &["has no judgements by \"nobody\""],
    );
    says(
        &export(&["--format", "trl", "--ties", "keep"]),
        &["cannot keep ties"],
    );
    says(
        &export(&["--format", "trl", "--dir", "nowhere"]),
        &["neither samples/ nor feedback/"],
    );
    assert!(!dir.path().join("out.parquet").exists());
}
