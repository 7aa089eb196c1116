//! How people sound: the mood of a request, and the openings, closings and padding of a reply.
//!
//! `{thing}` stands for one of the topic's [`things`](super::topics::Topic::things), `{ask}` and
//! `{step}` for one of its `asks` and `steps`.

/// What the person needs besides an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nothing in particular.
    Neutral,
    /// Comfort: the person is upset.
    Upset,
    /// A short reply.
    Hurried,
    /// A full reply.
    Curious,
}

/// Every mood, with the sentences of a request that tell it.
pub const MOODS: &[(Mood, &[&str])] = &[
    (Mood::Neutral, &[]),
    (
        Mood::Upset,
        &[
            "I am so upset.",
            "I could cry.",
            "I feel like a failure.",
            "I am really worried.",
            "I feel awful.",
        ],
    ),
    (
        Mood::Hurried,
        &[
            "Be brief.",
            "Short answer, please.",
            "In one line, please.",
            "Keep it short.",
            "Just the key point.",
        ],
    ),
    (
        Mood::Curious,
        &[
            "Tell me everything.",
            "Explain it fully.",
            "Give me details.",
            "Go into depth.",
            "I want the long answer.",
        ],
    ),
];

/// Ways to ask.
pub const REQUESTS: &[&str] = &[
    "How do I {ask}?",
    "How can I {ask}?",
    "I want to {ask}.",
    "I need to {ask}.",
    "Can you help me {ask}?",
    "Help me {ask}.",
    "I am trying to {ask}.",
    "What is the best way to {ask}?",
    "Do you know how to {ask}?",
    "Please tell me how to {ask}.",
];

/// The manner of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Warm.
    Kind,
    /// Neither warm nor hurtful.
    Plain,
    /// Hurtful.
    Rude,
}

/// What a reply in one tone says around its advice.
#[derive(Debug)]
pub struct Voice {
    /// Which tone.
    pub tone: Tone,
    /// Opening sentences.
    pub openings: &'static [&'static str],
    /// Closing sentences.
    pub closings: &'static [&'static str],
}

/// The three tones.
pub const VOICES: &[Voice] = &[
    Voice {
        tone: Tone::Kind,
        openings: &[
            "Happy to help with {thing}!",
            "I am glad you asked.",
            "Do not worry, you can do this.",
            "I understand how you feel.",
            "That sounds hard, and I am here for you.",
            "What a lovely idea!",
            "Many people struggle with {thing}.",
        ],
        closings: &[
            "Good luck with {thing}!",
            "You are doing great.",
            "I believe in you.",
            "Be gentle with yourself.",
            "Let me know how it goes.",
            "I hope {thing} will bring you joy.",
        ],
    },
    Voice {
        tone: Tone::Plain,
        openings: &[
            "Here is what works for {thing}.",
            "This is the usual way.",
            "There is a simple method.",
            "A few facts about {thing}.",
            "Here is the plan.",
        ],
        closings: &[
            "That is all.",
            "That covers {thing}.",
            "This works in most cases.",
            "That should do it.",
            "The rest follows from there.",
        ],
    },
    Voice {
        tone: Tone::Rude,
        openings: &[
            "What a silly question.",
            "Are you really too lazy to think?",
            "Even a fool can handle {thing}.",
            "Stop whining about {thing}.",
            "I am tired of people like you.",
            "You are hopeless.",
            "Why bother me with {thing}?",
        ],
        closings: &[
            "You will fail anyway.",
            "Now leave me alone.",
            "Nobody cares about {thing}.",
            "Try not to mess it up again.",
            "Do not waste my time again.",
            "You should be ashamed.",
        ],
    },
];

/// Ways to give a piece of advice.
pub const ADVICE_FRAMES: &[&str] = &[
    "{step}.",
    "{step}.",
    "Try to {step}.",
    "First, {step}.",
    "You could {step}.",
    "It helps to {step}.",
    "I would {step}.",
    "Be sure to {step}.",
];

/// Ways to give advice that goes with the situation.
pub const SITUATION_FRAMES: &[&str] = &[
    "{step}.",
    "In your case, {step}.",
    "Also, {step}.",
    "As things are, {step}.",
    "Best of all, {step}.",
    "Whatever you do, {step}.",
];

/// Ways to give a reason.
pub const REASON_FRAMES: &[&str] = &[
    "{step}.",
    "After all, {step}.",
    "Remember that {step}.",
    "You see, {step}.",
];

/// Sentences that say nothing: what makes a reply ramble.
pub const PADDING: &[&str] = &[
    "There is so much one could say about this.",
    "As the old saying goes, things are what they are.",
    "Some say yes, some say no, and some say neither.",
    "It depends on many things, as so often in life.",
    "But where was I?",
    "Let me think about how to put it.",
    "Time flies, and so does the wind.",
];
