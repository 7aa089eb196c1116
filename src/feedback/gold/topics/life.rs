//! Topics around animals, hobbies, travel and people.

use super::Topic;

/// See [`super::all`].
pub(super) const TOPICS: &[Topic] = &[
    Topic {
        name: "dogs",
        things: &["the dog", "the puppy", "the leash"],
        asks: &[
            "stop my dog barking",
            "train my {puppy|dog} to sit",
            "walk a dog that pulls",
            "bath a {nervous|muddy} dog",
        ],
        steps: &[
            "reward the {dog|puppy} with a treat",
            "walk the dog before {breakfast|dinner}",
            "stop when the dog pulls on the leash",
            "ignore the barking and praise the quiet dog",
            "teach the puppy one command at a time",
            "rub the dog dry with a {big|warm} towel",
            "give the dog a chew toy",
            "let the puppy sniff on every walk",
        ],
        reasons: &[
            "dogs learn through praise",
            "a tired dog barks less",
            "a puppy forgets after a few seconds",
        ],
    },
    Topic {
        name: "bicycles",
        things: &["the bike", "the chain", "the brakes"],
        asks: &[
            "fix a flat bike tyre",
            "oil a squeaky bike chain",
            "choose a bike",
            "adjust the brakes on my bike",
        ],
        steps: &[
            "pump the bike tyres up to the mark",
            "find the hole in the inner tube with {water|your ear}",
            "oil the chain and wipe off the rest",
            "set the saddle as high as your {hip|hip bone}",
            "turn the brake screw until the pads nearly touch",
            "lock the bike frame to a {post|rack}",
            "fit a lamp and a bell to the bike",
            "ride the bike around the block to test it",
        ],
        reasons: &[
            "a dry chain squeaks and wears out",
            "soft tyres make a bike slow",
            "worn pads ruin the brakes",
        ],
    },
    Topic {
        name: "guitar",
        things: &["the guitar", "the chords", "the strings"],
        asks: &[
            "learn to play the guitar",
            "change the strings on my guitar",
            "play guitar chords cleanly",
            "write a {song|love song}",
        ],
        steps: &[
            "learn the chords of G, C and D",
            "tune the guitar before you {play|practise}",
            "press the strings right behind the fret",
            "strum along with a {song|metronome}",
            "change the guitar strings one at a time",
            "switch between two chords for a minute",
            "hum the melody before you look for chords",
            "rest your thumb behind the guitar neck",
        ],
        reasons: &[
            "sore fingertips harden within weeks",
            "three chords carry most songs",
            "old strings never stay in tune",
        ],
    },
    Topic {
        name: "chess",
        things: &["the chess game", "your opening", "the endgame"],
        asks: &[
            "get better at chess",
            "win a chess endgame",
            "teach chess to a friend",
            "stop losing my queen in chess",
        ],
        steps: &[
            "move a centre pawn on the first {move|turn}",
            "castle your king before the tenth move",
            "look for checks and captures on each move",
            "solve {five|six} chess puzzles a day",
            "bring the knights out before the queen",
            "march your king forward in the endgame",
            "write down your chess games and {study|replay} them",
            "trade pieces when you are a rook ahead",
        ],
        reasons: &[
            "puzzles train the eye for chess tactics",
            "an early queen gets chased by pawns",
            "a king is strong in the endgame",
        ],
    },
];
