//! Writing safetensors files.

use std::io::Write;
use std::path::Path;

use burn::tensor::Tensor;
use half::{bf16, f16};
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::{WeightsError, format_error};
use crate::run::atomic::write_atomic_with;
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

    fn in_file(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    fn encode(self, values: &[f32], into: &mut Vec<u8>) {
        match self {
            Self::F32 => into.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::F16 => into.extend(values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes())),
            Self::Bf16 => into.extend(values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes())),
        }
    }
}

/// A tensor to write. Its numbers are made when they are written: a file's tensors need not be in memory together.
pub struct NamedTensor {
    /// Name in the file.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    values: Box<dyn Fn() -> Vec<f32>>,
}

impl NamedTensor {
    /// `values` makes the numbers, row-major.
    pub fn new(name: &str, shape: &[usize], values: impl Fn() -> Vec<f32> + 'static) -> Self {
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: Box::new(values),
        }
    }

    /// The numbers of `tensor`, which are fetched from its device when they are written.
    pub fn of<const D: usize>(name: &str, tensor: &Tensor<D>) -> Self {
        let (shape, tensor) = (tensor.dims(), tensor.clone());
        Self::new(name, &shape, move || {
            let data = tensor.clone().into_data().convert::<f32>();
            data.try_into_vec().unwrap_or_default()
        })
    }

    /// Its numbers, row-major.
    pub fn values(&self) -> Vec<f32> {
        (self.values)()
    }
}

/// Numbers that are encoded at a time.
const AT_ONCE: usize = 1 << 14;

/// Writes a safetensors file, tensor by tensor in the order of their names, under a temporary name; syncs and renames it.
pub fn write_safetensors(
    path: &Path,
    tensors: &[NamedTensor],
    dtype: SaveDtype,
) -> Result<(), WeightsError> {
    let mut tensors: Vec<&NamedTensor> = tensors.iter().collect();
    tensors.sort_by(|one, other| one.name.cmp(&other.name));
    let header = header(&tensors, dtype).map_err(|e| format_error(path, &[], &e))?;
    let write = |file: &mut dyn Write| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        let mut bytes = Vec::with_capacity(AT_ONCE * dtype.bytes());
        for tensor in &tensors {
            for values in tensor.values().chunks(AT_ONCE) {
                bytes.clear();
                dtype.encode(values, &mut bytes);
                file.write_all(&bytes)?;
            }
        }
        Ok(())
    };
    write_atomic_with(path, write).map_err(|error| WeightsError::Io {
        path: path.to_owned(),
        source: error.source,
    })
}

/// What comes before the numbers, filled up with spaces to a multiple of 8 bytes.
fn header(tensors: &[&NamedTensor], dtype: SaveDtype) -> Result<Vec<u8>, SafeTensorError> {
    let mut start = 0;
    let place = |tensor: &&NamedTensor| {
        let end = start + tensor.shape.iter().product::<usize>() * dtype.bytes();
        let info = TensorInfo {
            dtype: dtype.in_file(),
            shape: tensor.shape.clone(),
            data_offsets: (start, end),
        };
        start = end;
        (tensor.name.clone(), info)
    };
    let places = tensors.iter().map(place).collect();
    let format = [("format".to_owned(), "pt".to_owned())].into();
    let mut header = serde_json::to_vec(&Metadata::new(Some(format), places)?)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;
    use safetensors::tensor::TensorView;

    use super::*;

    #[test]
    fn the_file_is_what_the_safetensors_crate_makes_of_the_same_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let tensors = [("b.weight", [2, 3], 0.5), ("a.weight", [1, 2], -1.5)];
        let ours = tensors.map(|(name, shape, value)| {
            NamedTensor::new(name, &shape, move || vec![value; shape[0] * shape[1]])
        });
        for dtype in [SaveDtype::F32, SaveDtype::F16, SaveDtype::Bf16] {
            write_safetensors(&path, &ours, dtype).unwrap();
            let found = std::fs::read(&path).unwrap();
            let encoded = tensors.map(|(name, shape, value)| {
                let mut bytes = Vec::new();
                dtype.encode(&vec![value; shape[0] * shape[1]], &mut bytes);
                (name, shape, bytes)
            });
            let views = encoded.iter().map(|(name, shape, bytes)| {
                let view = TensorView::new(dtype.in_file(), shape.to_vec(), bytes);
                (*name, view.unwrap())
            });
            let format = Some([("format".to_owned(), "pt".to_owned())].into());
            assert_eq!(found, safetensors::serialize(views, format).unwrap());
            let read = SafeTensors::deserialize(&found).unwrap();
            assert_eq!(read.tensor("b.weight").unwrap().data(), encoded[0].2);
        }
    }
}
