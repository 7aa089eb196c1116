//! What the word pairs of the tables mean: how the scorer reads a text.
//!
//! A lexicon maps every pair of neighbouring words that the tables can produce (the ends of a
//! sentence count as words) to what it speaks of. Pairs rather than words, so that a sentence must
//! hold together to count.

use std::collections::HashMap;

use super::grammar::expand;
use super::situations;
use super::topics::{self, Topic};
use super::voice::{self, Mood, Tone};

/// What a pair of words can speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// A topic, by its number.
    Topic(usize),
    /// A situation, by its number.
    Situation(usize),
    /// The mood of a request.
    Mood(Mood),
    /// The manner of a reply.
    Tone(Tone),
    /// Talk without content.
    Padding,
}

/// A pair with more meanings than this ("in the") means nothing in particular.
const MAX_MEANINGS: usize = 3;
const START: &str = "^";
const END: &str = "$";

/// Word pairs and their meanings.
#[derive(Debug, Default)]
pub(super) struct Lexicon {
    pairs: HashMap<String, Vec<Label>>,
}

impl Lexicon {
    /// Everything a reply can say.
    pub(super) fn of_replies() -> Self {
        let mut lexicon = Self::default();
        for (number, topic) in topics::all().enumerate() {
            let label = Label::Topic(number);
            lexicon.add_phrases(topic.steps, voice::ADVICE_FRAMES, label);
            lexicon.add_phrases(topic.reasons, voice::REASON_FRAMES, label);
            lexicon.add_phrases(topic.things, &[], label);
        }
        for (number, situation) in situations::all().iter().enumerate() {
            let label = Label::Situation(number);
            lexicon.add_phrases(situation.advice, voice::SITUATION_FRAMES, label);
        }
        for voice in voice::VOICES {
            for sentence in voice.openings.iter().chain(voice.closings) {
                lexicon.add_voice(sentence, Label::Tone(voice.tone));
            }
        }
        for sentence in voice::PADDING {
            lexicon.add_voice(sentence, Label::Padding);
        }
        lexicon
    }

    /// Everything a request can say.
    pub(super) fn of_prompts() -> Self {
        let mut lexicon = Self::default();
        for (number, topic) in topics::all().enumerate() {
            let label = Label::Topic(number);
            lexicon.add_phrases(topic.asks, voice::REQUESTS, label);
            lexicon.add_phrases(topic.things, &[], label);
        }
        for (number, situation) in situations::all().iter().enumerate() {
            lexicon.add_phrases(situation.tells, &["{step}."], Label::Situation(number));
        }
        for (mood, sentences) in voice::MOODS {
            for sentence in *sentences {
                lexicon.add_voice(sentence, Label::Mood(*mood));
            }
        }
        lexicon
    }

    /// `true` if the tables can produce `pair`, two words with a space between.
    pub(super) fn knows(&self, pair: &str) -> bool {
        self.pairs.contains_key(pair)
    }

    /// What `pair` speaks of; empty for pairs that are unknown or mean nothing in particular.
    pub(super) fn meanings(&self, pair: &str) -> &[Label] {
        match self.pairs.get(pair) {
            Some(labels) if labels.len() <= MAX_MEANINGS => labels,
            _ => &[],
        }
    }

    /// Phrases that mean `label`, and the seams between them and the `frames` they are put in.
    fn add_phrases(&mut self, phrases: &[&str], frames: &[&str], label: Label) {
        for phrase in phrases.iter().flat_map(|pattern| expand(pattern)) {
            let words = sentence_words(&phrase);
            self.add(&words, Some(label));
            let (Some(first), Some(last)) = (words.first(), words.last()) else {
                continue;
            };
            for frame in frames {
                self.add_frame(frame, first, last);
            }
        }
    }

    /// The pairs of `frame` around a phrase from `first` to `last`.
    fn add_frame(&mut self, frame: &str, first: &str, last: &str) {
        let Some((before, after)) = frame.split_once('{') else {
            return;
        };
        let after = after.split_once('}').map_or("", |(_, tail)| tail);
        let mut head = sentence_words(before);
        head.insert(0, START.to_owned());
        head.push(first.to_owned());
        let mut tail = vec![last.to_owned()];
        tail.extend(sentence_words(after));
        tail.push(END.to_owned());
        self.add(&head, None);
        self.add(&tail, None);
    }

    /// A whole sentence that means `label`, but for the thing it may name.
    fn add_voice(&mut self, pattern: &str, label: Label) {
        let Some((before, after)) = pattern.split_once("{thing}") else {
            self.add(&bounded(sentence_words(pattern)), Some(label));
            return;
        };
        let (mut head, mut tail) = (sentence_words(before), sentence_words(after));
        head.insert(0, START.to_owned());
        tail.push(END.to_owned());
        self.add(&head, Some(label));
        self.add(&tail, Some(label));
        for thing in topics::all().flat_map(|topic: &Topic| topic.things) {
            let words = sentence_words(&pattern.replace("{thing}", thing));
            self.add(&bounded(words), None);
        }
    }

    fn add(&mut self, words: &[String], label: Option<Label>) {
        for pair in words.windows(2) {
            let labels = self.pairs.entry(pair.join(" ")).or_default();
            if let Some(label) = label.filter(|label| !labels.contains(label)) {
                labels.push(label);
            }
        }
    }
}

/// The words of a text that is at most one sentence.
fn sentence_words(text: &str) -> Vec<String> {
    super::grammar::sentences(text).concat()
}

/// `words` with the marks of a sentence's start and end around them.
pub(super) fn bounded(mut words: Vec<String>) -> Vec<String> {
    words.insert(0, START.to_owned());
    words.push(END.to_owned());
    words
}
