//! The gold scorer: what people would say about a reply in the world of the embedded model.
//!
//! In that world a person names a topic, a situation and often a mood: *"How do I stop my dog
//! barking? My family is asleep. I could cry."* A reply is good if it is about that topic, if its
//! advice fits that situation, and if its manner and length suit that person. No sentence is good
//! or bad by itself: "turn the music up and sing along" helps someone whom noise does not bother
//! and is careless beside sleeping people; "What a lovely idea!" warms one person and keeps another
//! waiting. So neither the length of a reply nor its bag of words says enough; one has to read it
//! against the request.
//!
//! | part | range | from worst to best |
//! |---|---|---|
//! | topic | −3 … 3 | another topic (no topic at all: −2), mixed, the one asked about |
//! | situation | −2 … 2 | careless here, meant for another situation (−1), ignored (0), suited |
//! | tone | −2 … 1.5 | rude, plain, kind; kindness matters most to somebody who is upset, and is unwelcome to somebody in a hurry |
//! | length | −1.5 … 1.5 | as short or as full as the person asked for; who asked for neither would rather read less |
//! | padding | −1 … 0 | sentences that say nothing |
//! | language | −19 … 0 | word pairs that no sentence of this world has, repetition, a cut-off end |
//!
//! The sum is rounded to halves and at least [`FLOOR`], the score of gibberish and of silence. The
//! simulated labeller and evaluation use this module; training never does. The tables
//! ([`topics`], [`situations`], [`voice`]) are shared with `examples/make_world`, which writes
//! the corpus the embedded model learns from.

pub mod grammar;
mod lexicon;
pub mod situations;
pub mod topics;
pub mod voice;

use std::collections::HashSet;
use std::sync::LazyLock;

use lexicon::{Label, Lexicon, bounded};
use voice::{Mood, Tone};

/// The lowest score: an empty reply, gibberish, or one sentence over and over.
pub const FLOOR: f64 = -12.0;

/// Two replies whose scores differ by less than this are a tie: half a `STEP`.
pub const TIE_MARGIN: f64 = STEP / 2.0;

/// Scores are multiples of this: finer differences are not visible to the eye.
const STEP: f64 = 0.5;

static REPLIES: LazyLock<Lexicon> = LazyLock::new(Lexicon::of_replies);
static PROMPTS: LazyLock<Lexicon> = LazyLock::new(Lexicon::of_prompts);

/// How good `response` is as a reply to `prompt`, in [`FLOOR`] ..= 8.
///
/// Any text is allowed. A prompt that is not of this world has no topic or situation to match, so
/// only manner and language count.
pub fn score(prompt: &str, response: &str) -> f64 {
    assess(prompt, response).total()
}

/// The parts of a score; see the table of the [module](self).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assessment {
    /// About the topic asked?
    pub topic: f64,
    /// Safe and useful in this situation?
    pub situation: f64,
    /// Kind, plain or rude, given the person's mood.
    pub tone: f64,
    /// Short or full enough, given the person's mood.
    pub length: f64,
    /// Talk without content.
    pub padding: f64,
    /// Is it English, complete, and not repetitive?
    pub language: f64,
}

impl Assessment {
    /// The score: the sum of the parts in whole steps of one half, at least [`FLOOR`].
    pub fn total(&self) -> f64 {
        let sum =
            self.topic + self.situation + self.tone + self.length + self.padding + self.language;
        // Adding zero turns −0 into 0.
        ((sum / STEP).round() * STEP).max(FLOOR) + 0.0
    }
}

/// Judge `response` part by part.
pub fn assess(prompt: &str, response: &str) -> Assessment {
    let request = Request::read(prompt);
    let reply = Reply::read(response);
    Assessment {
        topic: topic_part(&request, &reply),
        situation: situation_part(&request, &reply),
        tone: tone_part(&request, &reply),
        length: length_part(&request, &reply),
        padding: (-0.5 * reply.count(|label| label == Label::Padding) as f64).max(-1.0),
        language: language_part(response, &reply),
    }
}

