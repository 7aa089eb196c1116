//! Rows of a matrix picked out, and put back: tokens looked up in the embedding, and pads left out of a forward pass.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{Rule, Values, apply};

/// The rows of `x` at `places`, in that order.
///
/// # Shapes
/// `x`: `[n, width]`; result `[places, width]`.
pub fn gather(x: Tensor<2>, places: &Arc<Vec<usize>>) -> Tensor<2> {
    let [rows, width] = x.dims();
    apply([x.into()], |[x]| {
        let rule = Gathered(Picked::new(places, rows, width));
        (rule.0.gather(&x), rule)
    })
}

/// The reverse of [`gather`]: `rows` rows, each the sum of those whose place it is, 0 where none is.
///
/// # Shapes
/// `x`: `[places, width]`; result `[rows, width]`.
pub fn spread(x: Tensor<2>, places: &Arc<Vec<usize>>, rows: usize) -> Tensor<2> {
    let [_, width] = x.dims();
    apply([x.into()], |[x]| {
        let rule = Spread(Picked::new(places, rows, width));
        (rule.0.spread(&x), rule)
    })
}

#[derive(Debug, Clone)]
struct Picked {
    places: Arc<Vec<usize>>,
    rows: usize,
    width: usize,
}

impl Picked {
    fn new(places: &Arc<Vec<usize>>, rows: usize, width: usize) -> Self {
        let places = Arc::clone(places);
        Self {
            places,
            rows,
            width,
        }
    }

    fn gather(&self, x: &Values) -> Values {
        let mut picked = Vec::with_capacity(self.places.len() * self.width);
        for place in self.places.iter() {
            picked.extend(&x[place * self.width..][..self.width]);
        }
        Values::new(picked, &[self.places.len(), self.width])
    }

    fn spread(&self, x: &Values) -> Values {
        let mut whole = vec![0.0; self.rows * self.width];
        for (place, row) in self.places.iter().zip(x.chunks(self.width)) {
            let sums = &mut whole[place * self.width..][..self.width];
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        Values::new(whole, &[self.rows, self.width])
    }
}

#[derive(Debug, Clone)]
struct Gathered(Picked);

impl Rule<1> for Gathered {
    fn gradients(&self, dy: Values, [wanted]: [bool; 1]) -> [Option<Values>; 1] {
        [wanted.then(|| self.0.spread(&dy))]
    }
}

#[derive(Debug, Clone)]
struct Spread(Picked);

impl Rule<1> for Spread {
    fn gradients(&self, dy: Values, [wanted]: [bool; 1]) -> [Option<Values>; 1] {
        [wanted.then(|| self.0.gather(&dy))]
    }
}
