//! Topics around the house and the garden.

use super::Topic;

/// See [`super::all`].
pub(super) const TOPICS: &[Topic] = &[
    Topic {
        name: "laundry",
        things: &["the laundry", "the stain", "the wool jumper"],
        asks: &[
            "wash a wool jumper",
            "get a {wine|grass} stain out of a shirt",
            "keep my laundry from turning pink",
            "do my laundry properly",
        ],
        steps: &[
            "sort the laundry into whites and {colours|darks}",
            "dab the stain with cold water and {salt|soap}",
            "wash the wool jumper by hand",
            "dry the jumper flat on a towel",
            "set the washing machine to {thirty|forty} degrees",
            "turn the jeans inside out before the wash",
            "read the label on the {shirt|collar} first",
            "hang the shirts up while they are damp",
        ],
        reasons: &[
            "hot water sets a stain for good",
            "wool shrinks in a warm wash",
            "one red sock turns the whole laundry pink",
        ],
    },
    Topic {
        name: "tomatoes",
        things: &["the tomatoes", "the seedlings", "the vegetable bed"],
        asks: &[
            "grow {tomatoes|cherry tomatoes}",
            "save my tomatoes from slugs",
            "start a vegetable bed",
            "plant tomato seedlings",
        ],
        steps: &[
            "sow the tomato seeds in small pots",
            "tie the tomato stems to a {stick|cane}",
            "mix compost into the vegetable bed",
            "water the {roots|soil} and not the tomato leaves",
            "pinch off the side shoots every week",
            "pick the slugs off the seedlings at dusk",
            "plant the seedlings {a foot|two feet} apart",
            "harvest the tomatoes when they are {red|deep red}",
        ],
        reasons: &[
            "tomatoes need six hours of sun",
            "wet tomato leaves catch blight",
            "compost feeds the seedlings for weeks",
        ],
    },
    Topic {
        name: "painting a room",
        things: &["the paint", "the bedroom wall", "the brushes"],
        asks: &[
            "paint my {bedroom|hall} wall",
            "choose paint for a small room",
            "paint a wall without streaks",
            "fix peeling paint",
        ],
        steps: &[
            "put masking tape along the {skirting|window frames}",
            "stir the paint for a full minute",
            "fill the cracks in the wall with plaster",
            "roll the paint on in {long|even} strokes",
            "sand the peeling paint before you start",
            "give the wall a second coat the next day",
            "cover the carpet with an old sheet",
            "rinse the brushes before the paint dries",
        ],
        reasons: &[
            "two thin coats of paint beat one thick coat",
            "fresh paint peels off a dusty wall",
            "pale paint makes a room look bigger",
        ],
    },
    Topic {
        name: "leaking tap",
        things: &["the tap", "the leak", "the blocked drain"],
        asks: &[
            "fix a dripping tap",
            "stop a leak under the {sink|bath}",
            "clear a blocked drain",
            "replace the washer in a tap",
        ],
        steps: &[
            "shut off the water valve under the basin",
            "unscrew the tap with a spanner",
            "swap the worn washer for a new one",
            "put a bucket under the leaking pipe",
            "wrap plumber's tape around the {thread|joint}",
            "push a plunger over the drain {ten|twenty} times",
            "pull the hair out of the drain with a hook",
            "tighten the pipe nut by a quarter turn",
        ],
        reasons: &[
            "a dripping tap wastes a bath of water a week",
            "most leaks come from a worn washer",
            "hair blocks a drain faster than anything",
        ],
    },
];
