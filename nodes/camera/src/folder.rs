//! Pictures of a folder, one after the other, by name.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;

use pictures::decode;

/// Why a folder cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be read.
    #[error("cannot read the folder {}: {source}", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There are no pictures in it.
    #[error("there are no pictures (jpg, jpeg, png, webp) in {}", .0.display())]
    Empty(PathBuf),
}

/// The pictures of a folder. A single picture file counts as a folder of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Folder {
    files: Vec<PathBuf>,
    next: usize,
    repeat: bool,
}

impl Folder {
    /// Lists the pictures, by name; `repeat` begins again after the last.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn open(path: &Path, repeat: bool) -> Result<Self, FolderError> {
        let is_picture = |p: &PathBuf| {
            let extension = p.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
            p.is_file() && extension.is_some_and(|e| ["jpg", "jpeg", "png", "webp"].contains(&e.as_str()))
        };
        let mut files: Vec<PathBuf> = if path.is_file() {
            vec![path.to_owned()]
        } else {
            let entries = fs::read_dir(path).map_err(|source| FolderError::Read { path: path.to_owned(), source })?;
            entries.filter_map(Result::ok).map(|e| e.path()).filter(is_picture).collect()
        };
        files.sort();
        if files.is_empty() { Err(FolderError::Empty(path.to_owned())) } else { Ok(Self { files, next: 0, repeat }) }
    }

    /// The next picture with its file; `None` after the last. A file that is no picture gives its reason and is passed over
    /// by the next call.
    pub fn next_picture(&mut self) -> Option<(PathBuf, Result<RgbImage, String>)> {
        if self.next == self.files.len() {
            if !self.repeat {
                return None;
            }
            self.next = 0;
        }
        let file = self.files[self.next].clone();
        self.next += 1;
        let picture = fs::read(&file).map_err(|e| e.to_string()).and_then(|bytes| decode(&bytes).map_err(|e| e.to_string()));
        Some((file, picture))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_by_name_and_rubbish_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for (name, width) in [("b.png", 2), ("a.png", 1)] {
            RgbImage::new(width, 1).save(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("c.jpg"), b"no picture").unwrap();
        fs::write(folder.path().join("notes.txt"), b"").unwrap();
        let mut pictures = Folder::open(folder.path(), false).unwrap();
        let widths: Vec<Option<u32>> =
            std::iter::from_fn(|| pictures.next_picture()).map(|(_, p)| p.ok().map(|p| p.width())).collect();
        assert_eq!(widths, [Some(1), Some(2), None]);
        let mut again = Folder::open(folder.path(), true).unwrap();
        assert_eq!((0..7).filter_map(|_| again.next_picture()).count(), 7);
    }

    #[test]
    fn a_folder_without_pictures_and_no_folder_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Folder::open(folder.path(), false), Err(FolderError::Empty(_))));
        assert!(matches!(Folder::open(&folder.path().join("none"), false), Err(FolderError::Read { .. })));
    }
}
