//! The judgements of a file of any format, one row at a time.

use super::formats::judged::{Found, Judged};
use super::formats::lm_human_preferences::{self, Decoder};
use super::formats::native::Native;
use super::formats::unpaired::Matcher;
use super::formats::value::Object;
use super::formats::{InFormat, row_of, unpaired};
use super::lines::{Row, RowError};
use super::rows::Rows;
use std::path::Path;

/// What a row of a file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Judgements, or answers to be judged.
    Judged(Vec<Judged>),
    /// A row of our own format.
    Native(Box<Native>),
}

/// One row that was understood.
#[derive(Debug)]
pub struct Read {
    /// File and line, for what the content turns out to lack; the text is gone.
    pub row: Row,
    /// What it holds.
    pub content: Content,
    /// [`Found::left_out`].
    pub left_out: usize,
}

impl Read {
    /// The judgements of the row, whatever its format.
    pub fn judged(self) -> Vec<Judged> {
        match self.content {
            Content::Judged(judged) => judged,
            Content::Native(native) => vec![native.judged()],
        }
    }
}

/// Reader of a file of judgements. The first row that has a format decides for all, unless the
/// caller did.
pub struct Judgements<'a> {
    rows: Rows,
    format: Option<InFormat>,
    decoder: Option<Decoder<'a>>,
    matcher: Matcher,
}

impl<'a> Judgements<'a> {
    /// Opens a file; see [`Rows`] for what it may be.
    ///
    /// # Errors
    /// [`RowError`] if it cannot be opened.
    pub fn open(path: &Path, format: Option<InFormat>) -> Result<Self, RowError> {
        Ok(Self {
            rows: Rows::open(path)?,
            format,
            decoder: None,
            matcher: Matcher::default(),
        })
    }

    /// Decodes rows that hold token ids.
    #[must_use]
    pub fn decoding(mut self, decoder: Option<Decoder<'a>>) -> Self {
        self.decoder = decoder;
        self
    }

    /// The format, once it is known.
    pub fn format(&self) -> Option<InFormat> {
        self.format
    }

    /// The part of the file that was read, 0..1.
    pub fn part_read(&self) -> f64 {
        self.rows.part_read()
    }

    /// Rows of the unpaired format whose counterpart was not found.
    pub fn alone(&self) -> usize {
        self.matcher.alone()
    }

    /// The next row, or `None` at the end.
    ///
    /// # Errors
    /// [`RowError::Bad`] about one row, after which reading goes on; [`RowError::Io`].
    pub fn next_read(&mut self) -> Result<Option<Read>, RowError> {
        let Some(mut row) = self.rows.next_row()? else {
            return Ok(None);
        };
        let (content, left_out) = self.content(&row)?;
        row.text = String::new();
        Ok(Some(Read {
            row,
            content,
            left_out,
        }))
    }

    /// What a row holds, and how much of it was left out.
    fn content(&mut self, row: &Row) -> Result<(Content, usize), RowError> {
        let object: Object = row_of(row.parse()?).map_err(|reason| row.error(reason))?;
        let format = match self.format {
            Some(format) => format,
            None => *self
                .format
                .insert(InFormat::of(&object).map_err(|e| row.error(e))?),
        };
        let expected = |reason: String| {
            let (name, example) = (format.name(), format.example());
            row.error(format!("{reason} (format {name}: {example})"))
        };
        match format {
            InFormat::Native => {
                let native = Native::read(object).map_err(expected)?;
                Ok((Content::Native(Box::new(native)), 0))
            }
            InFormat::Unpaired => {
                let half = unpaired::read(&object).map_err(expected)?;
                let judged = self.matcher.add(half).into_iter().collect();
                Ok((Content::Judged(judged), 0))
            }
            InFormat::LmHumanPreferences => {
                let judged = lm_human_preferences::read(&object, self.decoder);
                Ok((Content::Judged(vec![judged.map_err(expected)?]), 0))
            }
            other => {
                let Found { judged, left_out } = other.read(object).map_err(expected)?;
                if judged.iter().any(|judged| judged.prompt.is_empty()) {
                    return Err(row.error("the prompt is empty"));
                }
                Ok((Content::Judged(judged), left_out))
            }
        }
    }
}
