//! Writing judgements: one session of one annotator.

use super::begun::{self, Begun};
use super::decision::{Aside, Decision, Shown};
use super::history::{Event, History, Torn};
use super::lock::Lock;
use super::log::{self, Disk, Log, for_writing, make_folder};
use super::stamps::Stamps;
use super::{StoreError, annotator_folder, load};
use crate::feedback::digest::Sha256;
use crate::feedback::queue::Disputes;
use crate::feedback::record::{Header, Kind, Origin, Purpose, QUESTION, Record};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use ulid::Ulid;

type Create = Box<dyn FnMut(&Path) -> std::io::Result<Box<dyn Disk>>>;

/// The open files of one annotator. Its file is created by the first event, so that looking leaves
/// no trace; [`Session::close`] writes the last line.
pub struct Session {
    id: Ulid,
    folder: PathBuf,
    question: String,
    guidelines_sha256: Option<Sha256>,
    stamps: Stamps,
    history: History,
    log: Option<Log>,
    start: Record,
    seq: u64,
    sync_each: bool,
    last_id: Ulid,
    undone: Vec<Record>,
    disputes: Disputes,
    begun: Vec<Begun>,
    create: Create,
    lock: Lock,
}

impl Session {
    /// Locks the annotator's folder in `feedback` (made if missing), loads and checks its files,
    /// and copies lines that were cut off to `<session>.jsonl.torn`.
    ///
    /// # Errors
    /// [`StoreError`]: a name that is no folder, a lock held elsewhere, damage, or no write access.
    pub fn open(feedback: &Path, annotator: &str, mut stamps: Stamps) -> Result<Self, StoreError> {
        let folder = annotator_folder(feedback, annotator)?;
        // Whoever waits for the lock tries often, and must not keep the disk busy.
        if !folder.is_dir() {
            make_folder(feedback, &folder)?;
        }
        let lock = Lock::take(&folder, annotator)?;
        let history = load::load(feedback, annotator)?;
        history.torn.iter().try_for_each(keep_torn)?;
        let begun = begun::read(&folder)?;
        let session = stamps.id_after(history.last_id());
        let id = stamps.id_after(session);
        let (ts, annotator) = (stamps.now(), annotator.to_owned());
        let header = Header {
            id,
            session,
            seq: 0,
            ts,
            annotator,
        };
        Ok(Self {
            id: session,
            folder,
            question: QUESTION.to_owned(),
            guidelines_sha256: None,
            stamps,
            history,
            log: None,
            start: Record::new(Kind::SessionStart, header),
            seq: 1,
            sync_each: true,
            last_id: id,
            undone: Vec::new(),
            disputes: Disputes::new(),
            begun,
            create: Box::new(log::create_file),
            lock,
        })
    }

    /// Records what annotators are asked and which guidelines they have read.
    #[must_use]
    pub fn asking(mut self, question: &str, guidelines_sha256: Option<Sha256>) -> Self {
        question.clone_into(&mut self.question);
        self.guidelines_sha256 = guidelines_sha256;
        self
    }

    /// Makes this a moderator's session: judgements with the purpose `adjudication` settle the ones
    /// listed here for their item.
    #[must_use]
    pub fn settling(mut self, disputes: Disputes) -> Self {
        self.disputes = disputes;
        self
    }

    /// Writes through what `create` opens instead of an ordinary file, to see or to spoil what
    /// reaches the disk.
    #[must_use]
    pub fn writing_through(
        mut self,
        create: impl FnMut(&Path) -> std::io::Result<Box<dyn Disk>> + 'static,
    ) -> Self {
        self.create = Box::new(create);
        self
    }

    /// True once another process asks for this annotator's files and goes on asking: close the
    /// session then. Look once a second or less often.
    pub fn takeover_requested(&mut self) -> bool {
        self.lock.is_wanted()
    }

    /// For programs, whose judgements cost nothing to make again: records are only known to be on
    /// disk after [`Session::close`], which makes thousands of them take no time.
    #[must_use]
    pub fn synced_on_close(mut self) -> Self {
        self.sync_each = false;
        self
    }

