//! Operations of the network that the CPU does in one go, forward and backward, on its own kernels.
//!
//! Each is the plain formula of its module (`linear`, `norm`, `attention`, `transformer`) in fewer passes over memory; the
//! plain operations remain the path of GPUs and the reference that these are tested against. An operation gives burn's
//! autodiff a `Rule`: its gradients, written by hand. Kernels run on the calling thread: the rows of a batch are shared
//! out among threads by [`workers`](super::workers).

mod attention;
mod linear;
mod pointwise;
mod rows;
#[cfg(test)]
mod tests;

use std::array;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Deref;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::tensor::{Tensor, TensorData};

use crate::device::{Cpu, TrainedCpu};

pub use attention::{Heads, Sequences, attention};
pub use linear::{across, dense_linear, linear, pack, transposed, unpack};
pub use pointwise::{gated, rms_norm};
pub use rows::{gather, spread};

/// Numbers on the host, row-major; copies share them.
#[derive(Debug, Clone)]
pub struct Values(HostTensor);

type HostTensor = <Cpu as burn::backend::BackendTypes>::FloatTensorPrimitive;

impl Values {
    fn new(values: Vec<f32>, shape: &[usize]) -> Self {
        Self(HostTensor::from_data(TensorData::new(
            values,
            shape.to_vec(),
        )))
    }

    fn of(tensor: HostTensor) -> Self {
        Self(if tensor.is_contiguous() {
            tensor
        } else {
            tensor.to_contiguous()
        })
    }

    fn as_slice(&self) -> &[f32] {
        let layout = self.0.layout();
        &self.0.storage::<f32>()[layout.start_offset()..][..layout.num_elements()]
    }
}

/// Where they lie, unless they have to be put in order first. The tensor is on the CPU, without autodiff.
impl<const D: usize> From<&Tensor<D>> for Values {
    fn from(tensor: &Tensor<D>) -> Self {
        Self::of(on_cpu(tensor.clone().try_into_primitive::<Cpu>()))
    }
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.as_slice()
    }
}

/// The gradients of an operation of `N` inputs.
pub(super) trait Rule<const N: usize>: Debug + Clone + Send + 'static {
    /// From the gradient of the output those of the inputs; `wanted` says which of them anybody reads.
    fn gradients(&self, output: Values, wanted: [bool; N]) -> [Option<Values>; N];
}

#[derive(Debug)]
struct Step<R>(PhantomData<R>);

impl<R: Rule<N>, const N: usize> Backward<Cpu, N> for Step<R> {
    type State = R;

    fn backward(self, ops: Ops<R, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let output = Values::of(grads.consume::<Cpu>(&ops.node));
        let wanted = array::from_fn(|i| ops.parents[i].is_some());
        let gradients = ops.state.gradients(output, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Cpu>(parent.id, gradient.0);
            }
        }
    }
}

/// An operation's input, of any rank.
pub(super) struct Input {
    values: Values,
    node: Option<NodeGuard>,
}

impl<const D: usize> From<Tensor<D>> for Input {
    fn from(tensor: Tensor<D>) -> Self {
        if tensor.is_autodiff() {
            let (values, node) = on_cpu(tensor.try_into_primitive::<TrainedCpu>()).into_parts();
            Self {
                values: Values::of(values),
                node: Some(node),
            }
        } else {
            Self {
                values: Values::of(on_cpu(tensor.try_into_primitive::<Cpu>())),
                node: None,
            }
        }
    }
}

fn on_cpu<T, E: Debug>(primitive: Result<T, E>) -> T {
    primitive.unwrap_or_else(|error| unreachable!("only tensors of the CPU come here: {error:?}"))
}

/// Does an operation: `forward` gets the inputs' values and returns the output's, and the rule for its gradients.
///
/// # Panics
/// If some inputs carry autodiff and others don't.
pub(super) fn apply<const D: usize, const N: usize, R: Rule<N>>(
    inputs: [Input; N],
    forward: impl FnOnce([Values; N]) -> (Values, R),
) -> Tensor<D> {
    let mut nodes = Vec::with_capacity(N);
    let values = inputs.map(|input| {
        nodes.extend(input.node);
        input.values
    });
    let (output, rule) = forward(values);
    if nodes.is_empty() {
        return Tensor::from_primitive::<Cpu>(output.0);
    }
    let Ok(nodes) = <[NodeGuard; N]>::try_from(nodes) else {
        unreachable!("the inputs are tracked together or not at all")
    };
    let prepared = Step(PhantomData)
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful();
    Tensor::from_primitive::<TrainedCpu>(match prepared {
        OpsKind::Tracked(prepared) => prepared.finish(rule, output.0),
        OpsKind::UnTracked(prepared) => prepared.finish(output.0),
    })
}
