//! Writing a prefix, and taking it back.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use super::plan::{Content, Item};
use super::{InstallError, io};

/// The list of what was written, relative to the prefix, one path a line.
const LIST: &str = "share/omnimind/installed_files.txt";

pub(super) fn install(prefix: &Path, mut items: Vec<Item>) -> Result<usize, InstallError> {
    let before = installed(prefix)?.unwrap_or_default();
    let exists = |path: &Path| prefix.join(path).symlink_metadata().is_ok();
    let foreign = |path: &Path| exists(path) && !before.contains(path);
    items.retain(|item| !(item.optional && foreign(&item.path)));
    // Everything is looked at before anything is written.
    if let Some(item) = items.iter().find(|item| foreign(&item.path)) {
        return Err(InstallError::Foreign(prefix.join(&item.path)));
    }
    let list = PathBuf::from(LIST);
    let now: BTreeSet<PathBuf> = items.iter().map(|item| item.path.clone()).chain([list]).collect();
    // First, so that what is left of an installation that fails can be removed.
    write_list(prefix, before.iter().chain(&now))?;
    for item in &items {
        place(prefix, item)?;
    }
    for path in before.difference(&now) {
        remove_file(prefix, path)?;
    }
    write_list(prefix, now.iter())?;
    Ok(items.len())
}

/// Removes what was installed in a prefix, and the folders that are empty then; how many files.
///
/// # Errors
/// [`InstallError`].
pub fn remove(prefix: &Path) -> Result<usize, InstallError> {
    let files = installed(prefix)?.ok_or_else(|| InstallError::NotInstalled(prefix.to_path_buf()))?;
    let list = PathBuf::from(LIST);
    // The list last: what fails half-way can be tried again.
    for path in files.iter().filter(|path| **path != list).chain([&list]) {
        remove_file(prefix, path)?;
    }
    Ok(files.len())
}

/// What an earlier installation wrote; none: there was none.
fn installed(prefix: &Path) -> Result<Option<BTreeSet<PathBuf>>, InstallError> {
    let list = prefix.join(LIST);
    let text = match fs::read_to_string(&list) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound || error.kind() == std::io::ErrorKind::NotADirectory => {
            return Ok(None);
        }
        Err(error) => return Err(io("read", &list)(error)),
    };
    let mut paths = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let path = PathBuf::from(line);
        // Whatever somebody wrote into the list: nothing outside the prefix is removed.
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(InstallError::List { list, line: line.to_owned() });
        }
        paths.insert(path);
    }
    Ok(Some(paths))
}

fn write_list<'a>(prefix: &Path, paths: impl Iterator<Item = &'a PathBuf>) -> Result<(), InstallError> {
    let unique: BTreeSet<&PathBuf> = paths.collect();
    let text: String = unique.iter().map(|path| format!("{}\n", path.display())).collect();
    place(prefix, &Item { path: LIST.into(), content: Content::Text(text), optional: false })
}

/// Beside its place first and then moved there: a program that runs is replaced without harm.
fn place(prefix: &Path, item: &Item) -> Result<(), InstallError> {
    let path = prefix.join(&item.path);
    let folder = path.parent().unwrap_or(prefix);
    fs::create_dir_all(folder).map_err(io("write", folder))?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".omnimind-new");
    let fresh = path.with_file_name(name);
    // Left behind by an installation that was killed.
    if fresh.symlink_metadata().is_ok() {
        fs::remove_file(&fresh).map_err(io("remove", &fresh))?;
    }
    match &item.content {
        Content::Copy(from) => fs::copy(from, &fresh).map(drop),
        Content::Link(to) => symlink(to, &fresh),
        Content::Text(text) => fs::write(&fresh, text),
    }
    .and_then(|()| fs::rename(&fresh, &path))
    .map_err(|error| {
        // What is wrong with the file itself is what counts.
        let _ = fs::remove_file(&fresh);
        io("write", &path)(error)
    })
}

fn remove_file(prefix: &Path, path: &Path) -> Result<(), InstallError> {
    let file = prefix.join(path);
    match fs::remove_file(&file) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io("remove", &file)(error)),
    }
    for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        // Fails where something else lies: then it stays.
        if fs::remove_dir(prefix.join(folder)).is_err() {
            break;
        }
    }
    Ok(())
}