    /// What was begun and not saved when it was last kept, in this session or before.
    pub fn begun(&self) -> &[Begun] {
        &self.begun
    }

    /// Keeps what is begun and not saved, in place of what was kept before. Writes nothing if that is
    /// the same; what failed can be tried again.
    ///
    /// # Errors
    /// [`StoreError::Io`]; judgements are not concerned.
    pub fn keep(&mut self, begun: Vec<Begun>) -> Result<(), StoreError> {
        if begun == self.begun {
            return Ok(());
        }
        begun::write(&self.folder, &begun)?;
        self.begun = begun;
        Ok(())
    }

    /// Everything this annotator has done, this session included.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The session's id: the name of its file.
    pub fn id(&self) -> Ulid {
        self.id
    }

    /// Lines found cut off on opening, and copied aside by now. Those that were not [kept](Torn::kept)
    /// before are worth telling the annotator.
    pub fn torn(&self) -> &[Torn] {
        &self.history.torn
    }

    /// Saves a judgement; it is on disk when this returns (but see [`Session::synced_on_close`]).
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a record that breaks a rule; [`StoreError::Io`] and from then on
    /// [`StoreError::ReadOnly`] if the disk fails.
    pub fn judge(&mut self, shown: &Shown, decision: Decision) -> Result<Ulid, StoreError> {
        let mut record = self.about(Kind::Judgement, shown);
        decision.write_to(&mut record);
        if shown.purpose == Purpose::Adjudication {
            let settled = self.disputes.get(&shown.item.id);
            record.origin = Some(Origin::Adjudication);
            record.adjudicates = settled.cloned().unwrap_or_default();
        }
        self.append_answer(record)
    }

    /// Leaves an item unjudged for good.
    ///
    /// # Errors
    /// As [`Session::judge`].
    pub fn skip(&mut self, shown: &Shown, reason: Option<String>) -> Result<Ulid, StoreError> {
        let aside = Aside {
            reason,
            ..Aside::default()
        };
        self.put_aside(Kind::Skip, shown, aside)
    }

    /// Leaves an item unjudged for good ([`Kind::Skip`]) or for later ([`Kind::Defer`]), with what
    /// was said about it.
    ///
    /// # Errors
    /// As [`Session::judge`].
    pub fn put_aside(
        &mut self,
        kind: Kind,
        shown: &Shown,
        aside: Aside,
    ) -> Result<Ulid, StoreError> {
        let mut record = self.about(kind, shown);
        record.reason = aside.reason;
        record.flags = aside.flags;
        record.note = aside.note;
        self.append_answer(record)
    }

    /// Puts an item at the end of the queue.
    ///
    /// # Errors
    /// As [`Session::judge`].
    pub fn defer(&mut self, shown: &Shown, reason: Option<String>) -> Result<Ulid, StoreError> {
        let aside = Aside {
            reason,
            ..Aside::default()
        };
        self.put_aside(Kind::Defer, shown, aside)
    }

    /// Takes back one answer of this annotator, from this session or an earlier one.
    ///
    /// # Errors
    /// [`StoreError::NoSuchEvent`] if there is none to take back; else as [`Session::judge`].
    pub fn retract(&mut self, id: Ulid) -> Result<Record, StoreError> {
        let target = self
            .history
            .event(id)
            .filter(|e| e.is_answer() && !e.retracted);
        let target = target.ok_or(StoreError::NoSuchEvent(id))?;
        let taken_back = self.history.record(target)?;
        let mut record = Record::new(Kind::Retract, self.header());
        record.supersedes = Some(id);
        record.round = taken_back.round;
        record.batch.clone_from(&taken_back.batch);
        record.item.clone_from(&taken_back.item);
        record.slot = taken_back.slot;
        self.append(record)?;
        Ok(taken_back)
    }

    /// Takes back the last answer, as often as there are answers; returns it, so that the screen
    /// can show it again, or `None` if there is nothing left.
    ///
    /// # Errors
    /// As [`Session::retract`].
    pub fn undo(&mut self) -> Result<Option<Record>, StoreError> {
        let Some(id) = self.history.last_answer().map(|event| event.id) else {
            return Ok(None);
        };
        let record = self.retract(id)?;
        self.undone.push(record.clone());
        Ok(Some(record))
    }

