//! SHA-256 of files and folders, in hexadecimal.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Something to be hashed could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {source}", path = path.display())]
pub struct HashError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl HashError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self {
            path: path.to_owned(),
            source,
        }
    }
}

/// Hash and length of the contents of `files` one after the other: of a single file, its own.
pub fn contents<P: AsRef<Path>>(
    files: impl IntoIterator<Item = P>,
) -> Result<(String, u64), HashError> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    for path in files {
        let path = path.as_ref();
        bytes += feed(&mut hash, path).map_err(HashError::at(path))?;
    }
    Ok((hex(&hash.finalize()), bytes))
}

/// Hash over `name NUL sha256 LF` of the files of `path` in name order (not deeper), and their length together.
pub fn folder(path: &Path) -> Result<(String, u64), HashError> {
    let (mut hash, mut total) = (Sha256::new(), 0);
    for file in files(path)? {
        let (sha256, bytes) = contents([&file])?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        hash.update(format!("{name}\0{sha256}\n"));
        total += bytes;
    }
    Ok((hex(&hash.finalize()), total))
}

/// The files of a folder in name order (not deeper).
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, HashError> {
    let entries = fs::read_dir(folder).map_err(HashError::at(folder))?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut files = paths.map_err(HashError::at(folder))?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

fn feed(hash: &mut Sha256, path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(bytes);
        }
        hash.update(&buffer[..n]);
        bytes += n as u64;
    }
}

/// Two lower-case digits per byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, b| hex + &format!("{b:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_files_are_hashed_as_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("2"), "c").unwrap();
        fs::write(dir.path().join("1"), "ab").unwrap();
        fs::create_dir(dir.path().join("0")).unwrap();
        let (sha256, bytes) = contents(files(dir.path()).unwrap()).unwrap();
        // Of "abc": FIPS 180-2, appendix B.1.
        assert_eq!(
            sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(bytes, 3);
    }

    #[test]
    fn a_folder_is_the_hash_of_its_list() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            folder(dir.path()).unwrap(),
            // Of nothing.
            (
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
                0
            )
        );
        fs::write(dir.path().join("abc"), "abc").unwrap();
        let list = dir.path().join("list");
        let line = "abc\0ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
        let (sha256, bytes) = folder(dir.path()).unwrap();
        fs::write(&list, line).unwrap();
        assert_eq!((sha256, bytes), (contents([&list]).unwrap().0, 3));
    }
}
