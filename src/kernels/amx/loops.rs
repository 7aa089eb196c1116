//! The loops over panels: which rows and panels the unit multiplies together, and which panels are read or made meanwhile.

use std::array;
use std::iter;
use std::mem::swap;
use std::ops::Range;

use super::super::grid::Grid;
use super::super::isa::{Isa, Work, dispatch};
use super::super::lanes::{Brief, Full};
use super::super::split::PARTS;
use super::super::tile::Factors;
use super::meanwhile::{Asks, MakesOne, MakesSome, Pieces};
use super::sums::Sums;
use super::tiled::{Parts, Tiled, Weight};
use super::{
    Made, ROWS, ROWS_BESIDE_ONE, ROWS_BESIDE_TWO, STEPS, Tile, blocks, products, rows_beside,
};

/// All rows times some panels, as [`Grid`] but by the unit. `room` is for what is made of panels: as much as [`Tiled::room`] says.
///
/// # Panics
/// If the factors have other rows or panels.
pub(in super::super) fn multiply(grid: &Grid<'_, Tiled<'_>>, room: &mut [Brief]) {
    let factors = grid.factors;
    factors.covers(grid.rows, grid.count);
    if let Some(then) = &grid.then {
        then.covers(grid.rows, grid.count);
    }
    if grid.count == 0 {
        return;
    }
    let at_once = factors.rows_at_once();
    for start in (0..grid.rows).step_by(at_once) {
        let rows = start..grid.rows.min(start + at_once);
        match (factors.weight, factors.parts) {
            (Weight::Pairs(lanes), Parts::Neither) => pairs::<1, 1>(grid, lanes, rows),
            (Weight::Pairs(lanes), Parts::Rows) => pairs::<PARTS, 1>(grid, lanes, rows),
            (Weight::Pairs(lanes), Parts::Both) => pairs::<PARTS, PARTS>(grid, lanes, rows),
            (Weight::Singles(lanes), Parts::Neither) => singles::<1>(grid, lanes, rows, room),
            (Weight::Singles(lanes), Parts::Both) => singles::<PARTS>(grid, lanes, rows, room),
            (Weight::Singles(_), Parts::Rows) => unreachable!("singles are split like rows"),
        }
    }
}

/// Some rows, in `X` parts, times panels in pairs, in `W`.
fn pairs<const X: usize, const W: usize>(
    grid: &Grid<'_, Tiled<'_>>,
    lanes: &[Brief],
    rows: Range<usize>,
) {
    let lanes = lanes.as_chunks().0.as_chunks().0;
    dispatch(OfPairs::<X, W> { grid, lanes, rows });
}

/// Some rows times panels in f32, both in `N` parts. As long as the unit holds the sums of all rows, they meet a panel tile by tile.
fn singles<const N: usize>(
    grid: &Grid<'_, Tiled<'_>>,
    lanes: &[Full],
    rows: Range<usize>,
    room: &mut [Brief],
) {
    let few = rows.len();
    let made = OfSingles {
        grid,
        lanes: lanes.as_chunks().0.as_chunks().0,
        rows,
        room,
    };
    if few <= ROWS_BESIDE_TWO {
        dispatch(TileByTile::<N, 2>(made));
    } else if few <= ROWS_BESIDE_ONE {
        dispatch(TileByTile::<N, 1>(made));
    } else {
        dispatch(TwoByTwo::<N>(made));
    }
}

/// While the unit multiplies some tiles of two panels, memory is asked for others: of the next panels, or with few rows the next of these, since
/// others would come too early.
///
/// This and the other two are functions of their own, which takes less time to compile than a single one.
struct OfPairs<'a, const X: usize, const W: usize> {
    grid: &'a Grid<'a, Tiled<'a>>,
    lanes: &'a [Tile<W>],
    rows: Range<usize>,
}

impl<const X: usize, const W: usize> Work for OfPairs<'_, X, W> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        assert!(I::WIDE); // as machines with a unit are: no copy for others, here and below
        let Self { grid, lanes, rows } = self;
        let tiles = grid.factors.tiles();
        let at_once = if rows.len() <= ROWS { 1 } else { tiles };
        let from = |place| grid.places::<2>(place).map(|at| &lanes[at..at + at_once]);
        let pieces = Pieces::new(at_once * STEPS, at_once * turns::<X, W>(&rows));
        let mut sums = Sums::new(rows.len());
        for panel in (0..grid.count).step_by(2) {
            for start in (0..tiles).step_by(at_once) {
                let place = [panel, start];
                let [first, second] = from(place);
                let now = first.iter().zip(second).map(|(first, second)| {
                    [first, second].map(|tile| tile.as_flattened().as_ptr())
                });
                let ahead = grid.after::<2>(place, at_once).map(from);
                let ahead = ahead.map(|panels| panels.map(<[_]>::as_flattened));
                let mut asks = Asks::new(ahead, pieces);
                // SAFETY: these are panels' tiles, of steps one after the other.
                #[allow(unsafe_code)]
                unsafe {
                    grid.multiply::<I, X, W, 2>(&rows, place, (now, W), &mut sums, &mut asks);
                }
            }
        }
        grid.hand_over_the_last(&mut sums);
    }
}

