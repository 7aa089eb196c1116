//! The CPU's inner loops: matrix products over packed weights, norms, attention, activations; slices in, slices out.
//!
//! Every result is one chain of fused additions in a fixed order, so a row's numbers depend neither on the rows beside it
//! nor on how many threads share the work. Rows are row-major; a weight is laid out in [`Panels`].

mod attention;
mod causal;
mod exp;
mod gradients;
mod isa;
mod matmul;
mod panels;
mod pointwise;
mod shared;
mod team;
mod tile;

pub use attention::{HeadCache, attend, lanes_of_head};
pub use causal::{Attended, Causal, CausalGradients};
pub use exp::exponentials;
pub use gradients::{gated, gated_gradient, rms_norm_gradient};
pub use matmul::{Mode, matmul, matmul_part, matmul_transposed};
pub use panels::{Full, Panels, Precision, WIDTH};
pub use pointwise::{gelu_tanh, layer_norm, rms_norm, rotate, swiglu};
pub use shared::Shared;
pub use team::{Member, Team};
