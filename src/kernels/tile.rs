//! The innermost loop: a few rows times a few panels, held in registers.

use super::isa::Isa;
use super::panels::Lanes;

/// Products of `R` rows and `P` panels: Σ_k a[r][k] · b[p][k][lane].
///
/// # Panics
/// If a row or a panel is shorter than the first panel.
#[inline(always)]
pub(super) fn tile<I: Isa, L: Lanes, const R: usize, const P: usize>(
    a: [&[f32]; R],
    b: [&[L]; P],
) -> [[I::Wide; P]; R] {
    let depth = b[0].len();
    assert!(a.iter().all(|row| row.len() >= depth) && b.iter().all(|panel| panel.len() >= depth));
    let mut sums = [[I::splat(0.0); P]; R];
    for k in 0..depth {
        // SAFETY: no panel is shorter than `depth`. A check here, even one that never fails, would keep the sums in memory.
        #[allow(unsafe_code)]
        let wide = b.map(|panel| unsafe { panel.get_unchecked(k) }.widen::<I>());
        for r in 0..R {
            // SAFETY: no row is shorter than `depth`.
            #[allow(unsafe_code)]
            let x = I::splat(unsafe { *a[r].get_unchecked(k) });
            for p in 0..P {
                sums[r][p] = I::fused_wide(x, wide[p], sums[r][p]);
            }
        }
    }
    sums
}
