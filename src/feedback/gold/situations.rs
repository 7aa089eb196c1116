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
        name: "hurried",
        tells: &[
            "I have only ten minutes",
            "I am in a terrible hurry",
            "It has to be done {at once|now}",
        ],
        advice: &[
            "do the quickest version and stop there",
            "skip whatever can wait until tomorrow",
            "set a timer for {five|eight} minutes and hurry",
        ],
    },
    Situation {
        name: "unhurried",
        tells: &[
            "I have the whole weekend free",
            "I am in no hurry at all",
            "There is no {rush|deadline} for me",
        ],
        advice: &[
            "spread the work over several days",
            "take {many|long} breaks and enjoy every part",
            "go slowly and do it all twice",
        ],
    },
    Situation {
        name: "sore back",
        tells: &[
            "My back hurts {badly|a lot}",
            "I am recovering from surgery",
            "My doctor told me not to lift",
        ],
        advice: &[
            "lift nothing heavy and sit down often",
            "let someone stronger do the lifting",
            "stop at the first {twinge|sign} of pain",
        ],
    },
    Situation {
        name: "athletic",
        tells: &[
            "I am strong and very fit",
            "I want it to be a workout",
            "I have {plenty of|endless} energy",
        ],
        advice: &[
            "push hard until your muscles burn",
            "do all the heavy lifting yourself",
            "add {fifty|sixty} jumps to make it tough",
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
    Situation {
        name: "beginner",
        tells: &[
            "I have never done this before",
            "I am a {complete|total} beginner",
            "I know nothing about it",
        ],
        advice: &[
            "have someone show you the basics first",
            "begin with the very easiest version",
            "watch a {beginner|starter} course and copy it",
        ],
    },
    Situation {
        name: "expert",
        tells: &[
            "I have done this for {years|decades}",
            "I teach this to others",
            "I already know all the basics",
        ],
        advice: &[
            "skip the basics and trust your skill",
            "try the hardest version you know",
            "invent a {bold|new} method of your own",
        ],
    },
    Situation {
        name: "alone",
        tells: &[
            "I have to do it all alone",
            "There is nobody to help me",
            "I live {by myself|on my own}",
        ],
        advice: &[
            "choose a way that needs only one person",
            "tell someone by phone before you begin alone",
            "do it in small parts that {one|a single} pair of hands can manage",
        ],
    },
    Situation {
        name: "group",
        tells: &[
            "{Five|Six} friends will help me",
            "My whole family joins in",
            "We are a big group",
        ],
        advice: &[
            "give each of the others one job",
            "form {two|three} teams and swap halfway",
            "choose a way that needs many hands",
        ],
    },
    Situation {
        name: "offline",
        tells: &[
            "I have no internet",
            "My phone is {broken|dead}",
            "I do not use any screens",
        ],
        advice: &[
            "write the plan on a sheet of paper",
            "ask at the library for a printed guide",
            "learn the steps by {heart|memory}",
        ],
    },
    Situation {
        name: "online",
        tells: &[
            "I am always on my phone",
            "I love {apps|gadgets}",
            "I have fast internet",
        ],
        advice: &[
            "find an app that guides you",
            "stream a video while you do it",
            "ask in an online {forum|group} for ideas",
        ],
    },
    Situation {
        name: "elderly",
        tells: &[
            "It is for my frail grandmother",
            "My {uncle|aunt} is ninety and will join",
            "I am eighty-five years old",
        ],
        advice: &[
            "keep a chair and a walking stick nearby",
            "avoid ladders and slippery floors",
            "speak {slowly|clearly} and use large print",
        ],
    },
    Situation {
        name: "teenager",
        tells: &[
            "It is for my {bored|wild} teenage son",
            "My teenage daughter will join",
            "I am fifteen years old",
        ],
        advice: &[
            "turn it into a race with a prize",
            "climb, jump and get {dirty|muddy} while you do it",
            "film it and dare your classmates",
        ],
    },
];
