//! A directory as a tree that is packaged or compared with.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use crate::{
    limits,
    tree::{Found, SourceTree, Walk},
};

/// The directory at a path, as it is at each moment.
#[derive(Debug, Clone)]
pub struct DirectoryTree {
    root: PathBuf,
}

impl DirectoryTree {
    /// The directory at `root`. Nothing is read yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.root.clone() } else { self.root.join(name) }
    }
}

impl SourceTree for DirectoryTree {
    fn shown(&self, name: &str) -> String {
        shown(&self.path(name))
    }

    fn look(&self, name: &str) -> Result<Option<Found>, String> {
        look(&self.path(name))
    }

    fn walk(&self, name: &str) -> Walk {
        let root = self.path(name);
        let mut walk = Walk::default();
        let mut open = vec![(root.clone(), String::new())];
        while let Some((directory, prefix)) = open.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) => {
                    walk.faults.push(format!("{}: {error}", shown(&directory)));
                    continue;
                }
            };
            for entry in entries {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        walk.faults.push(format!("{}: {error}", shown(&directory)));
                        break;
                    }
                };
                let path = entry.path();
                let Ok(name) = entry.file_name().into_string() else {
                    walk.faults.push(format!("{} has a name that is not UTF-8", shown(&path)));
                    continue;
                };
                match look(&path) {
                    Ok(Some(found)) => {
                        let below = format!("{prefix}{name}");
                        if matches!(found, Found::Directory { .. }) {
                            open.push((path, format!("{below}/")));
                        }
                        walk.found.insert(below, found);
                    }
                    Ok(None) => {}
                    Err(fault) => walk.faults.push(fault),
                }
            }
            if walk.found.len() > limits::MODULES {
                walk.faults.push(format!("{} holds more than {} modules", shown(&root), limits::MODULES));
                break;
            }
        }
        walk
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let path = self.path(name);
        // Asked before it is opened, because opening a FIFO waits for a writer.
        if !fs::symlink_metadata(&path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Box::new(File::open(path)?))
    }
}

/// A path for people: what is not UTF-8 in it is escaped.
pub(crate) fn shown(path: &Path) -> String {
    path.to_str().map_or_else(|| escaped(path.as_os_str()), ToOwned::to_owned)
}

fn look(path: &Path) -> Result<Option<Found>, String> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => found(path, &metadata).map(Some),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(format!("{}: {error}", shown(path))),
    }
}

fn found(path: &Path, metadata: &Metadata) -> Result<Found, String> {
    let kind = metadata.file_type();
    if kind.is_file() {
        Ok(Found::File { mode: metadata.mode() })
    } else if kind.is_dir() {
        let mut entries = fs::read_dir(path).map_err(|error| format!("{}: {error}", shown(path)))?;
        Ok(Found::Directory { empty: entries.next().is_none(), mode: metadata.mode() })
    } else if kind.is_symlink() {
        let target = fs::read_link(path).map_err(|error| format!("{}: {error}", shown(path)))?;
        match target.into_os_string().into_string() {
            Ok(target) => Ok(Found::Symlink { target }),
            Err(target) => {
                Err(format!("{}: the target of the symlink, {}, is not UTF-8", shown(path), escaped(&target)))
            }
        }
    } else {
        Err(format!("{} is neither a file nor a directory nor a symlink", shown(path)))
    }
}

/// Bytes that are not UTF-8 as text in quotes.
fn escaped(text: &OsStr) -> String {
    let escaped = text.as_bytes().utf8_chunks().flat_map(|chunk| {
        let bytes = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        std::iter::once(chunk.valid().escape_debug().to_string()).chain(bytes)
    });
    format!("\"{}\"", escaped.collect::<String>())
}
