//! Numbers as words and cells.

use super::escape::escape;
use crate::feedback::report::Share;
use crate::stats::Interval;
use std::fmt::Write;

/// `12,345`.
pub fn number(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `66.7 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `0.61`, `−0.61`: with a minus sign, not a hyphen.
pub fn plain(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$}").replace('-', "−")
}

/// `+0.61`, `−0.61`.
pub fn signed(value: f64, decimals: usize) -> String {
    format!("{value:+.decimals$}").replace('-', "−")
}

/// `[0.61, 0.78]`, or nothing.
pub fn brackets(interval: Option<Interval>, decimals: usize) -> String {
    let finite = interval.filter(|i| i.low.is_finite() && i.high.is_finite());
    finite.map_or(String::new(), |Interval { low, high }| {
        format!("[{}, {}]", plain(low, decimals), plain(high, decimals))
    })
}

/// `[37.5 %, 66.7 %]`, or nothing.
pub fn percents(interval: Option<Interval>) -> String {
    let finite = interval.filter(|i| i.low.is_finite() && i.high.is_finite());
    finite.map_or(String::new(), |Interval { low, high }| {
        format!("[{}, {}]", percent(low), percent(high))
    })
}

/// `66.7 % of 1,200 [64.0 %, 69.3 %]`.
pub fn share_text(share: &Share) -> String {
    let (n, interval) = (number(share.n), percents(Some(share.interval())));
    format!("{} of {n} {interval}", percent(share.share))
}

/// `0.03`, or `< 0.001`.
pub fn p_value(p: Option<f64>) -> String {
    match p {
        None => "–".into(),
        Some(p) if p < 0.001 => "< 0.001".into(),
        Some(p) => format!("{p:.3}"),
    }
}

/// A value with decimals, or a dash.
pub fn or_dash(value: Option<f64>, decimals: usize) -> String {
    value.map_or("–".into(), |value| plain(value, decimals))
}

/// A table under a summary that opens it. Headings and cells are escaped here.
pub fn table(summary: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = format!(
        "<details><summary>{}</summary>{}</details>",
        escape(summary),
        scrolled(headings, rows)
    );
    if rows.is_empty() {
        html.clear();
    }
    html
}

/// A table that is always open, and can be moved sideways where it is too wide.
pub fn scrolled(headings: &[&str], rows: &[Vec<String>]) -> String {
    format!(
        "<div class=\"scroll\" tabindex=\"0\">{}</div>",
        bare(headings, rows)
    )
}

fn bare(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = String::from("<table><thead><tr>");
    for heading in headings {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escape(heading));
    }
    html += "</tr></thead><tbody>";
    for row in rows {
        html += "<tr>";
        for cell in row {
            let _ = write!(html, "<td>{}</td>", escape(&unbroken(cell)));
        }
        html += "</tr>";
    }
    html + "</tbody></table>"
}

/// `cell` with the spaces that must not end a line: those in brackets, in units, and around `of`.
fn unbroken(cell: &str) -> String {
    let (mut out, mut inside) = (String::with_capacity(cell.len()), false);
    for c in cell.chars() {
        inside = match c {
            '[' => true,
            ']' => false,
            _ => inside,
        };
        out.push(if inside && c == ' ' { '\u{a0}' } else { c });
    }
    out.replace(" %", "\u{a0}%")
        .replace(" log odds", "\u{a0}log\u{a0}odds")
        .replace("< 0", "<\u{a0}0")
        .replace("% of ", "%\u{a0}of\u{a0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(number),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(percent(0.66666), "66.7 %");
        assert_eq!(
            [Some(0.0004), Some(0.05), None].map(p_value),
            ["< 0.001", "0.050", "–"]
        );
        let infinite = Interval {
            low: f64::NEG_INFINITY,
            high: 1.0,
        };
        assert_eq!(brackets(Some(infinite), 1), "");
        assert_eq!([signed(0.5, 2), signed(-0.5, 2)], ["+0.50", "−0.50"]);
    }

    #[test]
    fn a_cell_breaks_before_its_interval_only() {
        assert_eq!(
            unbroken("48.0 % of 915 [43.1 %, 52.5 %]"),
            "48.0\u{a0}%\u{a0}of\u{a0}915 [43.1\u{a0}%,\u{a0}52.5\u{a0}%]"
        );
    }

    #[test]
    fn cells_are_text() {
        let html = scrolled(&["<a>"], &[vec!["<b>".into()]]);
        assert!(
            html.contains("&lt;a&gt;") && html.contains("<td>&lt;b&gt;</td>"),
            "{html}"
        );
    }
}
