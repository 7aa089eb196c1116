//! Files that are often handed over for rows and are none, told by their first bytes: better named
//! than read as text that is not UTF-8 in line 1.

/// First bytes, what has them, and what to do.
const KNOWN: [(&[u8], &str, &str); 12] = [
    (b"PK\x03\x04", "a zip archive or a spreadsheet", UNPACK),
    (
        b"\xfd7zXZ\0",
        "compressed with xz",
        "unpack it first: xz -d FILE",
    ),
    (
        b"BZh",
        "compressed with bzip2",
        "unpack it first: bzip2 -d FILE",
    ),
    (b"7z\xbc\xaf", "a 7z archive", UNPACK),
    (b"ARROW1", "an Arrow file", SAVE),
    (b"ORC", "an ORC file", SAVE),
    (b"PARE", "a Parquet file with an encrypted footer", SAVE),
    (b"SQLite format 3", "an SQLite database", SAVE),
    (b"\x93NUMPY", "a NumPy array", SAVE),
    (b"\x80\x04", "a Python pickle", SAVE),
    (b"\xff\xfe", UTF_16, ICONV),
    (b"\xfe\xff", UTF_16, ICONV),
];

const UTF_16: &str = "text in UTF-16";
const UNPACK: &str = "unpack it first, or save the table as .csv in UTF-8";
const SAVE: &str = "save it as .jsonl, one JSON object on each line, or as .parquet";
const ICONV: &str = "write it in UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW";

/// What a file is that begins with these bytes, and what to do, if it is none that holds rows.
pub fn name(start: &[u8]) -> Option<String> {
    let known = KNOWN.iter().find(|(magic, ..)| start.starts_with(magic));
    let told = known.map(|(_, what, next)| (*what, *next));
    // ASCII in UTF-16, without a mark: every other byte is zero.
    let pairs = start.get(..8).unwrap_or_default().chunks_exact(2);
    let unmarked = |at: usize| {
        let mut pairs = pairs.clone();
        pairs.len() > 0 && pairs.all(|pair| pair[at] == 0 && pair[1 - at] != 0)
    };
    let told = told.or_else(|| (unmarked(0) || unmarked(1)).then_some((UTF_16, ICONV)));
    told.map(|(what, next)| format!("is {what}; {next}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_from_what_holds_none() {
        for rows in [
            "{\"prompt\": 1}",
            "[",
            "",
            "a",
            "Orc,text\n",
            "PAR1",
            "\u{feff}{",
            "BZ,h\n",
        ] {
            assert_eq!(name(rows.as_bytes()), None, "{rows}");
        }
        let zip = name(b"PK\x03\x04\x14\0").unwrap();
        assert!(
            zip.starts_with("is a zip archive or a spreadsheet; unpack"),
            "{zip}"
        );
        for unmarked in [&b"{\0\"\0p\0r\0"[..], b"\0{\0\"\0p\0r"] {
            assert!(name(unmarked).unwrap().contains("UTF-16"));
        }
    }
}