/// Some rows and panels in f32.
struct OfSingles<'a> {
    grid: &'a Grid<'a, Tiled<'a>>,
    lanes: &'a [[[Full; 2]; STEPS]],
    rows: Range<usize>,
    room: &'a mut [Brief],
}

/// `P` panels at a time. While the unit multiplies a tile of them, the next one is read and made.
struct TileByTile<'a, const N: usize, const P: usize>(OfSingles<'a>);

impl<const N: usize, const P: usize> Work for TileByTile<'_, N, P> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        assert!(I::WIDE);
        let OfSingles {
            grid,
            lanes,
            rows,
            room,
        } = self.0;
        assert!(rows.len() <= rows_beside(P) && (P == 2 || P == 1 && rows.len() > ROWS_BESIDE_TWO));
        let from = |place| grid.places::<P>(place).map(|at| &lanes[at]);
        let made = room.as_chunks_mut::<N>().0.as_chunks_mut::<P>().0;
        let made: &mut [Made<N, P>] = made.as_chunks_mut().0;
        let (mut now, mut next) = made.split_at_mut(1);
        MakesOne::new(from([0, 0]), &mut now[0]).all::<I>();
        let mut sums = Sums::new(rows.len());
        for panel in (0..grid.count).step_by(P) {
            for tile in 0..grid.factors.tiles() {
                let place = [panel, tile];
                // After the last one it is made again, for nothing: to ask in every turn whether there is another takes longer.
                let ahead = grid.after::<P>(place, 1).unwrap_or(place);
                let mut makes = MakesOne::new(from(ahead), &mut next[0]);
                let made = array::from_fn(|p| now[0].as_flattened()[p..].as_flattened().as_ptr());
                // SAFETY: the tile was made, with the panels' steps side by side.
                #[allow(unsafe_code)]
                unsafe {
                    let made = (iter::once(made), P * N);
                    grid.multiply::<I, N, N, P>(&rows, place, made, &mut sums, &mut makes);
                }
                swap(&mut now, &mut next);
            }
        }
        grid.hand_over_the_last(&mut sums);
    }
}

/// Two panels at a time. While the unit multiplies all their tiles, the next two panels are read and made.
struct TwoByTwo<'a, const N: usize>(OfSingles<'a>);

impl<const N: usize> Work for TwoByTwo<'_, N> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        assert!(I::WIDE);
        let OfSingles {
            grid,
            lanes,
            rows,
            room,
        } = self.0;
        let tiles = grid.factors.tiles();
        let from = |place| {
            grid.places::<2>(place)
                .map(|at| lanes[at..at + tiles].as_flattened())
        };
        let made = room.as_chunks_mut::<N>().0.as_chunks_mut::<2>().0;
        let made: &mut [Made<N, 2>] = made.as_chunks_mut().0;
        let (mut now, mut next) = made[..2 * tiles].split_at_mut(tiles);
        let all = Pieces::new(tiles * STEPS, 1);
        MakesSome::new(Some(from([0, 0])), now.as_flattened_mut(), all).all::<I>();
        let pieces = Pieces::new(tiles * STEPS, tiles * turns::<N, N>(&rows));
        let mut sums = Sums::new(rows.len());
        for panel in (0..grid.count).step_by(2) {
            let place = [panel, 0];
            let ahead = grid.after::<2>(place, tiles).map(from);
            let mut makes = MakesSome::new(ahead, next.as_flattened_mut(), pieces);
            let made = now
                .iter()
                .map(|tile| array::from_fn(|p| tile.as_flattened()[p..].as_flattened().as_ptr()));
            // SAFETY: so many tiles were made, with the panels' steps side by side.
            #[allow(unsafe_code)]
            unsafe {
                grid.multiply::<I, N, N, 2>(&rows, place, (made, 2 * N), &mut sums, &mut makes);
            }
            swap(&mut now, &mut next);
        }
        grid.hand_over_the_last(&mut sums);
    }
}

/// Turns in which all blocks of some rows are multiplied with a tile of two panels: as many as `add` has pieces of other work done.
fn turns<const X: usize, const W: usize>(rows: &Range<usize>) -> usize {
    products(X, W).len() * blocks(rows, ROWS_BESIDE_TWO).len()
}
