//! Hugging Face weight files: `model.safetensors`, or shards with an index, in f32, f16 or bf16.
//!
//! Names and shapes are checked against the configuration before anything is allocated; values must be finite. Files are
//! written under a temporary name, synced and renamed.

mod random;
mod shards;
mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use thiserror::Error;

use crate::kernels::{Panels, Precision};

use super::linear::Layout;

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

/// Where a model's tensors come from. Several threads may ask at the same time.
pub trait TensorSource: Sync {
    /// The values of a tensor, row-major; `shape` is what the configuration expects.
    fn take(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError>;

    /// The same, laid out for the CPU's kernels.
    fn take_packed(
        &self,
        name: &str,
        shape: [usize; 2],
        layout: Layout,
    ) -> Result<Panels, WeightsError> {
        let values = self.take(name, &shape)?;
        let (widths, stride) = layout.of(shape);
        let precision = Precision::lossless(&values);
        Ok(Panels::pack(&values, widths, stride, precision))
    }
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
    tensors: BTreeMap<String, Place>,
}

/// Where a tensor lies.
struct Place {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    /// In the file.
    bytes: Range<usize>,
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
        let mut tensors = BTreeMap::new();
        for (file, (path, bytes)) in files.iter().enumerate() {
            let bytes = bytes.as_slice();
            let parsed =
                SafeTensors::deserialize(bytes).map_err(|e| format_error(path, bytes, &e))?;
            for (name, view) in parsed.iter() {
                let start = view.data().as_ptr().addr() - bytes.as_ptr().addr();
                let place = Place {
                    file,
                    dtype: view.dtype(),
                    shape: view.shape().to_vec(),
                    bytes: start..start + view.data().len(),
                };
                tensors.insert(name.to_owned(), place);
            }
        }
        Ok(Self { files, tensors })
    }

    /// All tensor names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|place| place.shape.clone())
    }

    /// The tensor that a file holds under `name`: base models are saved without the `model.` or `transformer.` prefix.
    fn find(&self, name: &str, shape: &[usize]) -> Result<Stored<'_>, WeightsError> {
        let bare = name.split_once('.').map_or(name, |(_, rest)| rest);
        let found = [name, bare]
            .iter()
            .find_map(|name| self.tensors.get_key_value(*name));
        let Some((name, place)) = found else {
            return Err(self.missing(name, shape));
        };
        let (path, file) = &self.files[place.file];
        if place.shape != shape {
            return Err(WeightsError::Shape {
                path: path.clone(),
                name: name.clone(),
                expected: shape.to_vec(),
                found: place.shape.clone(),
            });
        }
        Ok(Stored {
            path,
            name,
            dtype: place.dtype,
            bytes: &file.as_slice()[place.bytes.clone()],
            file,
        })
    }

    fn missing(&self, name: &str, shape: &[usize]) -> WeightsError {
        let path = self.files.first().map(|(path, _)| path.clone());
        let mut found: Vec<&str> = self.names().take(4).collect();
        found.push("…");
        WeightsError::Missing {
            path: path.unwrap_or_default(),
            name: name.to_owned(),
            shape: shape.to_vec(),
            found: found.join(", "),
        }
    }
}

impl TensorSource for WeightFiles {
    fn take(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let stored = self.find(name, shape)?;
        let values = match stored.dtype {
            Dtype::F32 => stored.values(f32::from_le_bytes),
            Dtype::F16 => stored.values(half_number),
            Dtype::BF16 => stored.values(brief_number),
            other => Err(stored.unknown(other)),
        }?;
        stored.file.forget(stored.bytes);
        Ok(values)
    }

    fn take_packed(
        &self,
        name: &str,
        shape: [usize; 2],
        layout: Layout,
    ) -> Result<Panels, WeightsError> {
        let stored = self.find(name, &shape)?;
        let layout = layout.of(shape);
        let panels = match stored.dtype {
            Dtype::F32 => stored.packed(f32::from_le_bytes, layout),
            Dtype::F16 => stored.packed(half_number, layout),
            Dtype::BF16 => stored.packed(brief_number, layout),
            other => Err(stored.unknown(other)),
        }?;
        stored.file.forget(stored.bytes);
        Ok(panels)
    }
}

fn half_number(bytes: [u8; 2]) -> f32 {
    f16::from_le_bytes(bytes).to_f32()
}

fn brief_number(bytes: [u8; 2]) -> f32 {
    bf16::from_le_bytes(bytes).to_f32()
}

/// A tensor in its file.
struct Stored<'a> {
    path: &'a Path,
    name: &'a str,
    dtype: Dtype,
    bytes: &'a [u8],
    file: &'a Bytes,
}

impl Stored<'_> {
    fn values<const N: usize>(
        &self,
        number: impl Fn([u8; N]) -> f32,
    ) -> Result<Vec<f32>, WeightsError> {
        self.check(&number)?;
        let elements = self.bytes.as_chunks::<N>().0;
        Ok(elements.iter().map(|element| number(*element)).collect())
    }

    /// Straight from the file's bytes: the dense matrix never exists beside its packed form.
    fn packed<const N: usize>(
        &self,
        number: impl Fn([u8; N]) -> f32 + Sync,
        (widths, stride): ([usize; 2], (usize, usize)),
    ) -> Result<Panels, WeightsError> {
        self.check(&number)?;
        let elements = self.bytes.as_chunks::<N>().0;
        let number = |element: &[u8; N]| number(*element);
        let precision = Precision::lossless(elements.iter().map(number));
        Ok(Panels::pack_from(
            elements, number, widths, stride, precision,
        ))
    }

    /// Every value must be finite.
    fn check<const N: usize>(&self, number: impl Fn([u8; N]) -> f32) -> Result<(), WeightsError> {
        const AT_ONCE: usize = 4096; // without an exit in the innermost loop, so that it takes several at a time
        let elements = self.bytes.as_chunks::<N>().0;
        let damaged = |part: &[[u8; N]]| {
            let strange = |bad, element: &[u8; N]| bad | !number(*element).is_finite();
            part.iter().fold(false, strange)
        };
        let Some(part) = elements.chunks(AT_ONCE).position(damaged) else {
            return Ok(());
        };
        let mut rest = elements.iter().enumerate().skip(part * AT_ONCE);
        let bad = rest.find(|(_, element)| !number(**element).is_finite());
        let (index, value) = bad.map_or((0, f32::NAN), |(index, e)| (index, number(*e)));
        Err(WeightsError::NotFinite {
            path: self.path.to_owned(),
            name: self.name.to_owned(),
            index,
            value,
        })
    }

    fn unknown(&self, dtype: Dtype) -> WeightsError {
        WeightsError::Dtype {
            path: self.path.to_owned(),
            name: self.name.to_owned(),
            dtype: format!("{dtype:?}"),
        }
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

fn format_error(path: &Path, bytes: &[u8], reason: &dyn std::fmt::Display) -> WeightsError {
    let (path, reason) = (path.to_owned(), reason.to_string());
    WeightsError::Format {
        path,
        reason,
        bytes: bytes.len() as u64,
    }
}
