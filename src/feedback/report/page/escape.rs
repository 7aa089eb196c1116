//! Text from files as text of a page: nothing in it is ever markup, and nothing in it is hidden.

use std::fmt::Write;

/// Longest text shown in full, in characters; the page says how much more there is.
const LONGEST: usize = 4000;

/// `text` with the five characters of markup escaped, for elements and quoted attributes.
///
/// Control characters become control pictures (`␛`); direction overrides, invisible characters and
/// characters that are none become `⟨U+202E⟩`. Line ends and tabs stay.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push(c, &mut out));
    out
}

/// The same for a text of any length.
pub fn excerpt(text: &str) -> String {
    let end = text.char_indices().nth(LONGEST).map(|(at, _)| at);
    let Some(end) = end else {
        return escape(text);
    };
    let left = text[end..].chars().count();
    format!(
        "{}<span class=\"cut\">… {left} more characters</span>",
        escape(&text[..end])
    )
}

fn push(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        '\n' | '\t' => out.push(c),
        '\0'..='\x1f' => out.extend(char::from_u32(0x2400 + u32::from(c))),
        '\x7f' => out.push('␡'),
        _ if is_hidden(c) => {
            let _ = write!(out, "⟨U+{:04X}⟩", u32::from(c));
        }
        _ => out.push(c),
    }
}

/// C1 controls, bidi controls, invisible characters, tags and noncharacters. Joiners and variation
/// selectors stay: emoji and several scripts need them, and here they can hide nothing.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}'
        | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        assert_eq!(
            escape("<script>alert(\"a\" & 'b')</script>"),
            "&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;"
        );
    }

    #[test]
    fn nothing_is_hidden() {
        assert_eq!(escape("a\u{1b}[2J\0\u{7f}\r\n\tb"), "a␛[2J␀␡␍\n\tb");
        assert_eq!(
            escape("\u{202e}x\u{85}\u{feff}"),
            "⟨U+202E⟩x⟨U+0085⟩⟨U+FEFF⟩"
        );
        assert_eq!(
            escape("\u{ffff}\u{1fffe}\u{e0041}"),
            "⟨U+FFFF⟩⟨U+1FFFE⟩⟨U+E0041⟩"
        );
        assert_eq!(escape("👩\u{200d}🍳 नमस्ते שלום"), "👩\u{200d}🍳 नमस्ते שלום");
    }

    #[test]
    fn long_texts_are_cut_and_say_so() {
        let text = "é".repeat(LONGEST + 7);
        let cut = excerpt(&text);
        assert!(cut.ends_with("<span class=\"cut\">… 7 more characters</span>"));
        assert_eq!(cut.matches('é').count(), LONGEST);
        assert_eq!(excerpt("a<"), "a&lt;");
    }
}
