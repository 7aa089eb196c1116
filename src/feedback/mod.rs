//! Human judgements: what was asked, what was answered, and where both are kept.
//!
//! | file | what |
//! |---|---|
//! | [`item`] | prompts and candidate answers to be judged (`samples/<batch>.jsonl`) |
//! | [`prompts`] | reader for prompt files |
//! | [`record`] | one event of an annotator, schema v1 |
//! | [`store`] | the append-only files `feedback/<annotator>/<session>.jsonl` |
//! | [`queue`] | which item comes next, and which answer stands on which side |
//! | [`known`] | items with a known answer, for checks (`gold/*.jsonl`) |
//! | [`disputes`] | what a moderator settles |
//! | [`sim`] | the simulated annotator |
//! | [`pairs`] | preference pairs, from a project or from a file: what reward training reads |
//! | [`labels`] | what counts: effective judgements with the text they are about |
//! | [`ledger`] | the same for one pass over more than memory holds |
//! | [`report`], [`check`] | what the labels say, and whether the files are sound |
//! | [`rows`] | the rows of any file: JSON lines, JSON array, CSV, Parquet, gzip |
//! | [`formats`] | the interchange formats, one file each: reader beside writer |
//! | [`judgements`] | the judgements of a file of any format, one row at a time |
//! | [`import`], [`export`] | from such files to a project and back |
//!
//! Invariants: text lives in `samples/` only, and records point to it by id and SHA-256; a record
//! is appended and never changed; [`record`] does no I/O and reads no clock.

pub mod answers;
pub mod check;
pub mod digest;
pub mod disputes;
pub mod export;
pub mod formats;
pub mod gold;
pub mod import;
pub mod item;
pub mod judgements;
pub mod known;
pub mod labels;
pub mod ledger;
pub mod lines;
pub mod pairs;
pub mod prompts;
pub mod queue;
pub mod record;
pub mod report;
pub mod rows;
pub mod sim;
mod spill;
pub mod store;
