//! NeMo-RL preference: completions with ranks, 0 the best; equal ranks are equals.
//! <https://docs.nvidia.com/nemo/rl/latest/guides/rm.html>

use super::judged::{Judged, Said, message};
use super::value::{Object, as_object, conversation, has, list, messages, need, reply, text_if};
use crate::feedback::item::{MAX_CANDIDATES, PromptText};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// True if the row is one.
pub fn is(row: &Object) -> bool {
    has(row, &["context", "completions"])
}

/// Reads a row.
pub fn read(row: &Object) -> Result<Judged, String> {
    let context = messages(need(row, "context")?, "context")?;
    let completions = list(row, "completions")?;
    if !(2..=MAX_CANDIDATES).contains(&completions.len()) {
        return Err(format!(
            "expected 2 to 9 `completions`, found {}",
            completions.len()
        ));
    }
    let (mut texts, mut ranks) = (Vec::new(), BTreeMap::<i64, Vec<usize>>::new());
    for (index, completion) in completions.iter().enumerate() {
        let completion = as_object(completion).ok_or("`completions` must be a list of objects")?;
        let said = messages(need(completion, "completion")?, "completion")?;
        texts.push(reply(&said, "completion")?);
        let rank = need(completion, "rank")?.as_i64();
        let rank = rank.ok_or("`rank` must be a whole number")?;
        ranks.entry(rank).or_default().push(index);
    }
    let mut judged = Judged::new(PromptText::Messages(context), texts);
    let groups: Vec<Vec<usize>> = ranks.into_values().collect();
    judged.said = match &groups[..] {
        [_] => Said::Tie,
        [best, _] if judged.answers.len() == 2 => Said::Prefer {
            winner: best[0],
            strength: None,
        },
        _ => Said::Ranking(groups),
    };
    judged.source = text_if(row, "task_name")?;
    Ok(judged)
}

/// Writes a judgement that puts every answer in its place: not a best-of-n.
pub fn write(judged: &Judged) -> Option<Value> {
    let context = conversation(&judged.prompt)?;
    let all = judged.answers.len();
    let groups = match &judged.said {
        Said::Ranking(groups) => groups.clone(),
        Said::Tie => vec![(0..all).collect()],
        Said::Prefer { winner, .. } if all == 2 => vec![vec![*winner], vec![1 - *winner]],
        _ => return None,
    };
    let mut completions = Vec::new();
    for (rank, group) in groups.iter().enumerate() {
        for &index in group {
            let completion = [message("assistant", &judged.answers[index].text)];
            completions.push(json!({"rank": rank, "completion": completion}));
        }
    }
    let task = judged.source.as_deref().unwrap_or("preference");
    Some(json!({"context": context, "completions": completions, "task_name": task}))
}
