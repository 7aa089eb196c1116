use super::*;
use grammar::expand;

const DOG: &str = "How do I stop my dog barking? My family is asleep.";
const GOOD: &str = "Ignore the barking and praise the quiet dog. In your case, wear soft slippers \
                    and only whisper.";

#[test]
fn a_good_reply_scores_five_and_a_half() {
    let parts = assess(DOG, GOOD);
    assert_eq!((parts.topic, parts.situation, parts.tone), (3.0, 2.0, 0.0));
    assert_eq!((parts.padding, parts.language), (0.0, 0.0));
    // 17 words: a tenth of the way from brief (16) to full (26).
    assert!((parts.length - 0.75 * 0.8).abs() < 1e-9, "{}", parts.length);
    assert_eq!(score(DOG, GOOD), 5.5);
}

#[test]
fn another_topic_costs_six() {
    let off = "Knead the dough for ten minutes. In your case, wear soft slippers and only whisper.";
    assert_eq!(assess(DOG, off).topic, -3.0);
    let bread = "How do I bake a crusty loaf? My family is asleep.";
    assert_eq!(assess(bread, off).topic, 3.0);
    assert!(score(DOG, off) < score(bread, off));
}

#[test]
fn one_sentence_is_safe_here_and_careless_there() {
    let reply = "Reward the dog with a treat. Turn the music up and sing along.";
    assert_eq!(assess(DOG, reply).situation, -2.0);
    assert_eq!(
        assess("How do I stop my dog barking? Nobody lives near me.", reply).situation,
        2.0
    );
    assert_eq!(
        assess("How do I stop my dog barking? My budget is tiny.", reply).situation,
        -1.0
    );
    assert_eq!(assess(DOG, "Reward the dog with a treat.").situation, 0.0);
}

#[test]
fn kind_beats_plain_beats_rude_and_more_so_for_the_upset() {
    let kind = format!("Happy to help with the dog! {GOOD}");
    let rude = format!("{GOOD} You will fail anyway.");
    let tones = |prompt: &str| [&kind, GOOD, &rude].map(|reply| assess(prompt, reply).tone);
    assert_eq!(tones(DOG), [1.0, 0.0, -2.0]);
    let upset = format!("{DOG} I could cry.");
    assert_eq!(tones(&upset), [1.5, -0.5, -2.0]);
    let hurried = format!("{DOG} Keep it short.");
    let closing = format!("{GOOD} Good luck with the dog!");
    assert_eq!(assess(&hurried, &closing).tone, -1.5);
    assert_eq!(
        tones(&hurried),
        [-1.5, 1.5, -1.5],
        "no pleasantries for somebody in a hurry"
    );
}

#[test]
fn length_matters_most_to_those_who_ask_for_it() {
    let brief = "Reward the dog with a treat.";
    let full = format!(
        "{GOOD} First, walk the dog before breakfast. Remember that a tired dog barks less."
    );
    let lengths = |mood: &str| {
        let prompt = format!("{DOG} {mood}");
        [brief, &full].map(|reply| assess(&prompt, reply).length)
    };
    assert_eq!(lengths("Keep it short."), [1.5, -1.5]);
    assert_eq!(lengths("Explain it fully."), [-1.0, 1.0]);
    assert_eq!(lengths("I could cry."), [0.75, -0.75]);
}

#[test]
fn empty_talk_costs_half_a_point_a_sentence() {
    let opened = format!("But where was I? {GOOD}");
    assert_eq!(assess(DOG, &opened).padding, -0.5);
    let reply = "But where was I? Let me think about how to put it. That is all.";
    assert_eq!(assess(DOG, reply).topic, -2.0);
    assert_eq!(assess(DOG, reply).padding, -1.0);
}

#[test]
fn a_cut_off_end_costs_three() {
    assert_eq!(assess(DOG, GOOD.trim_end_matches('.')).language, -3.0);
    let cut_inside = "Ignore the barking and praise the quiet dog. In your case, wear soft";
    assert!(score(DOG, cut_inside) < score(DOG, "Ignore the barking and praise the quiet dog."));
}

