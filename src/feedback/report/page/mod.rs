//! A labelling campaign as one HTML file, for papers and reviews.
//!
//! The file needs nothing else: style and charts are inline, there is no script, and the policy of
//! the page forbids to load anything. All text from files passes [`escape()`]. Annotators appear under
//! numbers unless their names are asked for.

pub mod escape;
mod format;
mod people;
mod policies;
mod samples;
pub mod svg;

use self::escape::escape;
use self::format::number;
use super::dispute::Dispute;
use super::{Group, Report};
use crate::feedback::digest::Sha256;
use crate::feedback::record::{SIM_PREFIX, UtcMillis};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

/// What a page says about itself.
#[derive(Debug, Clone)]
pub struct About {
    /// Name of the campaign.
    pub title: String,
    /// When it was written.
    pub written: UtcMillis,
    /// The files behind it.
    pub sources: Vec<Source>,
    /// Show annotators by name instead of by number.
    pub names: bool,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Source {
    /// Path below the project, its parts separated by `/`.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its content.
    pub sha256: Sha256,
}

impl About {
    /// The sources as the page shows them: annotators by number unless names were asked for.
    pub fn shown_sources(&self, report: &Report) -> Vec<Source> {
        let names = Names::new(report, self);
        let shown = |source: &Source| Source {
            path: names.path(source),
            ..source.clone()
        };
        self.sources.iter().map(shown).collect()
    }
}

impl Source {
    /// The annotator's folder and the file in it, if it is a file of judgements.
    fn place(&self) -> Option<(&str, &str)> {
        self.path.strip_prefix("feedback/")?.split_once('/')
    }
}

/// What annotators are called on the page.
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// People become `annotator 1`, `annotator 2`, … in name order; programs keep their names. Who
    /// has a file and no judgement in it has a number too.
    fn new(report: &Report, about: &About) -> Self {
        let folders = about.sources.iter().filter_map(Source::place);
        // A program's folder has `~` for the `:` of its name.
        let people = folders
            .map(|(folder, _)| folder)
            .filter(|f| !f.contains('~'));
        let all: BTreeSet<&str> = report
            .annotators
            .keys()
            .map(String::as_str)
            .chain(people)
            .collect();
        let mut people = 0;
        let called = all.into_iter().map(|name| {
            let shown = if about.names || name.starts_with(SIM_PREFIX) {
                name.to_owned()
            } else {
                people += 1;
                format!("annotator {people}")
            };
            (name.to_owned(), shown)
        });
        Self(called.collect())
    }

    pub(super) fn of<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.get(name).map_or(name, String::as_str)
    }

    /// The path of a source, its folder called like the annotator.
    fn path(&self, source: &Source) -> String {
        source.place().map_or_else(
            || source.path.clone(),
            |(folder, file)| format!("feedback/{}/{file}", self.of(folder)),
        )
    }
}

/// The page.
pub fn page(report: &Report, disputes: &[Dispute], about: &About) -> String {
    let names = Names::new(report, about);
    let mut body = head(about);
    body += &overview(report);
    let power = &report.power;
    body += &topic(report, "policies", "Policies", |part| {
        policies::section(part, power)
    });
    body += &topic(report, "agreement", "Agreement", |part| {
        people::agreement(part, &names)
    });
    body += &topic(report, "habits", "Sides and lengths", people::habits);
    body += &topic(report, "pace", "Over time", people::pace);
    body += &topic(report, "aspects", "Aspects", policies::aspects);
    body += &people::annotators(report, &names);
    body += &samples::section(disputes, &names);
    body += &provenance(about, &names);
    body + "</main></body></html>\n"
}

fn head(about: &About) -> String {
    let title = escape(&about.title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>Labelling report: {title}</title><style>\n{STYLE}</style></head><body><main>\
         <h1>Labelling report: {title}</h1>\
         <p class=\"faint\">Written {} by rlhf {}. Intervals are two-sided with 95 % coverage; n stands after “of”.</p>",
        escape(&about.written.to_string()),
        env!("CARGO_PKG_VERSION"),
    )
}

