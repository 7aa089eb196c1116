//! Where tensors live. The only file that names burn's backends.
//!
//! `auto` takes a real GPU if there is one and the CPU otherwise; a software Vulkan adapter is used only when `wgpu` is asked for by
//! name. No adapter is an error, never a panic.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::str::FromStr;

use burn::tensor::Device;
use thiserror::Error;

use crate::cores::cores;

/// The CPU's backend, for operations of our own.
pub type Cpu = burn::backend::Flex;
/// The same with gradients.
pub type TrainedCpu = burn::backend::Autodiff<Cpu>;

/// What `--device` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A real GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// burn's Flex backend.
    Cpu,
    /// The n-th GPU through WebGPU.
    Wgpu(usize),
    /// The n-th NVIDIA GPU through CUDA.
    Cuda(usize),
}

/// Why a device can't be used.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// Not one of the forms.
    #[error("--device {0:?}: expected auto, cpu, wgpu, wgpu:N, cuda or cuda:N")]
    Unknown(String),
    /// This binary was built without it.
    #[error(
        "--device {choice}: this binary was built without it; rebuild with `cargo build --release --features {feature}`, or use --device cpu"
    )]
    NotBuilt {
        /// As asked.
        choice: DeviceChoice,
        /// Cargo feature.
        feature: &'static str,
    },
    /// No such adapter.
    #[error("--device {choice}: no such adapter ({reason}); use --device cpu or --device auto")]
    NoAdapter {
        /// As asked.
        choice: DeviceChoice,
        /// What the driver said.
        reason: String,
    },
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown(text.to_owned());
        let (kind, index) = match text.split_once(':') {
            Some((kind, index)) => (kind, Some(index.parse::<usize>().map_err(|_| unknown())?)),
            None => (text, None),
        };
        match (kind, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("wgpu", n) => Ok(Self::Wgpu(n.unwrap_or(0))),
            ("cuda", n) => Ok(Self::Cuda(n.unwrap_or(0))),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu(n) => write!(f, "wgpu:{n}"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

/// A device that works, and what to call it in the log.
#[derive(Debug, Clone)]
pub struct ChosenDevice {
    /// For tensors.
    pub device: Device,
    /// For people: `cpu (2 threads)`, `wgpu:0 (NVIDIA H200)`.
    pub name: String,
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// If it isn't there or wasn't built in; `auto` and `cpu` never fail.
    pub fn open(self) -> Result<ChosenDevice, DeviceError> {
        match self {
            Self::Cpu => Ok(cpu()),
            Self::Wgpu(n) => wgpu(n, true),
            Self::Cuda(n) => cuda(n),
            Self::Auto => {
                let wgpu = || possible_gpu().then(|| wgpu(0, false).ok()).flatten();
                Ok(cuda(0).ok().or_else(wgpu).unwrap_or_else(cpu))
            }
        }
    }
}

/// Whether it is worth asking a graphics driver. Where Linux has no GPU, the answer takes Mesa a while and comes with errors on
/// standard error, about a desktop that a server does not have.
fn possible_gpu() -> bool {
    let names = |folder: &str| -> Vec<OsString> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).collect()
    };
    !cfg!(target_os = "linux") || shows_gpu(&names("/dev"), &names("/dev/dri"))
}

/// Whether a Linux machine with these files in `/dev` and in `/dev/dri` can have a GPU: every driver makes a file for computing,
/// those of the kernel's own framework `dri/renderD…`, and some outside it one in `/dev` (NVIDIA, WSL, Adreno, Mali).
fn shows_gpu(dev: &[OsString], dri: &[OsString]) -> bool {
    let starts = |names: &[OsString], prefix: &str| {
        let mut names = names.iter().filter_map(|name| name.to_str());
        names.any(|name| name.starts_with(prefix))
    };
    let outside = ["nvidia", "dxg", "kgsl-3d", "mali"];
    starts(dri, "renderD") || outside.iter().any(|prefix| starts(dev, prefix))
}

/// The CPU, always there.
pub fn cpu() -> ChosenDevice {
    ChosenDevice {
        device: Device::flex(),
        name: format!("cpu ({} threads)", cores()),
    }
}

/// Does the CPU itself compute on this device?
pub fn is_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

/// Turns burn's fusion of operations off: no search for operations to fuse is begun. Fused, burn 0.22.1 computes wrong numbers
/// without an error: on Mesa's software Vulkan 18 of 60 tokens drawn by `generate::device_sampler` were others than on the CPU,
/// with `max_blocks = 1` still 9 of 80, without fusion none (burn's open issues 5257 and 4366 tell of the like).
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn without_fusion() {
    use burn_std::config::{BurnConfig, RuntimeConfig};
    if let Ok(config) = toml::from_str(include_str!("../burn.toml")) {
        BurnConfig::try_set(config);
    }
}

