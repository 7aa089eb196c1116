//! Names of annotators from elsewhere as names that are safe as folders.

use crate::feedback::digest::Sha256;
use crate::feedback::record::SIM_PREFIX;
use crate::feedback::record::check::is_annotator_name;

/// The name itself if it is safe; else what is safe of it and a piece of its hash, so that two
/// people stay two.
pub fn safe_name(name: &str) -> String {
    if is_annotator_name(name) && !name.starts_with(SIM_PREFIX) {
        return name.to_owned();
    }
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        }
    };
    let kept: String = name.chars().map(safe).take(48).collect();
    let kept = kept.trim_matches(['.', '-']);
    let hash = &Sha256::of(name).short()[..8];
    if kept.is_empty() {
        format!("annotator-{hash}")
    } else {
        format!("{kept}-{hash}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_or_made_safe_and_stay_apart() {
        assert_eq!(safe_name("worker_17"), "worker_17");
        let odd = [
            "../../etc",
            "a b",
            "a-b ",
            "sim:gold",
            "",
            "日本",
            "-x",
            "CON:",
        ];
        let safe: Vec<_> = odd.map(safe_name).to_vec();
        assert!(safe.iter().all(|name| is_annotator_name(name)), "{safe:?}");
        assert!(safe[0].starts_with("etc-") && safe[3].starts_with("sim-gold-"));
        let distinct: std::collections::HashSet<_> = safe.iter().collect();
        assert_eq!(distinct.len(), odd.len());
        assert!(is_annotator_name(&safe_name(&"x".repeat(500))));
    }
}
