//! What a single record must obey.

use super::{Kind, Origin, Outcome, RECORD_VERSION, Record, SIM_PREFIX, Scale};
use crate::feedback::item::MAX_CANDIDATES;

/// The rule a record breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Written by a newer program.
    #[error("record version {0} is not supported (this program reads version {RECORD_VERSION})")]
    Version(u32),
    /// A field that this kind of record needs.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field that contradicts the rest.
    #[error("field `{0}` does not belong here: {1}")]
    Unexpected(&'static str, &'static str),
    /// A value outside its range.
    #[error("field `{0}` is not valid: {1}")]
    Invalid(&'static str, String),
}

use RuleError::{Invalid, Missing, Unexpected};

type Checked = Result<(), RuleError>;

/// True for names that are safe as a folder name: 1..=64 of letters, digits, `.`, `_`, `-`, not
/// first or last `.`, not first `-`; a simulated annotator may also have `:` and `=`.
pub fn is_annotator_name(name: &str) -> bool {
    let simulated = name.starts_with(SIM_PREFIX);
    let extra: &[u8] = if simulated { b"._-:=" } else { b"._-" };
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || extra.contains(&byte);
    (1..=64).contains(&name.len())
        && name.bytes().all(ok)
        && !name.starts_with(['.', '-'])
        && !name.ends_with(['.', ':'])
}

