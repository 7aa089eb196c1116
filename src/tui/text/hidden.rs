//! Which characters change or hide text without a glyph of their own, and when they do honest work.

/// Characters that must not reach a terminal as they are, or that would be seen as nothing:
/// `Default_Ignorable`, bidi controls, line separators, tags, annotations, private use and
/// noncharacters. (C0 and C1 controls are not in this list; `char::is_control` knows them.)
pub(super) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || has_no_meaning(c)
}

/// Private use and noncharacters: what a terminal draws for them, if anything, depends on its font.
fn has_no_meaning(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{f0000}'..)
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Whether a hidden character does honest work between its neighbours in the text: a joiner or a
/// variation selector in an emoji or a script that needs it, or the tags of a flag. Anywhere else,
/// or twice, it only hides.
pub(super) fn is_joining(c: char, previous: Option<char>, next: Option<char>) -> bool {
    let Some(previous) = previous else {
        return false;
    };
    match c {
        '\u{200d}' if is_pictographic(previous) || previous == '\u{fe0f}' => {
            next.is_some_and(is_pictographic)
        }
        '\u{200c}' | '\u{200d}' => is_joined_script(previous) && previous != c,
        '\u{fe0e}' | '\u{fe0f}' => {
            matches!(previous, '0'..='9' | '#' | '*') || is_pictographic(previous)
        }
        '\u{180b}'..='\u{180d}' | '\u{180f}' => matches!(previous, '\u{1820}'..='\u{18aa}'),
        '\u{e0100}'..='\u{e01ef}' => is_ideograph(previous),
        '\u{e0020}'..='\u{e007f}' => {
            matches!(previous, '\u{1f3f4}' | '\u{e0020}'..='\u{e007e}')
        }
        _ => false,
    }
}

/// The blocks that hold the emoji and their modifiers.
fn is_pictographic(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2190}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f000}'..='\u{1faff}')
}

/// Scripts whose letters join, so that a joiner or non-joiner is spelling: Arabic to Samaritan, the
/// Indic scripts, Tibetan, Myanmar, Khmer, Mongolian.
fn is_joined_script(c: char) -> bool {
    matches!(c,
        '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{f00}'..='\u{109f}'
        | '\u{1780}'..='\u{18af}' | '\u{11000}'..='\u{11fff}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3fffd}')
}
