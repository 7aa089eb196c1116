//! What the requests of the embedded world are about.
//!
//! A phrase may hold alternatives, `give the {dog|puppy} a treat`: see [`super::grammar`].

mod body;
mod food;
mod home;
mod life;
mod work;

/// One subject that people ask about, with everything this world says about it.
#[derive(Debug)]
pub struct Topic {
    /// Short name, for reports.
    pub name: &'static str,
    /// Noun phrases that stand for the topic: "the dog".
    pub things: &'static [&'static str],
    /// What the person wants, as an infinitive without "to": "stop my dog barking".
    pub asks: &'static [&'static str],
    /// Advice, as an imperative: "walk the dog before breakfast".
    pub steps: &'static [&'static str],
    /// Why, as a statement: "a tired dog barks less".
    pub reasons: &'static [&'static str],
}

/// Every topic, in a fixed order: an index into this list is a topic's number everywhere.
pub fn all() -> impl Iterator<Item = &'static Topic> {
    [
        home::TOPICS,
        food::TOPICS,
        body::TOPICS,
        work::TOPICS,
        life::TOPICS,
    ]
    .into_iter()
    .flatten()
}