/// What a prompt asks for.
struct Request {
    topic: Option<usize>,
    situation: Option<usize>,
    mood: Mood,
}

impl Request {
    fn read(prompt: &str) -> Self {
        let mut request = Self {
            topic: None,
            situation: None,
            mood: Mood::Neutral,
        };
        let mut votes = Votes::default();
        for sentence in grammar::sentences(prompt) {
            votes.add_sentence(&PROMPTS, &bounded(sentence));
        }
        votes.0.sort_by(|a, b| a.1.total_cmp(&b.1));
        for (label, _) in votes.0 {
            match label {
                Label::Topic(topic) => request.topic = Some(topic),
                Label::Situation(situation) => request.situation = Some(situation),
                Label::Mood(mood) => request.mood = mood,
                Label::Tone(_) | Label::Padding => {}
            }
        }
        request
    }
}

/// What a response says.
struct Reply {
    /// Number of words.
    words: usize,
    /// How much each topic is spoken of, in word pairs.
    topics: Votes,
    /// What each sentence chiefly does, topics aside.
    labels: Vec<Label>,
    /// Share of word pairs that no sentence of this world has.
    unknown_share: f64,
    /// Share of runs of three words that occurred before in the response.
    repeated_share: f64,
}

impl Reply {
    fn read(response: &str) -> Self {
        let sentences: Vec<Vec<String>> = grammar::sentences(response)
            .into_iter()
            .map(bounded)
            .collect();
        let mut topics = Votes::default();
        let mut labels = Vec::new();
        for sentence in &sentences {
            let mut votes = Votes::default();
            votes.add_sentence(&REPLIES, sentence);
            labels.extend(votes.chief_label());
            votes
                .0
                .retain(|(label, _)| matches!(label, Label::Topic(_)));
            topics.merge(&votes);
        }
        Self {
            words: sentences.iter().map(|sentence| sentence.len() - 2).sum(),
            topics,
            labels,
            unknown_share: unknown_share(&sentences),
            repeated_share: repeated_share(&sentences),
        }
    }

    fn count(&self, is_meant: impl Fn(Label) -> bool) -> usize {
        self.labels.iter().filter(|label| is_meant(**label)).count()
    }
}

/// Fewer word pairs than this are a passing mention.
const MIN_PAIRS: f64 = 1.0;

/// How strongly a text speaks of each label, in the order of first mention.
#[derive(Default)]
struct Votes(Vec<(Label, f64)>);

impl Votes {
    /// A word pair with one meaning has a whole vote; with n of them, each gets 1/n².
    fn add_sentence(&mut self, lexicon: &Lexicon, sentence: &[String]) {
        for pair in sentence.windows(2) {
            let meanings = lexicon.meanings(&pair.join(" "));
            for label in meanings {
                self.add(*label, (meanings.len() as f64).powi(-2));
            }
        }
    }

    fn add(&mut self, label: Label, votes: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == label) {
            Some((_, sum)) => *sum += votes,
            None => self.0.push((label, votes)),
        }
    }

    fn merge(&mut self, other: &Self) {
        for (label, votes) in &other.0 {
            self.add(*label, *votes);
        }
    }

    /// What a sentence chiefly says, if that is not about a topic.
    fn chief_label(&self) -> Option<Label> {
        let (label, votes) = self.0.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        (*votes >= MIN_PAIRS && !matches!(label, Label::Topic(_))).then_some(*label)
    }

    fn of(&self, label: Label) -> f64 {
        self.0
            .iter()
            .find(|(known, _)| *known == label)
            .map_or(0.0, |(_, votes)| *votes)
    }

    fn total(&self) -> f64 {
        self.0.iter().map(|(_, votes)| votes).sum()
    }
}

