//! A number in JSON that comes back to the bit: `#[serde(with = "exact")]`.
//!
//! Without its feature `float_roundtrip`, serde_json may read a number one unit in the last place too low or high, and it has no word for
//! NaN. A resumed job that compares with such a number, or multiplies by it, would not be the uninterrupted one. So the number is
//! written as a string, in the shortest form that `f64::from_str` reads back exactly.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// As a string.
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// From that string.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let number = text.parse();
    number.map_err(|_| D::Error::custom(format!("expected a number in quotes, found {text:?}")))
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Row {
        #[serde(with = "super")]
        x: f64,
    }

    fn read(json: &str) -> Result<f64, serde_json::Error> {
        serde_json::from_str(json).map(|row: Row| row.x)
    }

    #[test]
    fn every_number_comes_back_to_the_bit() {
        let mut bits = 0x3fb9_9999_9999_999a_u64;
        for _ in 0..1000 {
            let x = f64::from_bits(bits);
            let json = serde_json::to_string(&Row { x }).unwrap();
            assert_eq!(read(&json).unwrap().to_bits(), x.to_bits(), "{json}");
            // The low bits of a multiplicative sequence; the exponent stays that of 0.1.
            bits = bits & !0xf_ffff_ffff_ffff | bits.wrapping_mul(6_364_136_223_846_793_005) >> 12;
        }
        assert!(read(r#"{"x":"NaN"}"#).unwrap().is_nan());
        assert_eq!(read(r#"{"x":"-inf"}"#).unwrap(), f64::NEG_INFINITY);
    }

    #[test]
    fn anything_else_is_an_error() {
        let error = read(r#"{"x":"1,5"}"#).unwrap_err().to_string();
        assert!(
            error.starts_with(r#"expected a number in quotes, found "1,5""#),
            "{error}"
        );
    }
}
