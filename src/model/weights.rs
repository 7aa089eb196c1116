//! Hugging Face weight files: `model.safetensors`, or shards with an index, in f32, f16 or bf16.
//!
//! Names and shapes are checked against the configuration before anything is allocated; values must be finite. Files are
//! written under a temporary name, synced and renamed.

mod random;
mod shards;
mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use thiserror::Error;

pub use self::random::RandomWeights;
use self::shards::shards;
pub use self::write::{NamedTensor, SaveDtype, write_safetensors};

/// Why weights can't be read or written.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// File.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Neither a weight file nor an index.
    #[error(
        "{folder}: no model.safetensors and no model.safetensors.index.json; PyTorch .bin files are not read: convert them with transformers' save_pretrained"
    )]
    NoWeights {
        /// The model folder.
        folder: PathBuf,
    },
    /// Truncated, hostile or otherwise not safetensors.
    #[error(
        "{path}: not a valid safetensors file ({reason}); the file has {bytes} bytes: was the download complete?"
    )]
    Format {
        /// File.
        path: PathBuf,
        /// What the parser said.
        reason: String,
        /// Size on disk.
        bytes: u64,
    },
    /// The shard index can't be used.
    #[error("{path}: {reason}")]
    Index {
        /// File.
        path: PathBuf,
        /// Expected and found.
        reason: String,
    },
    /// The configuration asks for a tensor that the files lack.
    #[error("{path}: tensor {name} {shape:?} is missing; the file has {found}")]
    Missing {
        /// File or folder.
        path: PathBuf,
        /// Expected name.
        name: String,
        /// Expected shape.
        shape: Vec<usize>,
        /// Some names that are there.
        found: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("{path}: tensor {name}: expected shape {expected:?} from config.json, found {found:?}")]
    Shape {
        /// File.
        path: PathBuf,
        /// Name.
        name: String,
        /// From the configuration.
        expected: Vec<usize>,
        /// In the file.
        found: Vec<usize>,
    },
    /// A number format this program doesn't read.
    #[error("{path}: tensor {name}: dtype {dtype} is not supported; supported: F32, F16, BF16")]
    Dtype {
        /// File.
        path: PathBuf,
        /// Name.
        name: String,
        /// In the file.
        dtype: String,
    },
    /// NaN or infinity in the weights.
    #[error(
        "{path}: tensor {name}: value {index} is {value}; the weights are damaged or their training diverged"
    )]
    NotFinite {
        /// File.
        path: PathBuf,
        /// Name.
        name: String,
        /// Position in the flattened tensor.
        index: usize,
        /// NaN or ±infinity.
        value: f32,
    },
    /// Adapters were asked for on projections that the model doesn't have.
    #[error(
        "lora_target_modules: none of [{targets}] is a projection of this model, which has {known} (or say all-linear)"
    )]
    NoTarget {
        /// What was asked for.
        targets: String,
        /// Projections of the first layer.
        known: String,
    },
    /// Adapters for layers that aren't there.
    #[error(
        "adapters are wanted in {wanted} layers, but the model has {layers}; lower lora_num_layers"
    )]
    TooFewLayers {
        /// At least so many.
        wanted: usize,
        /// So many there are.
        layers: usize,
    },
}

/// Where a model's tensors come from.
pub trait TensorSource {
    /// The values of a tensor, row-major; `shape` is what the configuration expects.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError>;
}

/// Bytes of one safetensors file.
enum Bytes {
    Mapped(Mmap),
    Static(&'static [u8]),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
        }
    }

    /// Tells the system that this part of a file will not be read again soon: its pages would count as this program's memory until
    /// the file is closed. That it could not be told matters to nobody.
    fn forget(&self, part: &[u8]) {
        if let Self::Mapped(map) = self {
            let start = part.as_ptr().addr() - map.as_ptr().addr();
            // SAFETY: the map is of a file and never written, so a page that is read again has the same bytes.
            #[allow(unsafe_code)]
            #[cfg(unix)]
            let _ = unsafe {
                map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, part.len())
            };
            #[cfg(not(unix))]
            let _ = start;
        }
    }
}

/// Safetensors files opened for reading.
pub struct WeightFiles {
    files: Vec<(PathBuf, Bytes)>,
    /// Tensor name → index of its file.
    names: BTreeMap<String, usize>,
}

