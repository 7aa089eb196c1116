//! How many lengths a page in a delta encoding names, before the decoder makes room for them.
//!
//! `DELTA_LENGTH_BYTE_ARRAY` begins with a stream of lengths, `DELTA_BYTE_ARRAY` with one of shared
//! prefixes and, where that ends, one of lengths. A stream (`DELTA_BINARY_PACKED`) begins with its
//! block size, its mini blocks per block, its count, and its first value, all varints. A block has a
//! varint, a bit width for each mini block, and the mini blocks; of bit width zero they take no space,
//! so that a few bytes can stand for any count.
//! <https://github.com/apache/parquet-format/blob/master/Encodings.md#delta-encoding-delta_binary_packed--5>

use super::guard::wrong;
use std::io;

/// Lengths that the streams at the beginning of `content` name, one or two of them.
///
/// # Errors
/// A stream is cut off, or names more than `most`.
pub fn lengths(content: &[u8], streams: usize, most: u64) -> io::Result<u64> {
    let (mut rest, mut total) = (content, 0_u64);
    for _ in 0..streams {
        let (count, after) = stream(rest, most)?;
        total = total.saturating_add(count);
        rest = after;
    }
    Ok(total)
}

/// The count of a stream, and what follows it.
fn stream(mut rest: &[u8], most: u64) -> io::Result<(u64, &[u8])> {
    let block = varint(&mut rest)?;
    let mini_blocks = varint(&mut rest)?;
    let count = varint(&mut rest)?;
    varint(&mut rest)?;
    if count > most {
        return Err(wrong("a delta encoding claims more values than its page"));
    }
    if mini_blocks == 0 || block < mini_blocks {
        return Err(wrong("a delta encoding has blocks without values"));
    }
    let per_mini_block = block / mini_blocks;
    // The first value stands in the header.
    let mut left = count.saturating_sub(1);
    while left > 0 {
        varint(&mut rest)?;
        let widths = take(&mut rest, mini_blocks)?;
        let mut packed = 0_u64;
        for &width in widths {
            // The widths of mini blocks after the last value mean nothing.
            if left == 0 {
                break;
            }
            let bits = u64::from(width).checked_mul(per_mini_block);
            let bytes = bits.map_or(u64::MAX, |bits| bits / 8);
            packed = packed.saturating_add(bytes);
            left = left.saturating_sub(per_mini_block);
        }
        take(&mut rest, packed)?;
    }
    Ok((count, rest))
}

fn take<'a>(rest: &mut &'a [u8], count: u64) -> io::Result<&'a [u8]> {
    let count = usize::try_from(count).ok();
    let parts = count.and_then(|count| rest.split_at_checked(count));
    let (taken, after) = parts.ok_or_else(|| wrong("a delta encoding is cut off"))?;
    *rest = after;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(wrong("a delta encoding is damaged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_follow_each_other() {
        // Encodings.md, example 1: 1, 2, 3, 4, 5 in a block of 128 with 4 mini blocks; all deltas
        // are 1, so that nothing is packed.
        let five = [0x80, 0x01, 4, 5, 2, 2, 0, 0, 0, 0];
        assert_eq!(lengths(&five, 1, 5).unwrap(), 5);
        // Two values that differ by 0 and by 3 from their least delta: 32 values of 2 bits.
        let mut packed = vec![0x80, 0x01, 4, 3, 0, 0, 2, 0, 0, 0];
        packed.extend([0; 8]);
        let both = [packed.clone(), five.to_vec(), b"text".to_vec()].concat();
        assert_eq!(lengths(&both, 2, 5).unwrap(), 8);
        let error = lengths(&both, 2, 4).unwrap_err().to_string();
        assert_eq!(error, "a delta encoding claims more values than its page");
        let error = lengths(&packed, 2, 5).unwrap_err().to_string();
        assert_eq!(error, "a delta encoding is cut off");
    }

    #[test]
    fn a_stream_of_nothing_has_no_blocks() {
        let none = [0x80, 0x01, 4, 0, 0];
        let one = [0x80, 0x01, 4, 1, 8];
        assert_eq!(lengths(&[none, one].concat(), 2, 1).unwrap(), 1);
        for header in [[0x80, 0x01, 0, 2, 0], [0x00, 0x00, 4, 2, 0]] {
            assert!(lengths(&header, 1, 2).is_err());
        }
    }
}
