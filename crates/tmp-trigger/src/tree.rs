//! Looks at files that are to be packaged, or that modules were compared with. Follows no symlink.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use tmp_core::{Digest, ModulePath, digest::Hasher};

use crate::limits;

/// What stands at a path.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    File { path: PathBuf, mode: u32 },
    Directory { empty: bool, mode: u32 },
    Symlink { target: String },
}

/// What a directory holds, by the path below it.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub found: BTreeMap<String, Found>,
    /// What cannot be a module, each with its reason.
    pub faults: Vec<String>,
}

/// What stands at `path`; `None` where nothing does.
pub(crate) fn look(path: &Path) -> Result<Option<Found>, String> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => found(path, &metadata).map(Some),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(format!("{}: {error}", shown(path))),
    }
}

/// What stands at the path of a module in the tree `root`, where no directory on the way is a symlink.
pub(crate) fn look_below(root: &Path, module: &ModulePath) -> Result<Option<Found>, String> {
    let mut above: Vec<_> = module.ancestors().collect();
    above.reverse();
    for directory in above {
        match look(&root.join(directory.as_str()))? {
            Some(Found::Directory { .. }) => {}
            Some(Found::Symlink { .. }) => {
                return Err(format!("{directory} is a symlink in {}", shown(root)));
            }
            Some(Found::File { .. }) | None => return Ok(None),
        }
    }
    look(&root.join(module.as_str()))
}

fn found(path: &Path, metadata: &Metadata) -> Result<Found, String> {
    let kind = metadata.file_type();
    if kind.is_file() {
        Ok(Found::File { path: path.to_owned(), mode: metadata.mode() })
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

/// Everything below the directory `root`, however many levels, at most as many as an enhancement may
/// have modules.
pub(crate) fn walk(root: &Path) -> Walk {
    let mut walk = Walk::default();
    let mut open = vec![(root.to_owned(), String::new())];
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
            walk.faults.push(format!("{} holds more than {} modules", shown(root), limits::MODULES));
            break;
        }
    }
    walk
}

/// Digest and size of a file's bytes.
pub(crate) fn digest(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), size)),
            Ok(count) => {
                hasher.update(buffer.get(..count).unwrap_or_default());
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A path for people: what is not UTF-8 in it is escaped.
pub(crate) fn shown(path: &Path) -> String {
    path.to_str().map_or_else(|| escaped(path.as_os_str()), ToOwned::to_owned)
}

/// Bytes that are not UTF-8 as text in quotes.
fn escaped(text: &OsStr) -> String {
    let escaped = text.as_bytes().utf8_chunks().flat_map(|chunk| {
        let bytes = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        std::iter::once(chunk.valid().escape_debug().to_string()).chain(bytes)
    });
    format!("\"{}\"", escaped.collect::<String>())
}
