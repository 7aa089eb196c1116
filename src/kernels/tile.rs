//! The innermost loop: a few rows times a few panels, held in registers.

use super::isa::Isa;
use super::panels::{Lanes, WIDTH};

/// Products of `R` rows and `P` panels: Σ_k a[r][k] · b[p][k][lane].
///
/// # Panics
/// If the rows and panels differ in length.
#[inline(always)]
pub(super) fn tile<I: Isa, L: Lanes, const R: usize, const P: usize>(
    a: [&[f32]; R],
    b: [&[L]; P],
) -> [[[f32; WIDTH]; P]; R] {
    let depth = b[0].len();
    let a = a.map(|row| &row[..depth]);
    let b = b.map(|panel| &panel[..depth]);
    let mut sums = [[[0.0; WIDTH]; P]; R];
    for k in 0..depth {
        let mut wide = [[0.0; WIDTH]; P];
        for p in 0..P {
            wide[p] = b[p][k].widen();
        }
        for r in 0..R {
            let x = a[r][k];
            for p in 0..P {
                for lane in 0..WIDTH {
                    sums[r][p][lane] = I::fused(x, wide[p][lane], sums[r][p][lane]);
                }
            }
        }
    }
    sums
}
