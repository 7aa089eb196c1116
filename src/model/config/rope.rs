//! Rotary settings of a `config.json`, in the spellings of transformers 4 and 5.

use serde_json::Value;

use super::ConfigError;
use super::keys::Keys;

/// How rotary frequencies are stretched beyond the trained context.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// No change.
    None,
    /// All frequencies divided by `factor`.
    Linear {
        /// Divisor of every frequency.
        factor: f64,
    },
    /// Llama 3.1: long wavelengths divided by `factor`, short ones kept, a smooth ramp between.
    Llama3 {
        /// Divisor of the long wavelengths.
        factor: f64,
        /// Wavelengths above `original / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context length of the original training, in tokens.
        original_max_position_embeddings: f64,
    },
}

/// θ and the stretching, from `rope_parameters`, or from `rope_theta` and `rope_scaling`.
pub(super) fn rope(keys: &Keys<'_>) -> Result<(f64, RopeScaling), ConfigError> {
    let section = ["rope_parameters", "rope_scaling"]
        .into_iter()
        .find(|key| keys.raw.get(*key).is_some_and(|v| !v.is_null()));
    let Some(name) = section else {
        return Ok((
            keys.number("rope_theta")?.unwrap_or(10_000.0),
            RopeScaling::None,
        ));
    };
    let Some(Value::Object(map)) = keys.raw.get(name) else {
        return Err(keys.error(name, "expected an object".to_owned()));
    };
    let inner = Keys {
        raw: map,
        path: keys.path,
    };
    let theta = match inner.number("rope_theta")? {
        Some(theta) => theta,
        None => keys.number("rope_theta")?.unwrap_or(10_000.0),
    };
    let kind = match inner.string("rope_type")? {
        Some(kind) => Some(kind),
        None => inner.string("type")?,
    };
    let scaling = match kind.as_deref().unwrap_or("default") {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear {
            factor: inner.required("factor")?,
        },
        "llama3" => RopeScaling::Llama3 {
            factor: inner.required("factor")?,
            low_freq_factor: inner.required("low_freq_factor")?,
            high_freq_factor: inner.required("high_freq_factor")?,
            original_max_position_embeddings: inner.required("original_max_position_embeddings")?,
        },
        other => {
            let reason =
                format!("rope type {other:?} is not supported; supported: default, linear, llama3");
            return Err(keys.error(name, reason));
        }
    };
    Ok((theta, scaling))
}
