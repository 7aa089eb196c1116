//! Examples of disagreement on the page: the prompt, both answers, who said what.

use super::escape::{escape, excerpt};
use super::{Names, open_text};
use crate::feedback::item::{Item, PromptText};
use crate::feedback::record::Outcome;
use crate::feedback::report::dispute::Dispute;
use crate::feedback::report::votes::{FIRST, Vote};
use std::fmt::Write;

/// The items on which annotators disagree most.
pub fn section(disputes: &[Dispute], names: &Names) -> String {
    if disputes.is_empty() {
        return String::new();
    }
    let mut html = String::from(
        "<section id=\"disputes\"><h2>Examples of disagreement</h2><p>The items whose judgements lie furthest apart. \
         A and B are the answers in canonical order; each annotator saw them on sides of their own.</p>",
    );
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
    for (letter, candidate) in ["A", "B"].iter().zip(&item.candidates) {
        let _ = write!(
            html,
            "<div><strong>{letter}</strong> <span class=\"faint\">{}</span>{}</div>",
            escape(&candidate.policy),
            open_text(&excerpt(&candidate.text))
        );
    }
    html += "</div><table><thead><tr><th scope=\"col\">annotator</th><th scope=\"col\" class=\"words\">said</th>\
             <th scope=\"col\" class=\"words\">comment</th></tr></thead><tbody>";
    for vote in &dispute.votes {
        let _ = write!(
            html,
            "<tr><td>{}</td><td class=\"words\">{}</td><td class=\"words\">{}</td></tr>",
            escape(names.of(&vote.record.annotator)),
            said(vote),
            excerpt(vote.record.note.as_deref().unwrap_or_default())
        );
    }
    html + "</tbody></table></article>"
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

fn said(vote: &Vote) -> String {
    let winner = if vote.choice == Some(FIRST) { "A" } else { "B" };
    match (vote.record.outcome, vote.record.strength) {
        (Some(Outcome::Tie), _) => "tie".into(),
        (_, Some(1)) => format!("{winner} barely better"),
        (_, Some(2)) => format!("{winner} slightly better"),
        (_, Some(4)) => format!("{winner} much better"),
        _ => format!("{winner} better"),
    }
}
