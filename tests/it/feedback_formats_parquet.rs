//! Parquet as today's tools write it, zstd and delta encodings, and as nobody should.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use rlhf::feedback::rows::Rows;
use serde_json::{Value, json};

use crate::feedback_formats_read::fixture;

fn rows(path: &Path) -> Result<Vec<Value>, String> {
    let mut rows = Rows::open(path).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next_row().map_err(|error| error.to_string())? {
        found.push(row.parse().unwrap());
    }
    Ok(found)
}

/// Written with polars 1.x (`write_parquet` with its defaults) and pyarrow (`compression="zstd"`,
/// `use_dictionary=False`, `column_encoding` DELTA_BYTE_ARRAY for `prompt` and `tags`,
/// DELTA_LENGTH_BYTE_ARRAY for `chosen`, DELTA_BINARY_PACKED for `n`, data pages of both versions)
/// from rows n = 0..300: "Question n", "yes" n mod 3 times or "si", "no", 1000003 n, and the first
/// n mod 3 of the letters a and b.
#[test]
fn zstd_and_delta_encodings_of_polars_and_pyarrow_are_read() {
    for name in ["polars", "delta_v1", "delta_v2"] {
        let found = rows(&fixture(&format!("pairs_{name}.parquet"))).unwrap();
        assert_eq!(found.len(), 300, "{name}");
        for (n, row) in found.iter().enumerate() {
            let chosen = match n % 3 {
                0 => "si".to_owned(),
                _ if n == 4 => "yesyes".to_owned(),
                times => "yes".repeat(times),
            };
            let tags = &["a", "b"][..n % 3];
            let expected = json!({
                "prompt": format!("Question {n}"), "chosen": chosen, "rejected": "no",
                "n": n * 1_000_003, "tags": tags
            });
            assert_eq!(*row, expected, "{name} row {n}");
        }
    }
}

/// A file of 300 pairs, all four letters long, in one encoding.
fn pairs(folder: &Path, encoding: Encoding) -> PathBuf {
    let schema = "message pairs { required binary prompt (UTF8); required binary chosen (UTF8);
                  required binary rejected (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_encoding(encoding)
        .build();
    let path = folder.join("pairs.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for text in ["what", "good", "evil"] {
        let mut column = group.next_column().unwrap().unwrap();
        let values = vec![ByteArray::from(text); 300];
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    path
}

/// A stream of lengths: blocks of 2^40 values, one mini block each, `count` values, all zero, so that
/// nothing is packed.
fn stream(count: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for mut number in [1 << 40, 1, count, 0, 0, 0] {
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
    }
    bytes
}

#[test]
fn a_delta_encoding_that_claims_more_than_its_page_is_refused_before_it_is_believed() {
    // Blocks of 128, four mini blocks, 300 values; the first length is 4, all others as long.
    let lengths = [0x80, 0x01, 4, 0xac, 0x02, 8];
    // Shared prefixes: the first value has none, the others share 4 bytes.
    let prefixes = [0x80, 0x01, 4, 0xac, 0x02, 0];
    let claims = "Parquet: a delta encoding claims more values than its page";
    let lies = [
        (
            Encoding::DELTA_LENGTH_BYTE_ARRAY,
            &lengths,
            vec![stream(1 << 50)],
        ),
        (
            Encoding::DELTA_LENGTH_BYTE_ARRAY,
            &lengths,
            vec![stream(301)],
        ),
        (Encoding::DELTA_BYTE_ARRAY, &prefixes, vec![stream(1 << 40)]),
        (
            Encoding::DELTA_BYTE_ARRAY,
            &prefixes,
            vec![stream(300), stream(1 << 40)],
        ),
    ];
    for (encoding, begin, lie) in lies {
        let dir = tempfile::tempdir().unwrap();
        let path = pairs(dir.path(), encoding);
        assert_eq!(rows(&path).unwrap().len(), 300);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(begin.len()).position(|found| found == begin);
        let (at, lie) = (at.unwrap(), lie.concat());
        bytes[at..at + lie.len()].copy_from_slice(&lie);
        std::fs::write(&path, bytes).unwrap();
        let error = rows(&path).unwrap_err();
        assert!(error.ends_with(claims), "{encoding}: {error}");
    }
}

#[test]
fn a_zstd_page_holds_what_its_header_says_and_no_more() {
    let sound = std::fs::read(fixture("pairs_zstd.parquet")).unwrap();
    let mut refused = 0;
    // The page header's uncompressed size is its second field; every smaller one is a lie.
    for at in 4..60 {
        let mut bytes = sound.clone();
        if bytes[at] > 8 {
            bytes[at] -= 8;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lie.parquet");
        std::fs::write(&path, bytes).unwrap();
        let error = rows(&path).err().unwrap_or_default();
        refused += usize::from(error.contains("a page is larger than it says"));
    }
    assert!(refused > 0);
}