impl Record {
    /// Checks the rules that need no other record.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Checked {
        if self.v != RECORD_VERSION {
            return Err(RuleError::Version(self.v));
        }
        if !is_annotator_name(&self.annotator) {
            return Err(Invalid(
                "annotator",
                format!("{:?} is not a name", self.annotator),
            ));
        }
        match self.kind {
            Kind::SessionStart | Kind::SessionEnd => self.check_session_line(),
            Kind::Retract => self.check_retract(),
            Kind::Skip | Kind::Defer => self.check_item().and_then(|()| self.check_undecided()),
            Kind::Judgement => self.check_item().and_then(|()| self.check_decision()),
        }
    }

    fn check_session_line(&self) -> Checked {
        forbid(
            self.item.is_some(),
            "item",
            "a session line is about no item",
        )?;
        forbid(
            self.supersedes.is_some(),
            "supersedes",
            "a session line replaces nothing",
        )?;
        self.check_undecided()
    }

    fn check_retract(&self) -> Checked {
        need(self.supersedes.is_some(), "supersedes")?;
        need(self.item.is_some(), "item")?;
        need(self.slot.is_some(), "slot")?;
        self.check_undecided()
    }

    fn check_undecided(&self) -> Checked {
        let why = "only a judgement decides";
        forbid(self.outcome.is_some(), "outcome", why)?;
        forbid(self.winner.is_some(), "winner", why)?;
        forbid(self.strength.is_some(), "strength", why)?;
        forbid(self.ranking.is_some(), "ranking", why)?;
        forbid(!self.adjudicates.is_empty(), "adjudicates", why)
    }

    fn check_item(&self) -> Checked {
        need(self.round.is_some(), "round")?;
        need(self.batch.is_some(), "batch")?;
        need(self.item.is_some(), "item")?;
        need(self.purpose.is_some(), "purpose")?;
        need(self.selector.is_some(), "selector")?;
        need(self.prompt.is_some(), "prompt")?;
        need(self.slot.is_some(), "slot")?;
        self.check_candidates()?;
        self.check_origin()?;
        self.check_display()
    }

    fn check_candidates(&self) -> Checked {
        let n = self.candidates.len();
        if !(2..=MAX_CANDIDATES).contains(&n) {
            return Err(Invalid("candidates", format!("expected 2 to 9, found {n}")));
        }
        for (index, candidate) in self.candidates.iter().enumerate() {
            if self.candidates[..index]
                .iter()
                .any(|earlier| earlier.id == candidate.id)
            {
                return Err(Invalid(
                    "candidates",
                    format!("{:?} occurs twice", candidate.id),
                ));
            }
        }
        Ok(())
    }

    fn check_origin(&self) -> Checked {
        let origin = self.origin.ok_or(Missing("origin"))?;
        // What a program elsewhere judged comes in as an import, under a name that says so.
        let by_program = origin == Origin::Sim || (origin == Origin::Import && self.is_simulated());
        if by_program != self.is_simulated() {
            let found = format!("{origin:?} by annotator {:?}", self.annotator);
            return Err(Invalid("origin", found));
        }
        let adjudication = origin == Origin::Adjudication;
        need(!adjudication || !self.adjudicates.is_empty(), "adjudicates")?;
        let why = "only an adjudication settles others' judgements";
        forbid(
            !adjudication && !self.adjudicates.is_empty(),
            "adjudicates",
            why,
        )
    }

    fn check_display(&self) -> Checked {
        let Some(display) = &self.display else {
            return need(self.origin == Some(Origin::Import), "display");
        };
        self.check_permutation(display.order.iter(), "display.order")?;
        for (id, share) in &display.viewed {
            if self.candidate(id).is_none() || !(0.0..=1.0).contains(share) {
                return Err(Invalid("display.viewed", format!("{id:?}: {share}")));
            }
        }
        Ok(())
    }

    fn check_permutation<'a>(
        &self,
        ids: impl Iterator<Item = &'a String>,
        field: &'static str,
    ) -> Checked {
        let ids: Vec<_> = ids.collect();
        let all = self
            .candidates
            .iter()
            .all(|candidate| ids.contains(&&candidate.id));
        if all && ids.len() == self.candidates.len() {
            return Ok(());
        }
        Err(Invalid(
            field,
            format!("{ids:?} is not a permutation of the candidates"),
        ))
    }

    fn check_decision(&self) -> Checked {
        let outcome = self.outcome.ok_or(Missing("outcome"))?;
        let scale = self.scale.ok_or(Missing("scale"))?;
        if let Some(ranking) = &self.ranking {
            self.check_ranking(ranking, scale, outcome)?;
        }
        self.check_winner(outcome)?;
        self.check_strength(outcome, scale)?;
        match self
            .aspects
            .iter()
            .find(|(_, score)| !(-4..=4).contains(*score))
        {
            Some((name, score)) => Err(Invalid("aspects", format!("{name}: {score}"))),
            None => Ok(()),
        }
    }

    fn check_winner(&self, outcome: Outcome) -> Checked {
        let prefer = outcome == Outcome::Prefer;
        match &self.winner {
            Some(_) if !prefer => Err(Unexpected("winner", "the outcome is not prefer")),
            Some(id) if self.candidate(id).is_none() => {
                Err(Invalid("winner", format!("{id:?} is not a candidate")))
            }
            None if prefer && self.ranking.is_none() => Err(Missing("winner")),
            _ => Ok(()),
        }
    }

    fn check_strength(&self, outcome: Outcome, scale: Scale) -> Checked {
        let Some(strength) = self.strength else {
            return Ok(());
        };
        forbid(
            outcome != Outcome::Prefer,
            "strength",
            "the outcome is not prefer",
        )?;
        match scale.max_strength() {
            None => Err(Unexpected("strength", "this scale has none")),
            Some(max) if (1..=max).contains(&strength) => Ok(()),
            Some(max) => Err(Invalid(
                "strength",
                format!("expected 1 to {max}, found {strength}"),
            )),
        }
    }

    fn check_ranking(&self, groups: &[Vec<String>], scale: Scale, outcome: Outcome) -> Checked {
        forbid(scale != Scale::KWay, "ranking", "the scale is not kway")?;
        forbid(
            groups.iter().any(Vec::is_empty),
            "ranking",
            "a group is empty",
        )?;
        self.check_permutation(groups.iter().flatten(), "ranking")?;
        let expected = if groups.len() == 1 {
            Outcome::Tie
        } else {
            Outcome::Prefer
        };
        if outcome != expected {
            return Err(Invalid("outcome", format!("the ranking says {expected:?}")));
        }
        match (&groups[0][..], &self.winner) {
            ([best], Some(winner)) if best == winner => Ok(()),
            (_, None) => Ok(()),
            (_, Some(winner)) => Err(Invalid("winner", format!("{winner:?} is not ranked first"))),
        }
    }
}

fn need(present: bool, field: &'static str) -> Checked {
    present.then_some(()).ok_or(Missing(field))
}

fn forbid(present: bool, field: &'static str, why: &'static str) -> Checked {
    (!present).then_some(()).ok_or(Unexpected(field, why))
}