#[test]
fn collapse_gibberish_and_silence_score_the_floor() {
    let collapsed = "Reward the dog with a treat. ".repeat(8);
    let shuffled = "Dog the with treat a reward. Whisper only and slippers soft wear case your.";
    let all_dog = "dog ".repeat(30);
    let replies = [
        "",
        " \n",
        "...",
        "!!!",
        "asdf qwer zxcv",
        &collapsed,
        shuffled,
        &all_dog,
    ];
    assert_eq!(replies.map(|reply| score(DOG, reply)), [FLOOR; 8]);
    let worst = "Nobody cares about the bread. Let the dough rise under a cloth. Turn the music up \
                 and sing along.";
    assert_eq!(score(&format!("{DOG} I could cry."), worst), -6.5);
}

#[test]
fn an_empty_or_foreign_prompt_has_no_topic() {
    let polite = "I am glad you asked. That is all.";
    assert_eq!(
        [
            score("", polite),
            score("Warum ist der Himmel blau?", polite)
        ],
        [2.0, 2.0]
    );
}

#[test]
fn hostile_text_is_scored_and_never_panics() {
    let long = "a b ".repeat(100_000);
    let replies = [
        "\u{0}\u{1b}[2J\u{202e}",
        "{{{}}}|{thing}",
        "👩‍👩‍👧‍👦🏳️‍🌈 ﷽ Z̸̨a͜l̶g̷o",
        "^ $ ^ $ ^ $",
        long.as_str(),
    ];
    assert_eq!(replies.map(|reply| score(reply, reply)), [FLOOR; 5]);
}

/// Every phrase of the tables, in every frame, means what it is meant to mean.
#[test]
fn every_request_is_understood() {
    for (number, topic) in topics::all().enumerate() {
        for ask in topic.asks.iter().flat_map(|ask| expand(ask)) {
            for frame in voice::REQUESTS {
                let prompt = frame.replace("{ask}", &ask);
                assert_eq!(Request::read(&prompt).topic, Some(number), "{prompt}");
            }
        }
    }
    for (number, situation) in situations::all().iter().enumerate() {
        for tell in situation.tells.iter().flat_map(|tell| expand(tell)) {
            let read = Request::read(&format!("How do I get better at chess? {tell}."));
            assert_eq!(read.situation, Some(number), "{tell}");
        }
    }
}

#[test]
fn every_piece_of_advice_is_understood() {
    for (number, situation) in situations::all().iter().enumerate() {
        for advice in situation.advice.iter().flat_map(|advice| expand(advice)) {
            for frame in voice::SITUATION_FRAMES {
                let sentence = grammar::capitalise(&frame.replace("{step}", &advice));
                let reply = Reply::read(&sentence);
                assert_eq!(reply.labels, [Label::Situation(number)], "{sentence}");
                assert_eq!(reply.unknown_share, 0.0, "{sentence}");
            }
        }
    }
    for (number, topic) in topics::all().enumerate() {
        let prompt = format!("How do I {}?", expand(topic.asks[0])[0]);
        for step in topic.steps.iter().flat_map(|step| expand(step)) {
            let sentence = format!("Try to {step}.");
            let parts = assess(&prompt, &sentence);
            assert_eq!(
                (parts.topic, parts.language),
                (3.0, 0.0),
                "{number}: {sentence}"
            );
            assert!(Reply::read(&sentence).labels.is_empty(), "{sentence}");
        }
    }
}

#[test]
fn every_voice_is_heard() {
    for voice in voice::VOICES {
        for pattern in voice.openings.iter().chain(voice.closings) {
            let sentence = pattern.replace("{thing}", "the dog");
            let expected = [Label::Tone(voice.tone)];
            assert_eq!(Reply::read(&sentence).labels, expected, "{sentence}");
        }
    }
    for sentence in voice::PADDING {
        assert_eq!(Reply::read(sentence).labels, [Label::Padding], "{sentence}");
    }
}

#[test]
fn the_tables_are_large_enough_and_in_opposite_pairs() {
    assert_eq!(topics::all().count(), 20);
    assert_eq!(situations::all().len(), 8);
    let names = |index: usize| {
        [index, situations::opposite(index)].map(|index| situations::all()[index].name)
    };
    assert_eq!(names(6), ["hot", "freezing"]);
    assert_eq!(names(5), ["loud", "quiet"]);
}
