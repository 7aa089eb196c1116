//! Files of every kind, sound and hostile: JSON arrays, gzip, Parquet, deep nesting, damaged pages.

use std::io::Write;
use std::path::Path;

use rlhf::feedback::import::{Target, import};
use rlhf::feedback::item::read_all;
use rlhf::feedback::lines::RowError;
use rlhf::feedback::pairs::read;
use rlhf::feedback::rows::Rows;
use rlhf::feedback::store::annotators;
use rlhf::feedback::store::stamps::Stamps;

use crate::feedback_formats_read::fixture;

fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn target<'a>(dir: &'a Path, batch: &'a str) -> Target<'a> {
    Target {
        dir,
        batch,
        annotator: None,
        format: None,
        decoder: None,
        skip_bad: false,
    }
}

/// Rows and errors of a whole file; ends, because an error about the file ends it.
fn drain(path: &Path) -> Result<(usize, usize), RowError> {
    let (mut rows, mut good, mut bad) = (Rows::open(path)?, 0, 0);
    loop {
        match rows.next_row() {
            Ok(Some(_)) => good += 1,
            Ok(None) => return Ok((good, bad)),
            Err(RowError::Bad { .. }) => bad += 1,
            Err(error) => return Err(error),
        }
    }
}

#[test]
fn parquet_of_every_compression_reads_alike() {
    for codec in ["none", "snappy", "gzip", "brotli", "lz4", "zstd"] {
        let pairs = read(&fixture(&format!("pairs_{codec}.parquet"))).unwrap();
        assert_eq!(pairs.len(), 7, "{codec}");
        assert_eq!(
            (pairs[4].chosen.as_str(), pairs[4].rejected.as_str()),
            ("yesyes", "no")
        );
        assert_eq!(pairs[6].prompt.plain(), "Question 6");
        assert!(
            pairs[6]
                .origin
                .ends_with(&format!("pairs_{codec}.parquet:7"))
        );
    }
}

#[test]
fn damaged_parquet_is_an_error_and_never_more() {
    for name in ["pairs_snappy", "pairs_zstd"] {
        damaged(&std::fs::read(fixture(&format!("{name}.parquet"))).unwrap());
    }
}

fn damaged(sound: &[u8]) {
    for length in (0..sound.len()).step_by(97) {
        let (_dir, path) = write("cut.parquet", &sound[..length]);
        let read = drain(&path);
        assert!(
            length == 0 || read.is_err() || read.is_ok_and(|(_, bad)| bad > 0),
            "{length}"
        );
    }
    let mut damaged = 0;
    for at in (4..sound.len()).step_by(13) {
        for flip in [0x01_u8, 0x80, 0xff] {
            let mut bytes = sound.to_vec();
            bytes[at] ^= flip;
            let (_dir, path) = write("flip.parquet", &bytes);
            damaged += usize::from(drain(&path).map_or(true, |(good, _)| good < 7));
        }
    }
    assert!(damaged > 100, "{damaged}");
}

#[test]
fn a_parquet_page_that_claims_two_gigabytes_is_refused() {
    let sound = std::fs::read(fixture("pairs_snappy.parquet")).unwrap();
    // The first page header: field 1 (type) 0x15 0x04, field 2 (size) 0x15 and a varint.
    assert_eq!(sound[4..7], [0x15, 0x04, 0x15]);
    let mut lie = sound[..7].to_vec();
    lie.extend([0xfe, 0xff, 0xff, 0xff, 0x0f]);
    lie.extend(&sound[12..]);
    assert_eq!(lie.len(), sound.len());
    let (_dir, path) = write("lie.parquet", &lie);
    let error = Rows::open(&path)
        .and_then(|mut rows| rows.next_row())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("larger than 256 MiB once decompressed"),
        "{error}"
    );
}

#[test]
fn zstd_files_are_read_frame_by_frame() {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    let row = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    let frame = compress_to_vec(row.repeat(1000).as_bytes(), CompressionLevel::Fastest);
    let (_dir, path) = write("pairs.jsonl.zst", &frame.repeat(2));
    assert_eq!(read(&path).unwrap().len(), 2000);
    let table = compress_to_vec(
        &b"prompt,chosen,rejected\np,a,b\n"[..],
        CompressionLevel::Fastest,
    );
    let (_dir, path) = write("pairs.csv.zst", &table);
    assert_eq!(read(&path).unwrap().len(), 1);
    let (_dir, path) = write("cut.jsonl.zst", &frame[..frame.len() - 5]);
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("cut.jsonl.zst: zstd: "), "{error}");
}

#[test]
fn a_gzip_bomb_streams_and_its_endless_line_is_one_bad_row() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&spaces).unwrap();
    }
    encoder
        .write_all(b"\n{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n")
        .unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let (_dir, path) = write("bomb.jsonl.gz", &bomb);
    assert_eq!(drain(&path).unwrap(), (1, 1));
    let error = read(&path).unwrap_err().to_string();
    assert!(
        error.contains("bomb.jsonl.gz:1: the line is longer than 8388608 bytes"),
        "{error}"
    );
}

