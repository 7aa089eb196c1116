//! What any training job writes, and how it is configured, watched, stopped and resumed.
//!
//! ```text
//! runs/<kind>-<nnn>/
//!   config.toml     every setting as resolved                 (settings, directory)
//!   run.json        where the result came from                (provenance)
//!   metrics.jsonl   one row per step, every field documented  (metrics, metric_table)
//!   samples.jsonl   what the policy wrote
//!   checkpoints/    step-000010/ …, complete or absent        (checkpoint)
//!   model/          the result
//! ```

pub mod atomic;
pub mod checkpoint;
pub mod control;
pub mod directory;
pub mod exact;
pub mod hash;
pub mod memory;
pub mod metric_table;
pub mod metrics;
pub mod nonfinite;
pub mod optimizer;
pub mod provenance;
pub mod settings;

pub use atomic::write_atomic;
pub use checkpoint::{Checkpoint, CheckpointError, Checkpoints};
pub use control::{Observer, Silent, StopFlag};
pub use directory::{DirectoryError, RunDirectory};
pub use metrics::{MetricsError, MetricsLog};
pub use provenance::{Input, Provenance, Status};