fn topic_part(request: &Request, reply: &Reply) -> f64 {
    let Some(asked) = request.topic else {
        return 0.0;
    };
    if reply.topics.total() < MIN_PAIRS {
        return -2.0;
    }
    let share = reply.topics.of(Label::Topic(asked)) / reply.topics.total();
    // Common word pairs blur the share a little: 70 % is all, 30 % is nothing.
    3.0 * (5.0 * share - 2.5).clamp(-1.0, 1.0)
}

fn situation_part(request: &Request, reply: &Reply) -> f64 {
    let Some(told) = request.situation else {
        return 0.0;
    };
    let advice = reply.labels.iter().filter_map(|label| match label {
        Label::Situation(meant) if *meant == told => Some(2.0),
        Label::Situation(meant) if *meant == situations::opposite(told) => Some(-2.0),
        Label::Situation(_) => Some(-1.0),
        _ => None,
    });
    let (sum, count) = advice.fold((0.0, 0), |(sum, count), fit| (sum + fit, count + 1));
    if count == 0 {
        0.0
    } else {
        sum / f64::from(count)
    }
}

fn tone_part(request: &Request, reply: &Reply) -> f64 {
    let rude = reply.count(|label| label == Label::Tone(Tone::Rude)) > 0;
    let kind = reply.count(|label| label == Label::Tone(Tone::Kind)) > 0;
    match (request.mood, rude, kind) {
        (Mood::Upset, true, _) => -2.0,
        (Mood::Upset, _, true) => 1.5,
        (Mood::Upset, _, _) => -0.5,
        (Mood::Hurried, true, _) | (Mood::Hurried, _, true) => -1.5,
        (Mood::Hurried, _, _) => 1.5,
        (_, true, _) => -2.0,
        (_, _, true) => 1.0,
        _ => 0.0,
    }
}

/// Words that a reply asked to be brief may have, and words that a full one should have.
const BRIEF_WORDS: f64 = 16.0;
const FULL_WORDS: f64 = 26.0;
/// No reply in this world needs more words than this.
const MAX_WORDS: usize = 50;

fn length_part(request: &Request, reply: &Reply) -> f64 {
    if reply.words > MAX_WORDS {
        return -1.5;
    }
    let fullness = (reply.words as f64 - BRIEF_WORDS) / (FULL_WORDS - BRIEF_WORDS);
    let brevity = 1.0 - 2.0 * fullness.clamp(0.0, 1.0);
    match request.mood {
        Mood::Hurried => 1.5 * brevity,
        Mood::Curious => -brevity,
        Mood::Neutral | Mood::Upset => 0.75 * brevity,
    }
}

fn language_part(response: &str, reply: &Reply) -> f64 {
    if reply.words == 0 || reply.unknown_share > 0.5 || reply.repeated_share > 0.5 {
        return FLOOR - 7.0;
    }
    let cut_off = !response.trim_end().ends_with(['.', '!', '?', '"', '\'']);
    let ending = if cut_off { -3.0 } else { 0.0 };
    let odd = (reply.unknown_share - 0.1).max(0.0);
    let repetitive = (reply.repeated_share - 0.1).max(0.0);
    ending - 8.0 * (odd + repetitive)
}

fn unknown_share(sentences: &[Vec<String>]) -> f64 {
    let pairs = sentences.iter().flat_map(|sentence| sentence.windows(2));
    let (unknown, all) = pairs.fold((0_usize, 0_usize), |(unknown, all), pair| {
        (
            unknown + usize::from(!REPLIES.knows(&pair.join(" "))),
            all + 1,
        )
    });
    unknown as f64 / all.max(1) as f64
}

fn repeated_share(sentences: &[Vec<String>]) -> f64 {
    let mut seen = HashSet::new();
    let (mut repeated, mut all) = (0_usize, 0_usize);
    for run in sentences.iter().flat_map(|sentence| sentence.windows(3)) {
        all += 1;
        repeated += usize::from(!seen.insert(run));
    }
    repeated as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests;
