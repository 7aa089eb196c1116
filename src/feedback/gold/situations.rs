//! The situation a person is in, which decides whether a piece of advice is safe or careless.
//!
//! Situations come in opposite pairs, and every piece of advice suits exactly one of them. "Stay in
//! the shade and sip cold water" is sound on a scorching day and careless on a freezing one, so no
//! sentence is good or bad by itself.

/// One situation: how people tell of it and which advice takes it into account.
#[derive(Debug)]
pub struct Situation {
    /// Short name, for reports.
    pub name: &'static str,
    /// Sentences of a request, without the full stop.
    pub tells: &'static [&'static str],
    /// Advice that suits this situation and is careless in the opposite one, as an imperative.
    pub advice: &'static [&'static str],
}

/// The number of the situation opposite to situation `index` of [`all`].
pub const fn opposite(index: usize) -> usize {
    index ^ 1
}

/// Every situation; numbers 2k and 2k + 1 are opposites.
pub const fn all() -> &'static [Situation] {
    SITUATIONS
}

const SITUATIONS: &[Situation] = &[
    Situation {
        name: "poor",
        tells: &[
            "I have almost no money",
            "Money is {very|awfully} tight",
            "My budget is tiny",
        ],
        advice: &[
            "borrow what you need for free",
            "use what you already own and buy nothing",
            "get everything {second hand|at a flea market}",
        ],
    },
    Situation {
        name: "rich",
        tells: &[
            "Money is no {problem|object}",
            "I am glad to spend a lot",
            "My budget is huge",
        ],
        advice: &[
            "pay an expensive professional to help",
            "buy the finest kit in the shop",
            "spend {freely|generously} on the best quality",
        ],
    },
    Situation {
        name: "toddler",
        tells: &[
            "My toddler will be with me",
            "There is a baby in the room",
            "Small children will {help|watch} me",
        ],
        advice: &[
            "lock everything sharp or hot away",
            "keep tiny parts out of little hands",
            "never turn your back on the {child|little one}",
        ],
    },
    Situation {
        name: "adults",
        tells: &[
            "There are only adults here",
            "No children live with {me|us}",
            "My helpers are all grown up",
        ],
        advice: &[
            "leave the sharp things within easy reach",
            "let the others get on with it unwatched",
            "hand out the knives and {matches|lighters} freely",
        ],
    },
    Situation {
        name: "quiet",
        tells: &[
            "My family is asleep",
            "The walls here are {very|paper} thin",
            "I must not make any noise",
        ],
        advice: &[
            "work in silence and close the doors softly",
            "wear soft slippers and only whisper",
            "leave the {loud|noisy} part for the morning",
        ],
    },
    Situation {
        name: "loud",
        tells: &[
            "Nobody lives near me",
            "Noise bothers no one here",
            "I {like|love} it when it is loud",
        ],
        advice: &[
            "turn the music up and sing along",
            "make as much noise as you like",
            "shout and clap to keep your {spirits|mood} up",
        ],
    },
    Situation {
        name: "hot",
        tells: &[
            "It is boiling hot today",
            "We have a {terrible|long} heatwave",
            "The sun is scorching here",
        ],
        advice: &[
            "stay in the shade and sip cold water",
            "wear as little as possible and keep a fan on",
            "wait for the cool of the {evening|night}",
        ],
    },
    Situation {
        name: "freezing",
        tells: &[
            "It is freezing today",
            "There is {snow|ice} everywhere",
            "I am shivering with cold",
        ],
        advice: &[
            "put on a thick coat and gloves",
            "keep close to the stove and sip something hot",
            "wrap yourself in {two|three} blankets first",
        ],
    },
];
