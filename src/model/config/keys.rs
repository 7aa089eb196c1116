//! Reading single keys of a `config.json`.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Activation, ConfigError};

/// Typed look-ups whose errors name file and key.
pub(super) struct Keys<'a> {
    pub raw: &'a Map<String, Value>,
    pub path: &'a Path,
}

impl Keys<'_> {
    pub fn error(&self, key: &str, reason: String) -> ConfigError {
        ConfigError::Key {
            path: self.path.to_owned(),
            key: key.to_owned(),
            reason,
        }
    }

    pub fn value(&self, key: &str) -> Option<&Value> {
        self.raw.get(key).filter(|v| !v.is_null())
    }

    pub fn optional_size(&self, key: &str) -> Result<Option<usize>, ConfigError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(n) => Ok(Some(n as usize)),
            None => Err(self.error(key, format!("expected a whole number, found {value}"))),
        }
    }

    pub fn size(&self, key: &str) -> Result<usize, ConfigError> {
        self.optional_size(key)?
            .ok_or_else(|| self.error(key, "missing; expected a whole number".to_owned()))
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>, ConfigError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(x) if x > 0.0 && x.is_finite() => Ok(Some(x)),
            _ => Err(self.error(key, format!("expected a positive number, found {value}"))),
        }
    }

    pub fn required(&self, key: &str) -> Result<f64, ConfigError> {
        self.number(key)?
            .ok_or_else(|| self.error(key, "missing; expected a number".to_owned()))
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        let Some(value) = self.value(key) else {
            return Ok(default);
        };
        value
            .as_bool()
            .ok_or_else(|| self.error(key, format!("expected true or false, found {value}")))
    }

    pub fn string(&self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(self.error(key, format!("expected a string, found {value}"))),
        }
    }

    pub fn activation(&self, key: &str, default: &str) -> Result<Activation, ConfigError> {
        let name = self.string(key)?.unwrap_or_else(|| default.to_owned());
        Ok(match name.as_str() {
            "silu" | "swish" => Activation::Silu,
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
            "relu" => Activation::Relu,
            other => {
                let reason = format!(
                    "activation {other:?} is not supported; supported: silu, gelu, gelu_new, relu"
                );
                return Err(self.error(key, reason));
            }
        })
    }
}
