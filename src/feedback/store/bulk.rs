//! Many judgements of one annotator at once, by a program: memory does not grow with them.
//!
//! A [`super::session::Session`] keeps every event, for undo and history. An import needs one question
//! answered, whether this was judged before, and how: see [`Answered`]. Records are known to be on
//! disk after [`Bulk::close`].

use super::answered::Answered;
use super::decision::{Decision, Shown};
use super::load::session_files;
use super::lock::Lock;
use super::log::{Log, create_file, make_folder};
use super::stamps::Stamps;
use super::{StoreError, annotator_folder};
use crate::feedback::record::glance::Glance;
use crate::feedback::record::{Header, Kind, QUESTION, Record};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use ulid::Ulid;

/// The open file of one annotator. It is created by the first record.
pub struct Bulk {
    id: Ulid,
    annotator: String,
    folder: PathBuf,
    stamps: Stamps,
    log: Option<Log>,
    seq: u64,
    last_id: Ulid,
    _lock: Lock,
}

impl Bulk {
    /// Locks the annotator's folder in `feedback` (made if missing) and counts into `answered` what
    /// is there.
    ///
    /// # Errors
    /// [`StoreError`]: a name that is no folder, a lock held elsewhere, damage, or no write access.
    pub fn open(
        feedback: &Path,
        annotator: &str,
        stamps: Stamps,
        answered: &mut Answered,
    ) -> Result<Self, StoreError> {
        let folder = annotator_folder(feedback, annotator)?;
        make_folder(feedback, &folder)?;
        let lock = Lock::take(&folder, annotator)?;
        let mut bulk = Self {
            id: Ulid::nil(),
            annotator: annotator.to_owned(),
            folder,
            stamps,
            log: None,
            seq: 0,
            last_id: Ulid::nil(),
            _lock: lock,
        };
        let files = session_files(&bulk.folder)?;
        for (session, path) in &files {
            bulk.last_id = bulk.last_id.max(*session);
            bulk.read(path, &mut |glance| answered.count(annotator, glance))?;
        }
        let taken_back = answered.forget_taken_back();
        if taken_back.map_err(StoreError::io(&bulk.folder))? {
            for (_, path) in &files {
                bulk.read(path, &mut |glance| answered.recount(annotator, glance))?;
            }
            answered.recounted();
        }
        bulk.id = bulk.stamps.id_after(bulk.last_id);
        bulk.last_id = bulk.id;
        Ok(bulk)
    }

    /// Shows `count` the events of a session file. A line cut off at its end is none.
    fn read(
        &mut self,
        path: &Path,
        count: &mut dyn FnMut(&Glance) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let file = File::open(path).map_err(StoreError::io(path))?;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            let read = reader
                .read_until(b'\n', &mut bytes)
                .map_err(StoreError::io(path))?;
            if read == 0 {
                break;
            }
            let whole = bytes.pop_if(|last| *last == b'\n').is_some();
            match Glance::at(&bytes) {
                Ok(glance) => {
                    self.last_id = self.last_id.max(glance.id);
                    count(&glance).map_err(StoreError::io(path))?;
                }
                Err(_) if !whole => break,
                Err(source) => {
                    return Err(StoreError::Line {
                        path: path.to_owned(),
                        line,
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    /// Writes a judgement.
    ///
    /// # Errors
    /// As [`super::session::Session::judge`].
    pub fn judge(&mut self, shown: &Shown, decision: Decision) -> Result<Ulid, StoreError> {
        let mut record = shown.record(Kind::Judgement, self.header());
        record.question = Some(QUESTION.to_owned());
        decision.write_to(&mut record);
        self.append(record)
    }

    /// Writes a record from another store under a new id of this session, which is returned; its time
    /// stays.
    ///
    /// # Errors
    /// As [`super::session::Session::judge`].
    pub fn add(&mut self, mut record: Record) -> Result<Ulid, StoreError> {
        let header = self.header();
        (record.id, record.session) = (header.id, header.session);
        record.annotator = header.annotator;
        self.append(record)
    }

    fn append(&mut self, mut record: Record) -> Result<Ulid, StoreError> {
        record.check()?;
        if self.log.is_none() {
            let path = self.folder.join(format!("{}.jsonl", self.id));
            self.log = Some(Log::create(path, create_file)?);
            let start = Record::new(Kind::SessionStart, self.header());
            self.write(start, false)?;
            // The first record was made before the session had its first line.
            record.id = self.header().id;
        }
        let id = record.id;
        self.write(record, false)?;
        Ok(id)
    }

    fn write(&mut self, mut record: Record, sync: bool) -> Result<(), StoreError> {
        record.seq = self.seq;
        let Some(log) = &mut self.log else {
            return Err(StoreError::ReadOnly {
                reason: "the session has no file".into(),
            });
        };
        log.append(&mut record, sync)?;
        self.seq += 1;
        Ok(())
    }

    /// Ends the session; all its records are on disk then.
    ///
    /// # Errors
    /// As [`super::session::Session::judge`].
    pub fn close(mut self) -> Result<(), StoreError> {
        if self.log.is_none() {
            return Ok(());
        }
        let end = Record::new(Kind::SessionEnd, self.header());
        self.write(end, true)
    }

    fn header(&mut self) -> Header {
        self.last_id = self.stamps.id_after(self.last_id);
        Header {
            id: self.last_id,
            session: self.id,
            seq: self.seq,
            ts: self.stamps.now(),
            annotator: self.annotator.clone(),
        }
    }
}
