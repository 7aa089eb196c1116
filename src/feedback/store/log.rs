//! The file of one session: appended line by line, each on disk before the next.

use super::StoreError;
use crate::feedback::digest::Sha256;
use crate::feedback::record::Record;
use crate::feedback::record::line::{LineError, to_line};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a session writes to: a file, or something that watches or fails on purpose.
pub trait Disk {
    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything appended is on stable storage.
    fn sync(&mut self) -> io::Result<()>;
}

impl Disk for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Creates a file that must not exist, for appending.
pub fn create_file(path: &Path) -> io::Result<Box<dyn Disk>> {
    let file = File::options().append(true).create_new(true).open(path)?;
    Ok(Box::new(file))
}

/// An append-only file and where its chain of hashes stands.
pub struct Log {
    path: PathBuf,
    disk: Box<dyn Disk>,
    prev: Sha256,
    offset: u64,
    failed: Option<String>,
}

impl Log {
    /// Creates a file that must not exist.
    pub fn create(
        path: PathBuf,
        create: impl FnOnce(&Path) -> io::Result<Box<dyn Disk>>,
    ) -> Result<Self, StoreError> {
        let disk = create(&path).map_err(|error| StoreError::io(&path)(for_writing(error)))?;
        if let Some(folder) = path.parent() {
            sync_folder(folder).map_err(StoreError::io(folder))?;
        }
        Ok(Self::over(path, disk))
    }

    /// A log that starts at the present end of a file.
    pub fn over(path: PathBuf, disk: Box<dyn Disk>) -> Self {
        Self {
            path,
            disk,
            prev: Sha256::ZERO,
            offset: 0,
            failed: None,
        }
    }

    /// Appends one record and returns where it lies: offset and length without the newline. With
    /// `sync`, it and all before it are on disk then.
    ///
    /// # Errors
    /// [`StoreError::Refused`] leaves the file as it was. After any other error every later call
    /// returns [`StoreError::ReadOnly`]: nobody knows what is on the disk.
    pub fn append(&mut self, record: &mut Record, sync: bool) -> Result<(u64, usize), StoreError> {
        if let Some(reason) = &self.failed {
            return Err(StoreError::ReadOnly {
                reason: reason.clone(),
            });
        }
        let mut line = match to_line(record, self.prev) {
            Err(LineError::Rule(rule)) => return Err(rule.into()),
            Err(other) => return Err(StoreError::io(&self.path)(io::Error::other(other))),
            Ok(line) => line,
        };
        let (prev, place) = (Sha256::of(&line), (self.offset, line.len()));
        line.push('\n');
        let mut written = self.disk.append(line.as_bytes());
        if sync {
            written = written.and_then(|()| self.disk.sync());
        }
        if let Err(source) = written {
            let error = StoreError::io(&self.path)(source);
            self.failed = Some(error.to_string());
            return Err(error);
        }
        self.prev = prev;
        self.offset += line.len() as u64;
        Ok(place)
    }
}

/// Replaces a file: written beside it under a temporary name, renamed, and, with `sync`, on disk when
/// this returns.
pub fn replace(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    if sync {
        temporary.as_file().sync_data()?;
    }
    temporary.persist(path).map_err(|error| error.error)?;
    if sync { sync_folder(folder) } else { Ok(()) }
}

/// An error of writing, with what to do about a place where nobody may write.
pub fn for_writing(error: io::Error) -> io::Error {
    let kind = error.kind();
    match kind {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            let advice = "what is judged is written here: get write access, or copy the project to \
                          a folder of your own";
            io::Error::new(kind, format!("{error}; {advice}"))
        }
        _ => error,
    }
}

/// Makes an annotator's folder in `feedback`, for good.
pub fn make_folder(feedback: &Path, folder: &Path) -> Result<(), StoreError> {
    let made = std::fs::create_dir_all(folder).map_err(for_writing);
    made.map_err(StoreError::io(folder))?;
    sync_folder(feedback).map_err(StoreError::io(feedback))
}

/// Makes a new name in `folder` survive a power failure.
#[cfg(unix)]
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Windows cannot open a folder to sync it; its file systems log new names themselves.
#[cfg(not(unix))]
pub fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::feedback::record::{Header, Kind, UtcMillis};
    use ulid::Ulid;

    #[test]
    fn a_full_disk_makes_the_log_read_only() {
        let full = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&full).unwrap();
        let mut log = Log::over(full, Box::new(file));
        let header = Header {
            id: Ulid(2),
            session: Ulid(1),
            seq: 0,
            ts: UtcMillis(0),
            annotator: "mia".into(),
        };
        let mut record = Record::new(Kind::SessionStart, header);
        let error = log.append(&mut record, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/dev/full: No space left on device (os error 28)"
        );
        let error = log.append(&mut record, true).unwrap_err();
        assert!(matches!(&error, StoreError::ReadOnly { reason } if reason.contains("No space")));
        record.annotator = "../mia".into();
        assert!(matches!(
            log.append(&mut record, true).unwrap_err(),
            StoreError::ReadOnly { .. }
        ));
    }
}