fn overview(report: &Report) -> String {
    let people = report
        .annotators
        .keys()
        .filter(|name| !name.starts_with(SIM_PREFIX))
        .count();
    let mut tiles = vec![
        ("items".to_owned(), number(report.items)),
        (
            "judged by people".to_owned(),
            number(report.people.judged_items),
        ),
        (
            "judged by programs".to_owned(),
            number(report.simulated.judged_items),
        ),
        ("people".to_owned(), number(people)),
        (
            "programs".to_owned(),
            number(report.annotators.len() - people),
        ),
    ];
    for (heading, Group { tally, .. }) in report.groups() {
        let counts = [
            ("judgements", tally.judgements),
            ("ties", tally.tie),
            ("both bad", tally.both_bad),
            ("cannot judge", tally.cannot_judge),
            ("skipped", tally.skipped),
            ("adjudications", tally.adjudications),
        ];
        let of = heading.to_lowercase();
        let shown = counts
            .iter()
            .filter(|(name, n)| *name == "judgements" || *n > 0);
        tiles.extend(shown.map(|(name, n)| (format!("{of}: {name}"), number(*n))));
    }
    let mut html = String::from("<dl class=\"tiles\">");
    for (name, value) in tiles {
        let _ = write!(
            html,
            "<div><dt>{}</dt><dd>{value}</dd></div>",
            escape(&name)
        );
    }
    html += "</dl>";
    let _ = write!(html, "<p>{}</p>", escape(report.rule));
    if report.figures_of == Some("simulated") {
        html += "<p><strong>No person judged here:</strong> every judgement below is by a program and says \
                 nothing about what people prefer.</p>";
    }
    html
}

fn provenance(about: &About, names: &Names) -> String {
    let mut html = String::from(
        "<section id=\"provenance\"><h2>Provenance</h2>\
         <p>Everything above follows from these files. Session files are append-only and chained by hashes; \
         <code>rlhf feedback check</code> verifies them.</p><div class=\"scroll\" tabindex=\"0\"><table><thead>\
         <tr><th scope=\"col\">file</th><th scope=\"col\">bytes</th><th scope=\"col\" class=\"words\">SHA-256</th></tr>\
         </thead><tbody>",
    );
    for source in &about.sources {
        let Source { bytes, sha256, .. } = source;
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{bytes}</td><td class=\"words\"><code>{sha256}</code></td></tr>",
            escape(&names.path(source))
        );
    }
    html + "</tbody></table></div></section>"
}

/// One group's part of a topic.
pub(super) struct Part<'a> {
    /// `people` or `programs`: makes ids unique.
    pub(super) id: String,
    pub(super) group: &'a Group,
}

/// A section with a part for each group that has something to say; absent if none has.
fn topic(report: &Report, id: &str, title: &str, part: impl Fn(&Part) -> String) -> String {
    let mut parts = String::new();
    for (heading, group) in report.groups() {
        let id = heading.to_lowercase();
        let html = part(&Part { id, group });
        if !html.is_empty() {
            let _ = write!(parts, "<h3>{heading}</h3>");
        }
        parts += &html;
    }
    if parts.is_empty() {
        return parts;
    }
    format!("<section id=\"{id}\"><h2>{title}</h2>{parts}</section>")
}

/// A chart with its title above it.
pub(super) fn figure(caption: &svg::Caption, chart: &str) -> String {
    format!(
        "<figure><figcaption>{}</figcaption>{chart}</figure>",
        escape(&caption.title)
    )
}

/// A text of an annotator or a model, already escaped, in the direction it is written in.
pub(super) fn open_text(html: &str) -> String {
    format!("<div class=\"text\" dir=\"auto\" tabindex=\"0\">{html}</div>")
}
