//! Examples of disagreement on the page: the prompt, both answers, who said what.

use super::escape::{escape, excerpt};
use super::{Names, open_text};
use crate::feedback::item::{Item, PromptText};
use crate::feedback::record::Outcome;
use crate::feedback::report::dispute::Dispute;
use crate::feedback::report::votes::Vote;
use std::fmt::Write;

/// What the answers of an item are called, in their order.
const LETTERS: [&str; 9] = ["A", "B", "C", "D", "E", "F", "G", "H", "I"];

/// The items on which annotators disagree most.
pub fn section(disputes: &[Dispute], names: &Names) -> String {
    if disputes.is_empty() {
        return String::new();
    }
    let mut html = String::from(
        "<section id=\"disputes\"><h2>Examples of disagreement</h2><p>The items whose judgements lie furthest apart. \
         A, B, … are the answers in canonical order; each annotator saw them on sides of their own.",
    );
    let by_programs = disputes.iter().flat_map(|d| &d.votes);
    if by_programs
        .into_iter()
        .any(|vote| vote.record.is_simulated())
    {
        html += " <strong>These judgements are by programs:</strong> no two people disagree.";
    }
    html += "</p>";
    for dispute in disputes {
        html += &article(dispute, names);
    }
    html + "</section>"
}

fn article(dispute: &Dispute, names: &Names) -> String {
    let item = dispute.item;
    let mut html = format!(
        "<article><h3>{} · round {}</h3>{}<div class=\"answers\">",
        escape(&item.batch),
        item.round,
        prompt(item)
    );
    for (letter, candidate) in LETTERS.iter().zip(&item.candidates) {
        let _ = write!(
            html,
            "<div><strong>{letter}</strong> <span class=\"faint\">{}</span>{}</div>",
            escape(&candidate.policy),
            open_text(&excerpt(&candidate.text))
        );
    }
    html += "</div><div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">annotator</th><th scope=\"col\" class=\"words\">said</th>\
             <th scope=\"col\" class=\"words\">comment</th></tr></thead><tbody>";
    for vote in &dispute.votes {
        let _ = write!(
            html,
            "<tr><td>{}</td><td class=\"words\">{}</td><td class=\"words\">{}</td></tr>",
            escape(names.of(&vote.record.annotator)),
            said(item, vote),
            excerpt(vote.record.note.as_deref().unwrap_or_default())
        );
    }
    html + "</tbody></table></div></article>"
}

fn prompt(item: &Item) -> String {
    match &item.prompt.text {
        PromptText::Text(text) => open_text(&excerpt(text)),
        PromptText::Messages(messages) => {
            let turn = |message: &crate::feedback::item::Message| {
                let role = escape(&message.role);
                format!(
                    "<span class=\"faint\">{role}</span>{}",
                    open_text(&excerpt(&message.content))
                )
            };
            messages.iter().map(turn).collect()
        }
    }
}

fn said(item: &Item, vote: &Vote) -> String {
    let record = vote.record;
    let letter = |id: &str| {
        let at = item.candidates.iter().position(|c| c.id == id);
        at.map_or("?", |at| LETTERS[at.min(LETTERS.len() - 1)])
    };
    if let Some(ranking) = &record.ranking {
        let group = |ids: &Vec<String>| {
            let each: Vec<&str> = ids.iter().map(|id| letter(id)).collect();
            each.join(" = ")
        };
        let groups: Vec<String> = ranking.iter().map(group).collect();
        return escape(&groups.join(" > "));
    }
    let winner = record.winner.as_deref().map_or("?", letter);
    // By the words of the scale of nine, which has a "barely" where that of seven has none.
    let strength = vote.grade.map(|grade| grade.abs_diff(4));
    match (record.outcome, strength) {
        (Some(Outcome::Tie), _) => "tie".into(),
        (_, Some(1)) => format!("{winner} barely better"),
        (_, Some(2)) => format!("{winner} slightly better"),
        (_, Some(4)) => format!("{winner} much better"),
        _ => format!("{winner} better"),
    }
}
