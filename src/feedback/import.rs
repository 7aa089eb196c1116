//! Other tools' files as items and judgements of a project.
//!
//! A file is read twice: first to check all of it, so that nothing is written of a file that cannot be
//! brought in whole, then to write. Text goes to `samples/` and is synced before the judgements about
//! it are written, a few megabytes at a time. What is kept of a row afterwards are hashes, of its item,
//! its text and its judgement, to know what is there already; beyond some thousand rows they lie in
//! nameless temporary files in the project's folder, so that memory does not grow with the file.
//!
//! A second pass that is interrupted (a killed process, a full disk) leaves a project that is sound
//! and lacks some rows. Importing the file again adds those and nothing else.

mod known;
mod labelled;
mod names;
mod native;
mod project;

use super::formats::InFormat;
use super::formats::lm_human_preferences::Decoder;
use super::item::{ItemError, SamplesError};
use super::judgements::{Content, Judgements, Read};
use super::lines::RowError;
use super::record::SIM_PREFIX;
use super::store::StoreError;
use super::store::stamps::Stamps;
use labelled::{Labelled, Slots};
use project::Project;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Most errors that are kept when bad rows are skipped; the others are counted.
pub const MAX_ERRORS: usize = 100;

/// Why a file was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A row that is not usable, or a file that cannot be read.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A file without a row.
    #[error(
        "{path}: no rows; expected JSON lines, a JSON array, CSV or Parquet with preference pairs, \
         for example {{\"prompt\": \"The sky is\", \"chosen\": \" blue.\", \"rejected\": \" green.\"}}",
        path = .0.display()
    )]
    Empty(PathBuf),
    /// The file is read twice, to write nothing if it cannot be brought in whole.
    #[error(
        "{path} is a pipe, and a file is read twice (first to check it): save it to a file",
        path = .0.display()
    )]
    Pipe(PathBuf),
    /// What is known of the rows does not fit into memory, and has no other place.
    #[error(
        "cannot keep what is known of the rows in a temporary file in the project's folder: {0}"
    )]
    Temporary(io::Error),
    /// The second pass, which writes, did not come to its end.
    #[error(
        "{source}\nThe import stopped after {judgements} new judgements. What was written is sound; \
         import the file again when this is solved: it adds what is missing and nothing twice"
    )]
    Interrupted {
        /// What stopped it.
        source: Box<ImportError>,
        /// Judgements that were written.
        judgements: usize,
    },
    /// The samples file.
    #[error(transparent)]
    Samples(#[from] SamplesError),
    /// The session file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A person's records cannot be made by a program's name, nor the other way round.
    #[error(
        "{0:?}: imported judgements need a name that does not start with `sim:`, which marks the \
         simulated annotators of this program"
    )]
    Simulated(String),
    /// Our own rows say who judged.
    #[error("rows of format native name their annotators; leave --annotator out")]
    NativeNames,
    /// One lock and one open file each.
    #[error(
        "the file has more than {} annotators; bring them under one name with --annotator NAME",
        project::MAX_ANNOTATORS
    )]
    TooManyAnnotators,
    /// An id that was not made from the text beside it.
    #[error(
        "item {item} is in samples/{batch}.jsonl with another text; import into another project, or \
         correct that file"
    )]
    OtherText {
        /// The samples file.
        batch: String,
        /// The item.
        item: String,
    },
    /// One set of ids each.
    #[error("the file has rows of more than {} batches", project::MAX_BATCHES)]
    TooManyBatches,
}

fn temporary(error: io::Error) -> ImportError {
    ImportError::Temporary(error)
}

/// Where a file goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The project.
    pub dir: &'a Path,
    /// Name of the samples file.
    pub batch: &'a str,
    /// Who judged, whatever the rows say; without it the rows' own names, else `import`.
    pub annotator: Option<&'a str>,
    /// The format of the rows; without it the first row tells.
    pub format: Option<InFormat>,
    /// Leave bad rows out instead of refusing the file.
    pub skip_bad: bool,
    /// Decodes rows that hold token ids.
    pub decoder: Option<Decoder<'a>>,
}

/// What became of a file.
#[derive(Debug, Default, Serialize)]
pub struct Imported {
    /// Name of the rows' format.
    pub format: &'static str,
    /// Rows that were understood.
    pub rows: usize,
    /// Items that are new in `samples/`.
    pub new_items: usize,
    /// Judgements that were written.
    pub judgements: usize,
    /// The same by annotator.
    pub annotators: BTreeMap<String, usize>,
    /// Judgements that an earlier import had brought.
    pub already_there: usize,
    /// Judgements that were left out because the same annotator says something else of the same
    /// answers in the project.
    pub conflicting: usize,
    /// Judgements whose answers are the same but for white space.
    pub duplicates: usize,
    /// Parts of rows that say nothing here: see [`Found`](super::formats::judged::Found), and
    /// answers that equal another of the same row.
    pub left_out: usize,
    /// Answers that nobody had judged: items only.
    pub unjudged: usize,
    /// Rows of the unpaired format whose counterpart was not found.
    pub alone: usize,
    /// Bad rows that were skipped.
    pub bad_rows: usize,
    /// Why; the first [`MAX_ERRORS`] of them.
    #[serde(serialize_with = "as_text")]
    pub skipped: Vec<RowError>,
}