    /// Makes the last undone answer again, as a new event, until another answer is given.
    ///
    /// # Errors
    /// As [`Session::judge`]; the answer can then be redone later.
    pub fn redo(&mut self) -> Result<Option<Record>, StoreError> {
        let Some(undone) = self.undone.last() else {
            return Ok(None);
        };
        let mut record = undone.clone();
        let header = self.header();
        (record.id, record.session, record.seq) = (header.id, header.session, header.seq);
        record.ts = header.ts;
        self.append(record.clone())?;
        self.undone.pop();
        Ok(Some(record))
    }

    /// Ends the session. Without it nothing is lost but the `session_end` line, unless records are
    /// synced on closing only.
    ///
    /// # Errors
    /// As [`Session::judge`].
    pub fn close(mut self) -> Result<(), StoreError> {
        if self.log.is_none() {
            return Ok(());
        }
        let record = Record::new(Kind::SessionEnd, self.header());
        self.append(record).map(|_| ())
    }

    fn about(&mut self, kind: Kind, shown: &Shown) -> Record {
        let mut record = shown.record(kind, self.header());
        record.question = Some(self.question.clone());
        record.guidelines_sha256 = self.guidelines_sha256;
        record
    }

    fn append_answer(&mut self, record: Record) -> Result<Ulid, StoreError> {
        let id = self.append(record)?;
        self.undone.clear();
        Ok(id)
    }

    fn header(&mut self) -> Header {
        self.last_id = self.stamps.id_after(self.last_id);
        Header {
            id: self.last_id,
            session: self.id,
            seq: self.seq,
            ts: self.stamps.now(),
            annotator: self.history.annotator.clone(),
        }
    }

    fn append(&mut self, record: Record) -> Result<Ulid, StoreError> {
        record.check()?;
        if let Some(target) = record.supersedes {
            let sound = self
                .history
                .check_target(&Event::new((&record).into(), 0, 0, (0, 0)));
            sound.map_err(|_| StoreError::NoSuchEvent(target))?;
        }
        if self.log.is_none() {
            self.start()?;
        }
        self.write(record)
    }

    /// Creates the file and writes its first line.
    fn start(&mut self) -> Result<(), StoreError> {
        if let Some(feedback) = self.folder.parent() {
            // Should whoever made the folder have died before it was on disk.
            log::sync_folder(feedback).map_err(StoreError::io(feedback))?;
        }
        let path = self.folder.join(format!("{}.jsonl", self.id));
        let log = Log::create(path.clone(), &mut self.create)?;
        self.log = Some(log);
        self.history.add_file(self.id, path);
        self.write(self.start.clone()).map(|_| ())
    }

    fn write(&mut self, mut record: Record) -> Result<Ulid, StoreError> {
        let Some(log) = &mut self.log else {
            return Err(StoreError::ReadOnly {
                reason: "the session has no file".into(),
            });
        };
        let sync = self.sync_each || record.kind == Kind::SessionEnd;
        let place = log.append(&mut record, sync)?;
        let (file, line) = (self.history.files.len() - 1, record.seq as usize + 1);
        self.seq = record.seq + 1;
        self.history
            .add_all(vec![Event::new((&record).into(), file, line, place)])?;
        Ok(record.id)
    }
}

/// Copies a line that was cut off to `<session>.jsonl.torn`, once; the session file stays as it is.
fn keep_torn(torn: &Torn) -> Result<(), StoreError> {
    if torn.kept {
        return Ok(());
    }
    let copy = torn.copy();
    let mut bytes = vec![0; torn.len];
    let mut read = || {
        let mut file = File::open(&torn.path)?;
        file.seek(SeekFrom::Start(torn.offset))?;
        file.read_exact(&mut bytes)
    };
    read().map_err(StoreError::io(&torn.path))?;
    let written = log::replace(&copy, &bytes, true).map_err(for_writing);
    written.map_err(StoreError::io(&copy))
}