impl WeightFiles {
    /// Opens `model.safetensors` of a folder, or all shards of its index.
    pub fn open(folder: &Path) -> Result<Self, WeightsError> {
        let single = folder.join("model.safetensors");
        if single.exists() {
            return Self::open_files(vec![single]);
        }
        let index = folder.join("model.safetensors.index.json");
        if !index.exists() {
            return Err(WeightsError::NoWeights {
                folder: folder.to_owned(),
            });
        }
        Self::open_files(
            shards(&index)?
                .into_iter()
                .map(|name| folder.join(name))
                .collect(),
        )
    }

    /// Opens one file by name.
    pub fn open_file(path: &Path) -> Result<Self, WeightsError> {
        Self::open_files(vec![path.to_owned()])
    }

    /// Reads a file that is part of the binary.
    pub fn from_static(name: &str, bytes: &'static [u8]) -> Result<Self, WeightsError> {
        Self::index(vec![(PathBuf::from(name), Bytes::Static(bytes))])
    }

    fn open_files(paths: Vec<PathBuf>) -> Result<Self, WeightsError> {
        let open = |path: PathBuf| {
            let map = map_file(&path).map_err(|source| WeightsError::Io {
                path: path.clone(),
                source,
            })?;
            Ok((path, Bytes::Mapped(map)))
        };
        Self::index(paths.into_iter().map(open).collect::<Result<_, _>>()?)
    }

    fn index(files: Vec<(PathBuf, Bytes)>) -> Result<Self, WeightsError> {
        let mut names = BTreeMap::new();
        for (index, (path, bytes)) in files.iter().enumerate() {
            for name in parse(path, bytes.as_slice())?.names() {
                names.insert(name.to_owned(), index);
            }
        }
        Ok(Self { files, names })
    }

    /// All tensor names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let (path, bytes) = self.files.get(*self.names.get(name)?)?;
        let tensors = parse(path, bytes.as_slice()).ok()?;
        tensors.tensor(name).ok().map(|view| view.shape().to_vec())
    }

    /// The name under which a file holds `name`: base models are saved without the `model.` or `transformer.` prefix.
    fn find(&self, name: &str) -> Option<(&str, usize)> {
        let bare = name.split_once('.').map_or(name, |(_, rest)| rest);
        [name, bare]
            .iter()
            .find_map(|n| self.names.get_key_value(*n))
            .map(|(n, &i)| (n.as_str(), i))
    }
}

impl TensorSource for WeightFiles {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let Some((stored, index)) = self.find(name) else {
            let path = self
                .files
                .first()
                .map(|(path, _)| path.clone())
                .unwrap_or_default();
            let mut found: Vec<&str> = self.names.keys().take(4).map(String::as_str).collect();
            found.push("…");
            let (name, shape) = (name.to_owned(), shape.to_vec());
            return Err(WeightsError::Missing {
                path,
                name,
                shape,
                found: found.join(", "),
            });
        };
        let (path, bytes) = &self.files[index];
        let tensors = parse(path, bytes.as_slice())?;
        let view = tensors
            .tensor(stored)
            .map_err(|e| format_error(path, bytes.as_slice(), &e))?;
        if view.shape() != shape {
            return Err(WeightsError::Shape {
                path: path.clone(),
                name: stored.to_owned(),
                expected: shape.to_vec(),
                found: view.shape().to_vec(),
            });
        }
        let values = decode(path, stored, &view)?;
        bytes.forget(view.data());
        Ok(values)
    }
}

fn map_file(path: &Path) -> std::io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the map is only read. If another process truncates the file meanwhile the program may be killed by a
    // signal, as any program that maps model weights; it can't read outside the map.
    #[allow(unsafe_code)]
    unsafe {
        Mmap::map(&file)
    }
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, WeightsError> {
    SafeTensors::deserialize(bytes).map_err(|e| format_error(path, bytes, &e))
}

fn format_error(path: &Path, bytes: &[u8], reason: &dyn std::fmt::Display) -> WeightsError {
    let (path, reason) = (path.to_owned(), reason.to_string());
    WeightsError::Format {
        path,
        reason,
        bytes: bytes.len() as u64,
    }
}

fn decode(path: &Path, name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, WeightsError> {
    let bytes = view.data();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
        Dtype::F16 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| f16::from_le_bytes(*b).to_f32())
            .collect(),
        Dtype::BF16 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| bf16::from_le_bytes(*b).to_f32())
            .collect(),
        other => {
            let (path, name) = (path.to_owned(), name.to_owned());
            return Err(WeightsError::Dtype {
                path,
                name,
                dtype: format!("{other:?}"),
            });
        }
    };
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(values),
        Some(index) => Err(WeightsError::NotFinite {
            path: path.to_owned(),
            name: name.to_owned(),
            index,
            value: values[index],
        }),
    }
}