fn as_text<S: serde::Serializer>(errors: &[RowError], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(errors.iter().map(ToString::to_string))
}

/// How far an import is: the part of the work that is done, 0..1.
pub type Progress<'a> = &'a mut dyn FnMut(f64);

/// Reads a file of any format into a project: text to `samples/`, judgements, with origin `import`,
/// to `feedback/`. The same judgement in several rows is several judgements; a second import of the
/// same file adds nothing.
///
/// # Errors
/// [`ImportError`]; nothing is written if the file cannot be brought in whole, bad rows that are to be
/// skipped aside. [`ImportError::Interrupted`] if the file system then refuses.
pub fn import(
    file: &Path,
    target: &Target,
    stamps: &mut dyn FnMut() -> Stamps,
    progress: Progress,
) -> Result<Imported, ImportError> {
    if let Some(name) = target.annotator.filter(|name| name.starts_with(SIM_PREFIX)) {
        return Err(ImportError::Simulated(name.to_owned()));
    }
    if std::fs::metadata(file).is_ok_and(|file| !file.is_file() && !file.is_dir()) {
        return Err(ImportError::Pipe(file.to_owned()));
    }
    let mut project = Project::new(target, stamps);
    let mut foresee = |incoming: Incoming| project.foresee(&incoming);
    each(file, target, &mut foresee, &mut |part| progress(part / 2.0))?;
    project.open()?;
    let mut further = |part: f64| progress(f64::midpoint(1.0, part));
    let imported = bring(file, target, &mut project, &mut further);
    imported.map_err(|source| ImportError::Interrupted {
        source: Box::new(source),
        judgements: project.written().judgements(),
    })
}

/// The second pass.
fn bring(
    file: &Path,
    target: &Target,
    project: &mut Project,
    progress: Progress,
) -> Result<Imported, ImportError> {
    let mut counts = Imported::default();
    let mut take = |incoming: Incoming| match incoming {
        Incoming::Duplicate => {
            counts.duplicates += 1;
            Ok(())
        }
        Incoming::Labelled(labelled) => {
            counts.left_out += labelled.equal_answers;
            project.add(*labelled)
        }
        Incoming::Native(native) => project.add_native(*native),
    };
    let read = each(file, target, &mut take, progress)?;
    project.close()?;
    let written = project.written();
    Ok(Imported {
        format: read.format,
        rows: read.rows,
        alone: read.alone,
        bad_rows: read.bad_rows,
        skipped: read.skipped,
        new_items: written.new_items,
        judgements: written.judgements(),
        annotators: written.annotators.clone(),
        already_there: written.already_there,
        conflicting: written.conflicting,
        unjudged: written.unjudged,
        left_out: read.left_out + counts.left_out,
        ..counts
    })
}

/// What one row brings.
enum Incoming {
    Duplicate,
    Labelled(Box<Labelled>),
    Native(Box<super::formats::native::Native>),
}

type Take<'a> = &'a mut dyn FnMut(Incoming) -> Result<(), ImportError>;

/// Reads every row and hands it on.
fn each(
    file: &Path,
    target: &Target,
    take: Take,
    progress: Progress,
) -> Result<Imported, ImportError> {
    const EVERY: usize = 512;
    let mut judgements = Judgements::open(file, target.format)?.decoding(target.decoder);
    let (mut slots, mut read) = (Slots::new(target.dir), Imported::default());
    loop {
        let next = match judgements.next_read() {
            Ok(None) => break,
            Ok(Some(row)) => {
                read.left_out += row.left_out;
                hand_on(row, target, &mut slots, take)
            }
            Err(error) => Err(error.into()),
        };
        match next {
            Ok(()) => read.rows += 1,
            Err(ImportError::Row(error @ RowError::Bad { .. })) if target.skip_bad => {
                read.bad_rows += 1;
                if read.skipped.len() < MAX_ERRORS {
                    read.skipped.push(error);
                }
            }
            Err(error) => return Err(error),
        }
        if (read.rows + read.bad_rows).is_multiple_of(EVERY) {
            progress(judgements.part_read());
        }
    }
    if read.rows + read.bad_rows == 0 {
        return Err(ImportError::Empty(file.to_owned()));
    }
    read.format = judgements.format().map_or("unknown", InFormat::name);
    read.alone = judgements.alone();
    Ok(read)
}

const TOO_OFTEN: &str = "more than 256 judgements of the same answers by one annotator";

fn hand_on(
    Read { row, content, .. }: Read,
    target: &Target,
    slots: &mut Slots,
    take: Take,
) -> Result<(), ImportError> {
    let bad = |error: ItemError| row.error(error);
    match content {
        Content::Native(_) if target.annotator.is_some() => Err(ImportError::NativeNames),
        Content::Native(native) => {
            native.item.row().map_err(bad)?;
            take(Incoming::Native(native))
        }
        Content::Judged(all) => {
            for judged in all {
                let incoming = match Labelled::new(judged, target).map_err(bad)? {
                    None => Incoming::Duplicate,
                    Some(mut labelled) => {
                        labelled.item.row().map_err(bad)?;
                        if !slots.number(&mut labelled)? {
                            return Err(row.error(TOO_OFTEN).into());
                        }
                        Incoming::Labelled(Box::new(labelled))
                    }
                };
                take(incoming)?;
            }
            Ok(())
        }
    }
}
