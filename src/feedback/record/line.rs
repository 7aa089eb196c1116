//! A record as a line: `{…,"prev":"<sha256 of the line before>","crc":"<crc32 of this line>"}`.
//!
//! `crc` is the CRC-32 (IEEE) of the line as it would be without `,"crc":"…"`; it finds a damaged
//! line. `prev` chains the lines; it finds a removed, inserted or swapped one.

use super::Record;
use super::check::RuleError;
use crate::feedback::digest::Sha256;
use serde::de::Error as _;

/// Length of `,"crc":"01234567"}`.
const CRC_TAIL: usize = 18;

/// Why a line is not a sound record.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The line does not end in a checksum.
    #[error("the line does not end in its checksum `\"crc\"`: it was cut off or edited by hand")]
    NoCrc,
    /// The checksum does not fit.
    #[error("checksum mismatch: the line says {stated:08x}, its content has {found:08x}")]
    Crc {
        /// Checksum in the line.
        stated: u32,
        /// Checksum of the content.
        found: u32,
    },
    /// Not the JSON of a record.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The record contradicts itself.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

/// Serialises `record` as the successor of a line whose hash is `prev`; no newline at the end.
///
/// # Errors
/// [`LineError::Rule`] if the record is not sound; [`LineError::Json`] for a time or a number that
/// JSON cannot carry.
pub fn to_line(record: &mut Record, prev: Sha256) -> Result<String, LineError> {
    record.check()?;
    record.prev = prev;
    let mut line = serde_json::to_string(record)?;
    let crc = crc32fast::hash(line.as_bytes());
    line.truncate(line.len() - 1);
    Ok(line + &format!(",\"crc\":\"{crc:08x}\"}}"))
}

/// Parses one line (without newline), checks its checksum and the rules of a single record.
///
/// # Errors
/// [`LineError`].
pub fn from_line(line: &[u8]) -> Result<Record, LineError> {
    let record: Record = serde_json::from_str(checked(line)?)?;
    record.check()?;
    Ok(record)
}

/// The line as text, if its checksum is right.
pub(super) fn checked(line: &[u8]) -> Result<&str, LineError> {
    let split = line.len().checked_sub(CRC_TAIL).ok_or(LineError::NoCrc)?;
    let (body, tail) = line.split_at(split);
    let digits = tail
        .strip_prefix(b",\"crc\":\"")
        .and_then(|rest| rest.strip_suffix(b"\"}"))
        .filter(|digits| {
            digits
                .iter()
                .all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f'))
        })
        .and_then(|digits| str::from_utf8(digits).ok())
        .ok_or(LineError::NoCrc)?;
    let stated = u32::from_str_radix(digits, 16).map_err(|_| LineError::NoCrc)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body);
    hasher.update(b"}");
    let found = hasher.finalize();
    if stated != found {
        return Err(LineError::Crc { stated, found });
    }
    // One check of the whole line is faster than one for each of its strings.
    Ok(str::from_utf8(line).map_err(serde_json::Error::custom)?)
}
