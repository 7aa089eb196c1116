//! Topics around food and drink.

use super::Topic;

/// See [`super::all`].
pub(super) const TOPICS: &[Topic] = &[
    Topic {
        name: "bread",
        things: &["the bread", "the dough", "the loaf"],
        asks: &[
            "bake {bread|a loaf of bread}",
            "get my dough to rise",
            "bake a crusty loaf",
            "keep bread fresh",
        ],
        steps: &[
            "knead the dough for {eight|ten} minutes",
            "let the dough rise under a cloth",
            "stir the yeast into lukewarm milk",
            "dust the loaf with {flour|rye flour}",
            "bake the loaf until it sounds hollow",
            "slash the top of the loaf with a {razor|sharp blade}",
            "set a dish of water in the oven for a crisp crust",
            "cool the bread on a rack before you slice it",
        ],
        reasons: &[
            "yeast dies in boiling milk",
            "slow dough makes tasty bread",
            "steam gives the loaf its crust",
        ],
    },
    Topic {
        name: "soup",
        things: &["the soup", "the broth", "the lentils"],
        asks: &[
            "cook a pot of soup",
            "rescue a salty soup",
            "make lentil soup",
            "make a rich broth",
        ],
        steps: &[
            "fry the onions until they turn golden",
            "simmer the broth for {an hour|two hours}",
            "rinse the lentils before they go in the soup",
            "drop a raw potato into the salty soup",
            "blend {half|all} of the soup until it is smooth",
            "add carrots and celery to the broth",
            "skim the foam off the broth",
            "season the soup with {pepper and thyme|thyme}",
        ],
        reasons: &[
            "a potato soaks up some of the salt",
            "onions give the soup its sweetness",
            "a broth gets richer as it simmers",
        ],
    },
    Topic {
        name: "coffee",
        things: &["the coffee", "the espresso", "the grinder"],
        asks: &[
            "make better coffee",
            "clean my coffee machine",
            "brew coffee without a filter",
            "choose coffee beans",
        ],
        steps: &[
            "grind the beans {just before|right before} you brew",
            "use {two|three} spoons of coffee per cup",
            "let the kettle rest before you pour",
            "store the coffee beans in a tin",
            "rinse the paper filter first",
            "descale the coffee machine with citric acid",
            "froth the milk for the cappuccino",
            "brew the coffee for four minutes in a {press|jug}",
        ],
        reasons: &[
            "boiling water makes coffee bitter",
            "ground beans go stale in a week",
            "a dirty coffee machine spoils the espresso",
        ],
    },
    Topic {
        name: "birthday cake",
        things: &["the cake", "the icing", "the sponge"],
        asks: &[
            "bake a birthday cake",
            "ice a {chocolate|sponge} cake",
            "save a dry cake",
            "stop my cake from sinking",
        ],
        steps: &[
            "cream the butter with the sugar",
            "fold the cocoa into the cake mix",
            "line the cake tin with baking paper",
            "prick the sponge with a {skewer|toothpick}",
            "brush the dry cake with {syrup|orange juice}",
            "let the sponge cool before you spread the icing",
            "beat the icing with a spoon of lemon juice",
            "decorate the cake with {sprinkles|candles}",
        ],
        reasons: &[
            "a warm sponge melts the icing",
            "an open oven door makes a cake sink",
            "syrup makes a dry cake moist",
        ],
    },
];
