//! Replies of every quality.
//!
//! Whether a reply keeps to the topic, suits the situation, is kind, is long or rambles is drawn
//! independently, and only now and then with the person's mood in view, so that a model of this
//! corpus is a mediocre assistant with everything to learn from feedback. The scorer is not
//! consulted.

use rand::RngExt as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand_chacha::ChaCha8Rng;
use rlhf::feedback::gold::grammar::capitalise;
use rlhf::feedback::gold::topics::Topic;
use rlhf::feedback::gold::voice::{
    ADVICE_FRAMES, Mood, PADDING, REASON_FRAMES, SITUATION_FRAMES, Tone, VOICES,
};
use rlhf::feedback::gold::{situations, topics};

use crate::request::{Request, one_of, pick};

/// How often a reply is about the topic asked.
const ON_TOPIC: f64 = 0.97;
/// How often its advice is for the situation told.
const SITUATION_MET: f64 = 0.75;
/// How often it has no advice for any situation; otherwise it is for the opposite one.
const SITUATION_IGNORED: f64 = 0.2;
/// How often a reply heeds the mood: plain and short in a hurry, long for the curious. Were it never, a policy would first have to learn
/// to see the mood at all, and by then it is kind to everybody.
const TACT: f64 = 0.3;
/// How often other replies give a second piece of advice or a reason.
const FULL: f64 = 0.5;
/// How often a reply has a sentence that says nothing.
const RAMBLING: f64 = 0.15;
/// More words than this are a long reply.
const LONG: usize = 21;

/// A reply, and what the person who asked would notice about it.
pub(crate) struct Reply {
    pub(crate) text: String,
    on_topic: bool,
    situation: Option<usize>,
    tone: Option<Tone>,
}

impl Reply {
    /// What the person says to it: a remark on each thing they notice, in any order.
    pub(crate) fn reaction(&self, request: &Request, rng: &mut ChaCha8Rng) -> String {
        let topic = if self.on_topic {
            "You answered my question."
        } else {
            "That is not what I asked."
        };
        let situation = match self.situation {
            Some(told) if told == request.situation => "You thought of my situation.",
            Some(_) => "That would do harm here.",
            None => "You left my situation out.",
        };
        let tone = match (self.tone, request.mood) {
            (Some(Tone::Rude), _) => "There is no need to be rude.",
            (Some(Tone::Kind), Mood::Hurried) => "I have no time for pleasantries.",
            (Some(Tone::Kind), _) => "How kind of you.",
            (_, Mood::Upset) => "A kind word would have helped.",
            _ => "Plainly said.",
        };
        let words = self.text.split_whitespace().count();
        let length = match request.mood {
            Mood::Hurried if words > LONG => "That is too long.",
            Mood::Curious if words <= LONG => "I would like to know more.",
            _ => "That is just long enough.",
        };
        let mut remarks = [topic, situation, tone, length];
        remarks.shuffle(rng);
        remarks.join(" ")
    }
}

/// A reply to `request`.
pub(crate) fn write(request: &Request, rng: &mut ChaCha8Rng) -> Reply {
    let topics: Vec<&Topic> = topics::all().collect();
    let on_topic = rng.random_bool(ON_TOPIC);
    let topic = if on_topic {
        topics[request.topic]
    } else {
        topics[other_than(request.topic, topics.len(), rng)]
    };
    let heeded = rng.random_bool(TACT).then_some(request.mood);
    let full = match heeded {
        Some(Mood::Hurried) => false,
        Some(Mood::Curious) => true,
        _ => rng.random_bool(FULL),
    };
    let mut body = advice(topic, full, rng);
    let situation = situation_addressed(request.situation, rng);
    if let Some(situation) = situation {
        let advice = one_of(pick(situations::all()[situation].advice, rng), rng);
        let sentence = framed(SITUATION_FRAMES, &advice, rng);
        let position = if rng.random_bool(0.25) {
            0
        } else {
            body.len().min(rng.random_range(1..3))
        };
        body.insert(position, sentence);
    }
    if rng.random_bool(RAMBLING) {
        body.insert(
            rng.random_range(0..=body.len()),
            pick(PADDING, rng).to_owned(),
        );
    }
    let tone = if heeded == Some(Mood::Hurried) {
        Some(Tone::Plain)
    } else {
        surround(&mut body, topic, rng)
    };
    Reply {
        text: body.join(" "),
        on_topic,
        situation,
        tone,
    }
}

/// One piece of advice, or two with or without a reason.
fn advice(topic: &Topic, full: bool, rng: &mut ChaCha8Rng) -> Vec<String> {
    let first = pick(topic.steps, rng);
    let mut body = vec![framed(ADVICE_FRAMES, &one_of(first, rng), rng)];
    if full {
        if rng.random_bool(0.6) {
            body.push(framed(REASON_FRAMES, pick(topic.reasons, rng), rng));
        } else {
            let others: Vec<&str> = topic
                .steps
                .iter()
                .copied()
                .filter(|step| *step != first)
                .collect();
            body.push(framed(ADVICE_FRAMES, &one_of(pick(&others, rng), rng), rng));
        }
    }
    body
}

/// The situation that the reply has in mind, if any.
fn situation_addressed(told: usize, rng: &mut ChaCha8Rng) -> Option<usize> {
    let draw: f64 = rng.random();
    if draw < SITUATION_MET {
        Some(told)
    } else if draw < SITUATION_MET + SITUATION_IGNORED {
        None
    } else {
        Some(situations::opposite(told))
    }
}

/// Add an opening, a closing or both in one tone of voice; plain replies may do without.
fn surround(body: &mut Vec<String>, topic: &Topic, rng: &mut ChaCha8Rng) -> Option<Tone> {
    let voice = VOICES.choose(rng)?;
    let bare = voice.tone == Tone::Plain && rng.random_bool(0.5);
    let place: f64 = rng.random();
    if place < 0.7 && !bare {
        body.insert(0, said_of(topic, pick(voice.openings, rng), rng));
    }
    if place > 0.55 && !bare {
        body.push(said_of(topic, pick(voice.closings, rng), rng));
    }
    Some(voice.tone)
}

fn said_of(topic: &Topic, pattern: &str, rng: &mut ChaCha8Rng) -> String {
    pattern.replace("{thing}", pick(topic.things, rng))
}

fn framed(frames: &[&str], phrase: &str, rng: &mut ChaCha8Rng) -> String {
    capitalise(&pick(frames, rng).replace("{step}", phrase))
}

/// A number below `count` that is not `index`.
fn other_than(index: usize, count: usize, rng: &mut ChaCha8Rng) -> usize {
    (index + rng.random_range(1..count)) % count
}
