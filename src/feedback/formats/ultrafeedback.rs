//! UltraFeedback: several completions, each rated on four aspects by GPT-4.
//! Cui et al. 2023, arXiv:2310.01377; <https://huggingface.co/datasets/openbmb/UltraFeedback>.
//!
//! The ratings become a ranking by their mean over the aspects, equal means being equals, as in
//! Argilla's cleaned binarisation (`overall_score` has known errors). `"N/A"` is no rating; a
//! completion without any is left out. The annotator is `sim:gpt-4`, a program: it is never counted
//! among people.

use super::judged::{Answer, Found, Judged, Said};
use super::value::{Object, as_object, field, has, list, name_if, object, text};
use crate::feedback::item::{MAX_CANDIDATES, PromptText};
use serde_json::Value;

/// True if the row is one.
pub fn is(row: &Object) -> bool {
    has(row, &["instruction", "completions"])
}

/// Reads a row.
pub fn read(row: &Object) -> Result<Found, String> {
    let prompt = PromptText::Text(text(row, "instruction")?);
    let completions = list(row, "completions")?;
    if completions.len() > MAX_CANDIDATES {
        return Err(format!("more than {MAX_CANDIDATES} completions"));
    }
    let mut rated = Vec::new();
    for completion in completions {
        let completion = as_object(completion).ok_or("`completions` must be a list of objects")?;
        let answer = Answer {
            text: text(completion, "response")?,
            model: name_if(completion, "model"),
        };
        if let Some(score) = mean(object(completion, "annotations")?)? {
            rated.push((answer, score));
        }
    }
    if rated.len() < 2 {
        return Err("fewer than two completions are rated".into());
    }
    let scores: Vec<f64> = rated.iter().map(|(_, score)| *score).collect();
    let mut judged = Judged::new(prompt, []);
    judged.answers = rated.into_iter().map(|(answer, _)| answer).collect();
    judged.said = Said::Ranking(by_score(&scores));
    judged.source = name_if(row, "source");
    judged.annotator = Some("gpt-4".into());
    judged.by_program = true;
    Ok(Found {
        left_out: completions.len() - judged.answers.len(),
        judged: vec![judged],
    })
}

/// Mean rating over the aspects that have one.
fn mean(annotations: &Object) -> Result<Option<f64>, String> {
    let (mut sum, mut count) = (0.0, 0.0);
    for (aspect, annotation) in annotations {
        let rating = annotation.as_object().and_then(|a| field(a, "Rating"));
        let rating = match rating {
            None => continue,
            Some(Value::String(text)) if text.trim() == "N/A" => continue,
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(number) => number.as_f64(),
        };
        let rating: f64 = rating
            .filter(|rating: &f64| rating.is_finite())
            .ok_or_else(|| format!("`annotations.{aspect}.Rating` must be a number or \"N/A\""))?;
        sum += rating;
        count += 1.0;
    }
    Ok((count > 0.0).then(|| sum / count))
}

/// Indices in groups of equal score, best first.
pub fn by_score(scores: &[f64]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let groups = order.chunk_by(|&a, &b| scores[a] == scores[b]);
    groups.map(<[usize]>::to_vec).collect()
}
