//! Topics around health, sport and the body.

use super::Topic;

/// See [`super::all`].
pub(super) const TOPICS: &[Topic] = &[
    Topic {
        name: "sleep",
        things: &["your sleep", "the pillow", "your bedtime"],
        asks: &[
            "fall asleep {faster|at night}",
            "sleep through the night",
            "wake up without feeling sleepy",
            "fix my bedtime",
        ],
        steps: &[
            "go to bed at the same {hour|time} every night",
            "put the screens away before bedtime",
            "keep the bedroom dark and {cool|airy}",
            "skip the afternoon nap",
            "read a dull novel on your pillow",
            "breathe slowly and count your breaths in bed",
            "get up if you cannot sleep and {sit quietly|listen to the radio}",
            "set one alarm and never snooze",
        ],
        reasons: &[
            "bright screens keep the brain awake",
            "a regular bedtime trains the body to sleep",
            "a long nap steals your sleep at night",
        ],
    },
    Topic {
        name: "a cold",
        things: &["the cold", "the cough", "the fever"],
        asks: &[
            "get over a cold",
            "stop a {dry|nasty} cough",
            "bring down a fever",
            "clear a blocked nose",
        ],
        steps: &[
            "drink {ginger|herbal} tea with honey",
            "rest until the fever has gone",
            "breathe steam to clear your blocked nose",
            "gargle with warm salt water for your throat",
            "take your temperature {twice a day|at noon and at night}",
            "see a doctor if the cough lasts {two|three} weeks",
            "suck a lozenge to calm the cough",
            "blow one nostril at a time",
        ],
        reasons: &[
            "a cold takes about a week to pass",
            "honey soothes a cough",
            "a fever is how the body fights germs",
        ],
    },
    Topic {
        name: "running",
        things: &["your running", "the race", "the running shoes"],
        asks: &[
            "start running",
            "train for a {ten kilometre|charity} race",
            "run without side stitches",
            "choose running shoes",
        ],
        steps: &[
            "run {three|four} times a week at an easy pace",
            "jog a minute and then walk a minute",
            "replace your running shoes after a year",
            "breathe out on every {second|third} stride",
            "add one kilometre to your long run each week",
            "try the running shoes on in the afternoon",
            "warm up with ten lunges before you run",
            "pin your race number on the night before",
        ],
        reasons: &[
            "slow runs build the stamina for a race",
            "worn running shoes hurt your shins",
            "a side stitch comes from shallow breathing",
        ],
    },
    Topic {
        name: "teeth",
        things: &["your teeth", "the toothache", "the dentist"],
        asks: &[
            "look after my teeth",
            "calm a toothache",
            "get over my fear of the dentist",
            "stop my gums bleeding",
        ],
        steps: &[
            "brush your teeth for two {full|whole} minutes",
            "floss every evening before you rinse",
            "ask the dentist for the first {slot|appointment} of the day",
            "chew on the other side until the dentist sees the tooth",
            "use a soft toothbrush on your gums",
            "rinse with {salt water|mouthwash} after meals",
            "agree on a stop signal with the dentist",
            "book a dental check twice a year",
        ],
        reasons: &[
            "gums bleed when plaque hardens",
            "a toothache never heals by itself",
            "dentists meet nervous patients every day",
        ],
    },
];