/// Keeps in the user's cache directory which kernels were the fastest, and CUDA's compiled ones. Where it can't be written to, they are found out
/// anew in every process.
#[cfg(all(feature = "kernel-cache", any(feature = "wgpu", feature = "cuda")))]
fn with_kernel_cache() {
    use burn::cubecl::config::cache::CacheConfig;
    use burn::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
    let mut config = CubeClRuntimeConfig::default();
    config.environment.path = CacheConfig::Global;
    config.compilation.cache = true;
    CubeClRuntimeConfig::try_set(config.override_from_env());
}

/// Settings of burn's, which have an effect before the first use of a GPU only.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn configure() {
    without_fusion();
    #[cfg(feature = "kernel-cache")]
    with_kernel_cache();
}

#[cfg(feature = "wgpu")]
fn wgpu(index: usize, software: bool) -> Result<ChosenDevice, DeviceError> {
    use burn::tensor::DeviceKind;
    configure();
    let mut kinds = vec![
        (DeviceKind::DiscreteGpu(index), "discrete GPU"),
        (DeviceKind::IntegratedGpu(index), "integrated GPU"),
    ];
    if software {
        kinds.push((DeviceKind::VirtualGpu(index), "virtual GPU"));
    }
    if software && index == 0 {
        kinds.push((DeviceKind::Cpu, "software adapter"));
    }
    let mut reason = String::from("none found");
    for (kind, label) in kinds {
        let options = Device::wgpu_options().device_kind(kind);
        // Besides Vulkan, Linux has only OpenGL: too little for training, and slow to ask.
        #[cfg(target_os = "linux")]
        let options = options.graphics_api(burn::tensor::wgpu::WgpuBackend::Vulkan);
        match options.init() {
            Ok(device) => {
                let part = device
                    .identity()
                    .map_or_else(|| label.to_owned(), |id| format!("{label}, {}", id.name));
                return Ok(ChosenDevice {
                    device,
                    name: format!("wgpu:{index} ({part})"),
                });
            }
            Err(error) => reason = error.to_string(),
        }
    }
    Err(DeviceError::NoAdapter {
        choice: DeviceChoice::Wgpu(index),
        reason,
    })
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(index: usize, _software: bool) -> Result<ChosenDevice, DeviceError> {
    Err(DeviceError::NotBuilt {
        choice: DeviceChoice::Wgpu(index),
        feature: "wgpu",
    })
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<ChosenDevice, DeviceError> {
    configure();
    // burn opens CUDA lazily and panics without a driver; the first use happens here, where that can become an error.
    let open = || {
        let device = Device::cuda(index);
        let _ = burn::tensor::Tensor::<1>::zeros([1], &device).into_data();
        device
    };
    match std::panic::catch_unwind(open) {
        Ok(device) => Ok(ChosenDevice {
            device,
            name: format!("cuda:{index}"),
        }),
        Err(_) => {
            let reason = "the CUDA driver could not be opened".to_owned();
            Err(DeviceError::NoAdapter {
                choice: DeviceChoice::Cuda(index),
                reason,
            })
        }
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(index: usize) -> Result<ChosenDevice, DeviceError> {
    Err(DeviceError::NotBuilt {
        choice: DeviceChoice::Cuda(index),
        feature: "cuda",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_shows_in_the_device_files() {
        let shows = |dev: &[&str], dri: &[&str]| {
            let names = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
            shows_gpu(&names(dev), &names(dri))
        };
        assert!(!shows(&["null", "tty", "nvram", "nvme0"], &[]));
        assert!(
            !shows(&["null", "dri"], &["card0", "by-path"]),
            "a display without a GPU"
        );
        assert!(shows(&["null", "dri"], &["card0", "renderD128"]));
        for file in ["nvidia0", "dxg", "kgsl-3d0", "mali0"] {
            assert!(shows(&["null", file], &[]), "{file}");
        }
    }

    #[test]
    fn every_form_is_read_and_written_back() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("wgpu:1", DeviceChoice::Wgpu(1)),
            ("cuda:0", DeviceChoice::Cuda(0)),
        ] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap(), choice);
            assert_eq!(choice.to_string(), text);
        }
        for bad in ["gpu", "cpu:1", "wgpu:", "cuda:x", ""] {
            let message = bad.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(message.contains("expected auto, cpu"), "{message}");
        }
    }
}
