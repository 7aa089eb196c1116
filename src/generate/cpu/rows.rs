//! How the rows of a pass are divided between the members of a team.

use std::ops::Range;

use crate::kernels::{Member, Shared, has_matrix_unit};

use super::forward::{Pass, Token, spans};

/// Rows from which on a member goes through the network alone: enough products to read the weights meanwhile.
const ROWS_OF_ITS_OWN: usize = 16;
/// The same where a matrix unit is done with them sooner, and may have to split or round the weights, which all members had better share.
const ROWS_OF_ITS_OWN_FOR_A_UNIT: usize = 64;

impl<'a> Pass<'a> {
    /// This member's rows, if all can have about as many and enough.
    pub(super) fn own_rows(&self, member: Member<'_>) -> Option<Range<usize>> {
        let least = if has_matrix_unit() {
            ROWS_OF_ITS_OWN_FOR_A_UNIT
        } else {
            ROWS_OF_ITS_OWN
        };
        let cuts = cuts(self.tokens, member.count, least)?;
        Some(cuts[member.index]..cuts[member.index + 1])
    }

    /// The pass of some tokens only, in their part of the buffers.
    pub(super) fn of_rows(&self, rows: Range<usize>) -> Self {
        let part = |buffer: &Shared<'a>| {
            let width = buffer.len() / self.room;
            buffer.within(spans(&rows, width))
        };
        let parts = |buffers: &[Shared<'a>]| buffers.iter().map(part).collect();
        let before = |row| self.wanted.partition_point(|&wanted| wanted < row);
        let wanted = before(rows.start)..before(rows.end);
        Self {
            weights: self.weights,
            cache: self.cache,
            tokens: &self.tokens[rows.clone()],
            wanted: &self.wanted[wanted.clone()],
            first: rows.start,
            room: rows.len(),
            x: part(&self.x),
            normed: part(&self.normed),
            inputs: parts(&self.inputs),
            attended: part(&self.attended),
            inner: parts(&self.inner),
            adapted: parts(&self.adapted),
            cos: self.cos,
            sin: self.sin,
            states: self.states.within(spans(&wanted, self.weights.hidden)),
            logits: self.logits.within(spans(&wanted, self.weights.vocabulary)),
        }
    }
}

/// Where the rows of one member end and those of the next begin. A slot's tokens stay together, since they see each other. None if somebody
/// would have fewer than `least`, or an eighth more than an even share.
fn cuts(tokens: &[Token], count: usize, least: usize) -> Option<Vec<usize>> {
    let rows = tokens.len();
    let begins = |&at: &usize| at == 0 || at == rows || tokens[at].slot != tokens[at - 1].slot;
    let nearest = |even: usize| (0..=rows).filter(begins).min_by_key(|at| at.abs_diff(even));
    let cuts = (0..=count).map(|index| nearest(rows * index / count));
    let cuts = cuts.collect::<Option<Vec<usize>>>()?;
    let most = rows.div_ceil(count) * 9 / 8;
    let fits = |own: &[usize]| (least..=most).contains(&(own[1] - own[0]));
    (count > 1 && cuts.windows(2).all(fits)).then_some(cuts)
}

#[cfg(test)]
mod tests {
    use super::super::cache::Cache;
    use super::super::forward::Workspace;
    use super::super::weights::Weights;
    use super::*;
    use crate::kernels::Team;
    use crate::model::{Decoder, LanguageModel};

    /// Slots of so many tokens.
    fn tokens(lengths: &[usize]) -> Vec<Token> {
        let of_slot = |(slot, &length): (usize, &usize)| {
            (0..length).map(move |position| Token {
                id: (100 * slot + 7 * position) as u32,
                slot,
                position,
            })
        };
        lengths.iter().enumerate().flat_map(of_slot).collect()
    }

    #[test]
    fn slots_stay_together_and_shares_are_even_and_large_enough() {
        let cuts = |tokens: &[Token], count| cuts(tokens, count, 16);
        assert_eq!(cuts(&tokens(&[8; 6]), 2), Some(vec![0, 24, 48]));
        assert_eq!(cuts(&tokens(&[8; 6]), 3), Some(vec![0, 16, 32, 48]));
        assert_eq!(cuts(&tokens(&[1; 33]), 2), Some(vec![0, 16, 33]));
        assert_eq!(cuts(&tokens(&[17, 19]), 2), Some(vec![0, 17, 36]));
        assert_eq!(cuts(&tokens(&[8; 6]), 1), None); // nobody to share with
        assert_eq!(cuts(&tokens(&[1; 31]), 2), None); // 15 would be too few
        assert_eq!(cuts(&tokens(&[16, 24]), 2), None); // 24 of 40 are too many
        assert_eq!(cuts(&tokens(&[48]), 2), None);
        assert_eq!(cuts(&[], 2), None);
    }

    /// After the wanted tokens of each of some passes, one after the other.
    fn logits(
        decoder: &Decoder,
        passes: &[&[Token]],
        wanted: &[usize],
        threads: usize,
    ) -> Vec<f32> {
        let weights = Weights::of(decoder);
        let mut cache = Cache::new(&decoder.config, 9, 24).unwrap();
        let mut team = Team::new(threads).unwrap();
        let mut all = Vec::new();
        for tokens in passes {
            let mut workspace = Workspace::new(&weights, tokens.len() + 5, wanted.len(), 24);
            let pass = workspace.pass(&weights, cache.shared(), tokens, wanted);
            team.run(|member| pass.run(member));
            all.extend(workspace.logits);
        }
        all
    }

    #[test]
    fn neither_rows_nor_columns_of_ones_own_change_one_bit() {
        let model = LanguageModel::embedded(&crate::device::cpu().device).unwrap();
        let (tokens, wanted) = (tokens(&[22; 9]), [21, 43, 50, 65, 150, 197]);
        let alone = logits(&model.decoder, &[&tokens], &wanted, 1);
        assert!(alone.iter().all(|z| z.is_finite()) && alone[0] != alone[1]);
        for threads in [2, 3, 4] {
            let own = cuts(&tokens, threads, ROWS_OF_ITS_OWN_FOR_A_UNIT);
            assert_eq!(own.is_some(), threads < 4); // four could not share nine slots evenly
            assert!(logits(&model.decoder, &[&tokens], &wanted, threads) == alone);
        }
    }

    /// Steps of a decoder: a token of each slot, which sees those before.
    #[test]
    fn heads_of_ones_own_change_nothing_either() {
        let model = LanguageModel::embedded(&crate::device::cpu().device).unwrap();
        let (first, then): (Vec<Token>, Vec<Token>) = tokens(&[2; 9])
            .into_iter()
            .partition(|token| token.position == 0);
        let of = |threads| logits(&model.decoder, &[&first, &then], &[0, 4, 8], threads);
        let alone = of(1);
        for threads in [2, 3, 4] {
            assert_eq!(cuts(&then, threads, ROWS_OF_ITS_OWN), None);
            assert!(of(threads) == alone);
        }
        let [start, alone_there] =
            [&first, &then].map(|step| logits(&model.decoder, &[step], &[0, 4, 8], 1));
        assert!(alone[..start.len()] == start && alone[start.len()..] != alone_there);
    }
}