#[test]
fn deep_nesting_is_a_bad_row_and_a_lone_surrogate_is_named() {
    let deep = format!(
        "{{\"prompt\": {}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let (_dir, path) = write("deep.jsonl", deep.as_bytes());
    let error = read(&path).unwrap_err().to_string();
    assert!(
        error.contains("deep.jsonl:1: recursion limit exceeded"),
        "{error}"
    );
    let row = br#"{"prompt": "\ud800", "chosen": "a", "rejected": "b"}"#;
    let (_dir, path) = write("lone.jsonl", row);
    assert_eq!(read(&path).unwrap()[0].prompt.plain(), "⟨U+D800⟩");
}

#[test]
fn a_name_may_be_wrong_about_what_is_inside() {
    let row = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    let (_dir, path) = write("lines.json", row.repeat(3).as_bytes());
    assert_eq!(read(&path).unwrap().len(), 3);
    let (_dir, path) = write("array.jsonl", format!("[{row}, {row}]").as_bytes());
    assert_eq!(read(&path).unwrap().len(), 2);
    let bytes = std::fs::read(fixture("pairs_gzip.parquet")).unwrap();
    let (_dir, path) = write("table.bin", &bytes);
    assert_eq!(read(&path).unwrap().len(), 7);
}

#[test]
fn imports_keep_people_apart_and_add_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let counts = |name: &str| {
        let target = target(dir.path(), "all");
        let i = import(&fixture(name), &target, &mut Stamps::system, &mut |_| ()).unwrap();
        (
            i.new_items,
            i.judgements,
            i.already_there,
            i.unjudged,
            i.duplicates,
            i.alone,
        )
    };
    assert_eq!(counts("label_studio.json"), (2, 2, 0, 1, 0, 0));
    assert_eq!(counts("summarize.jsonl"), (2, 2, 0, 0, 0, 0));
    assert_eq!(counts("answers.jsonl"), (1, 0, 0, 1, 0, 0));
    assert_eq!(counts("unpaired.jsonl"), (1, 1, 0, 0, 0, 1));
    assert_eq!(counts("rewardbench2.jsonl"), (3, 3, 0, 0, 0, 0));
    assert_eq!(counts("ultrafeedback.jsonl"), (1, 1, 0, 0, 0, 0));
    let feedback = dir.path().join("feedback");
    let names = annotators(&feedback).unwrap();
    let odd = names
        .iter()
        .find(|name| name.starts_with("w-2-"))
        .unwrap()
        .clone();
    let worker = "ikNmucwunMnYJCQpnq6ZYb57OW7NiD".to_owned();
    let mut expected = vec![
        "10".into(),
        "11".into(),
        "sim:gpt-4".into(),
        "import".into(),
        odd,
        worker,
    ];
    expected.sort();
    assert_eq!(names, expected);
    for (name, there) in [
        ("label_studio.json", 2),
        ("summarize.jsonl", 2),
        ("unpaired.jsonl", 1),
    ] {
        let (items, judgements, already_there, ..) = counts(name);
        assert_eq!((items, judgements, already_there), (0, 0, there), "{name}");
    }
    // The third answer equals the first but for white space.
    let items = read_all(&dir.path().join("samples")).unwrap();
    assert!(
        items
            .iter()
            .any(|item| item.prompt.id == "q1" && item.candidates.len() == 2)
    );
    let checked = rlhf::feedback::check::check(&rlhf::feedback::labels::Folders::of(dir.path()));
    assert_eq!(checked.problems, [] as [String; 0]);
}

#[test]
fn more_annotators_than_locks_are_refused_with_the_way_out() {
    let row = |n: usize| {
        format!(
            "{{\"info\": {{\"post\": \"p\"}}, \"summaries\": [{{\"text\": \"a\"}}, {{\"text\": \"b\"}}], \
             \"choice\": 0, \"worker\": \"w{n}\"}}\n"
        )
    };
    let rows: String = (0..257).map(row).collect();
    let (dir, path) = write("many.jsonl", rows.as_bytes());
    let all = target(dir.path(), "many");
    let error = import(&path, &all, &mut Stamps::system, &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("more than 256 annotators") && error.contains("--annotator NAME"),
        "{error}"
    );
    let one = Target {
        annotator: Some("crowd"),
        ..all
    };
    // The same answers 257 times by one annotator are one too many for a byte.
    let error = import(&path, &one, &mut Stamps::system, &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("many.jsonl:257: more than 256 judgements"),
        "{error}"
    );
    let skip = Target {
        skip_bad: true,
        ..one
    };
    let imported = import(&path, &skip, &mut Stamps::system, &mut |_| ()).unwrap();
    assert_eq!(
        (imported.judgements, imported.bad_rows, imported.new_items),
        (256, 1, 1)
    );
}
