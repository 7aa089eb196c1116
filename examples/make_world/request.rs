//! Requests: a topic to ask about, a situation, and a mood.

use rand::RngExt as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand_chacha::ChaCha8Rng;
use rlhf::feedback::gold::grammar::expand;
use rlhf::feedback::gold::voice::{MOODS, Mood, REQUESTS};
use rlhf::feedback::gold::{situations, topics};

/// A request and what it is about, so that a reply can be written to it.
pub(crate) struct Request {
    pub(crate) topic: usize,
    pub(crate) situation: usize,
    pub(crate) mood: Mood,
    pub(crate) text: String,
}

/// What a request asks, in which situation: the unit that is either held out or not.
#[derive(Clone, Copy)]
pub(crate) struct Theme {
    topic: usize,
    ask: &'static str,
    situation: usize,
}

/// All themes, shuffled, split into those for training and the `held_out_share` kept from it.
pub(crate) fn split_themes(held_out_share: f64, rng: &mut ChaCha8Rng) -> (Vec<Theme>, Vec<Theme>) {
    let mut themes = Vec::new();
    for (topic, entry) in topics::all().enumerate() {
        for ask in entry.asks {
            themes.extend((0..situations::all().len()).map(|situation| Theme {
                topic,
                ask,
                situation,
            }));
        }
    }
    themes.shuffle(rng);
    let held_out = themes.split_off((themes.len() as f64 * (1.0 - held_out_share)) as usize);
    (themes, held_out)
}

/// One way to put `theme` into words.
pub(crate) fn write(theme: Theme, rng: &mut ChaCha8Rng) -> Request {
    let situation = &situations::all()[theme.situation];
    let ask = pick(REQUESTS, rng).replace("{ask}", &one_of(theme.ask, rng));
    let tell = format!("{}.", one_of(pick(situation.tells, rng), rng));
    let mut sentences = vec![ask, tell];
    if rng.random_bool(0.3) {
        sentences.swap(0, 1);
    }
    let (mood, tells) = MOODS.choose(rng).copied().unwrap_or((Mood::Neutral, &[]));
    sentences.extend(tells.choose(rng).map(|tell| (*tell).to_owned()));
    Request {
        topic: theme.topic,
        situation: theme.situation,
        mood,
        text: sentences.join(" "),
    }
}

/// One phrase of those that `pattern` stands for.
pub(crate) fn one_of(pattern: &str, rng: &mut ChaCha8Rng) -> String {
    expand(pattern).choose(rng).cloned().unwrap_or_default()
}

/// One entry of a table; the tables are never empty.
pub(crate) fn pick<'a>(table: &[&'a str], rng: &mut ChaCha8Rng) -> &'a str {
    table.choose(rng).copied().unwrap_or_default()
}
