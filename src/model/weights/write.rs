//! Writing safetensors files.

use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};

use super::{WeightsError, format_error};
use crate::run::atomic::write_atomic;
use crate::run::settings::choices;

choices! {
    /// Number format of written weights.
    pub enum SaveDtype {
        /// Exact.
        F32 = "f32",
        /// Half the size, 11 bits of precision.
        F16 = "f16",
        /// Half the size, 8 bits of precision, the range of f32.
        Bf16 = "bf16",
    }
}

impl SaveDtype {
    /// The name in `config.json`.
    pub fn config_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    fn encode(self, values: &[f32]) -> (Dtype, Vec<u8>) {
        match self {
            Self::F32 => (
                Dtype::F32,
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ),
            Self::F16 => (
                Dtype::F16,
                values
                    .iter()
                    .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                    .collect(),
            ),
            Self::Bf16 => (
                Dtype::BF16,
                values
                    .iter()
                    .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
                    .collect(),
            ),
        }
    }
}

/// A tensor to write.
pub struct NamedTensor {
    /// Name in the file.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// Writes a safetensors file under a temporary name, syncs and renames it.
pub fn write_safetensors(
    path: &Path,
    tensors: &[NamedTensor],
    dtype: SaveDtype,
) -> Result<(), WeightsError> {
    let io = |source: std::io::Error| WeightsError::Io {
        path: path.to_owned(),
        source,
    };
    let encoded: Vec<(Dtype, Vec<u8>)> = tensors.iter().map(|t| dtype.encode(&t.values)).collect();
    let views = tensors
        .iter()
        .zip(&encoded)
        .map(|(t, (dtype, bytes))| {
            Ok((
                t.name.as_str(),
                TensorView::new(*dtype, t.shape.clone(), bytes)?,
            ))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| format_error(path, &[], &e))?;
    let metadata = Some([("format".to_owned(), "pt".to_owned())].into());
    let bytes = safetensors::serialize(views, metadata).map_err(|e| format_error(path, &[], &e))?;
    write_atomic(path, &bytes).map_err(|e| io(e.source))
}
