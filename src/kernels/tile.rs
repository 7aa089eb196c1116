//! The innermost loop: a few rows times a few panels, held in registers.

use super::isa::Isa;
use super::panels::Lanes;

/// Products of `R` rows and `P` panels: Σ_k a[r][k] · b[p][k][lane]. Meanwhile the lanes that lie so far `ahead` of a panel's are brought
/// near; 0 for none.
///
/// # Panics
/// If a row or a panel is shorter than the first panel.
#[inline(always)]
pub(super) fn tile<I: Isa, L: Lanes, const R: usize, const P: usize>(
    a: [&[f32]; R],
    b: [&[L]; P],
    ahead: [usize; P],
) -> [[I::Vector; P]; R] {
    let depth = b[0].len();
    for row in a {
        assert!(row.len() >= depth);
    }
    for panel in b {
        assert!(panel.len() >= depth);
    }
    let mut sums = [[I::zero(); P]; R];
    for k in 0..depth {
        let mut lanes = [I::zero(); P];
        for p in 0..P {
            // SAFETY: no panel is shorter than `depth`. A check here, even one that never fails, would keep the sums in memory.
            #[allow(unsafe_code)]
            let at = unsafe { b[p].get_unchecked(k) };
            lanes[p] = at.vector::<I>();
            I::fetch(b[p].as_ptr().wrapping_add(k + ahead[p]));
        }
        for r in 0..R {
            // SAFETY: no row is shorter than `depth`.
            #[allow(unsafe_code)]
            let x = I::all(unsafe { *a[r].get_unchecked(k) });
            for p in 0..P {
                sums[r][p] = I::fused_all(x, lanes[p], sums[r][p]);
            }
        }
    }
    sums
}
