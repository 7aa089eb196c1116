//! Walking over a model's tensors by name.
//!
//! Weights are plain tensors; gradient tracking is a view of them, made for one backward pass and dropped before the
//! optimiser step. So inference pays nothing for training, copies share storage, and a model that several
//! others build on (policy, reference, critic, reward model over one trunk) is in memory once.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Gradients, Tensor};

use crate::kernels::Panels;

use super::linear::Layout;

/// Sees every tensor of a model once, in a fixed order, with its name and whether it is trained.
pub trait Visitor {
    /// One tensor. `name` is its Hugging Face name; the visitor may replace it.
    fn visit<const D: usize>(&mut self, name: &str, trained: bool, tensor: &mut Tensor<D>);

    /// A weight that exists only packed; it is not trained.
    fn visit_packed(&mut self, name: &str, panels: &Arc<Panels>, layout: Layout) {
        let _ = (name, panels, layout);
    }
}

/// Anything that has named tensors.
pub trait Parameters: Clone {
    /// Shows each tensor to `visitor`.
    fn visit(&mut self, visitor: &mut impl Visitor);

    /// A copy whose trained tensors are leaves of a new gradient graph; the rest are constants in it.
    #[must_use]
    fn tracked(&self) -> Self {
        let mut copy = self.clone();
        copy.visit(&mut Track);
        copy
    }

    /// The gradients of the trained tensors of a [`tracked`](Parameters::tracked) copy, each flattened, by name.
    /// A tensor that the loss doesn't depend on has none.
    fn gradients(&mut self, mut from: Gradients) -> GradientMap {
        let mut collect = Collect {
            from: &mut from,
            into: GradientMap::default(),
        };
        self.visit(&mut collect);
        collect.into
    }

    /// How many numbers are trained, and how many there are.
    fn count(&mut self) -> (usize, usize) {
        let mut count = Count::default();
        self.visit(&mut count);
        (count.trained, count.total)
    }
}

/// Gradients by parameter name, each flattened to one dimension, without a graph.
#[derive(Debug, Default, Clone)]
pub struct GradientMap(pub BTreeMap<String, Tensor<1>>);

impl GradientMap {
    /// Adds another map's gradients to these: gradient accumulation over microbatches.
    pub fn accumulate(&mut self, other: GradientMap) {
        for (name, gradient) in other.0 {
            let sum = match self.0.remove(&name) {
                Some(mine) => mine + gradient,
                None => gradient,
            };
            self.0.insert(name, sum);
        }
    }

    /// Adds `gradient` to what is there under `name`.
    pub fn add<const D: usize>(&mut self, name: &str, gradient: Tensor<D>) {
        let flat = flatten(gradient);
        self.accumulate(GradientMap(BTreeMap::from([(name.to_owned(), flat)])));
    }
}

/// Puts a prefix before every name: two networks that are trained by one optimiser have the same names otherwise.
pub struct Prefixed<'a, V> {
    /// Such as `policy.`.
    pub prefix: &'static str,
    /// Sees the longer names.
    pub inner: &'a mut V,
}

impl<V: Visitor> Visitor for Prefixed<'_, V> {
    fn visit<const D: usize>(&mut self, name: &str, trained: bool, tensor: &mut Tensor<D>) {
        self.inner
            .visit(&format!("{}{name}", self.prefix), trained, tensor);
    }

    fn visit_packed(&mut self, name: &str, panels: &Arc<Panels>, layout: Layout) {
        self.inner
            .visit_packed(&format!("{}{name}", self.prefix), panels, layout);
    }
}

fn flatten<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.dims().iter().product::<usize>();
    tensor.reshape([count])
}

struct Track;

impl Visitor for Track {
    fn visit<const D: usize>(&mut self, _name: &str, trained: bool, tensor: &mut Tensor<D>) {
        let leaf = tensor.clone().autodiff();
        *tensor = if trained { leaf.require_grad() } else { leaf };
    }
}

struct Collect<'a> {
    from: &'a mut Gradients,
    into: GradientMap,
}

impl Visitor for Collect<'_> {
    fn visit<const D: usize>(&mut self, name: &str, trained: bool, tensor: &mut Tensor<D>) {
        if !trained {
            return;
        }
        if let Some(gradient) = tensor.grad_remove(self.from) {
            self.into.add(name, gradient);
        }
    }
}

#[derive(Default)]
struct Count {
    trained: usize,
    total: usize,
}

impl Visitor for Count {
    fn visit<const D: usize>(&mut self, _name: &str, trained: bool, tensor: &mut Tensor<D>) {
        let count = tensor.dims().iter().product::<usize>();
        self.total += count;
        self.trained += if trained { count } else { 0 };
    }

    fn visit_packed(&mut self, _name: &str, panels: &Arc<Panels>, _layout: Layout) {
        self.total += panels.inputs() * panels.outputs();
    }
}
