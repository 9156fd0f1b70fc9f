//! Makes modules of what differs between two commits, or says why they cannot be any.

use std::io;

use tmp_core::{Digest, Mode, ModulePath, digest::Hasher, module::Expected, path::twins};

use crate::{
    failure::Fault,
    git::{Blobs, Difference, Entry, EntryKind, Sides, shown},
};

/// The modules in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) modules: Vec<Module>,
    /// Everything that cannot be a module.
    pub(super) faults: Vec<Fault>,
}

/// One module.
#[derive(Debug)]
pub(super) struct Module {
    /// Its path below the root of the system.
    pub(super) path: ModulePath,
    /// Its name in the repository, below the directory that is compared: where its file is written too.
    pub(super) source: ModulePath,
    /// What becomes of it.
    pub(super) what: What,
    /// Whether it has an entry of its own; otherwise a tree above has it.
    pub(super) listed: bool,
    old: Option<Entry>,
}

/// What becomes of a module.
#[derive(Debug)]
pub(super) enum What {
    /// It goes.
    Remove,
    /// A tree takes its place; what the tree holds follows.
    Tree,
    /// It becomes a file.
    File { id: Box<str>, mode: Mode },
    /// It becomes a symlink.
    Symlink { id: Box<str> },
}

/// Makes modules below `prefix` of a difference.
pub(super) fn gather(difference: Difference, prefix: Option<&ModulePath>) -> Gathered {
    let mut gathered = Gathered::default();
    let mut tree: Option<ModulePath> = None;
    for (name, sides) in difference {
        let Some(what) = what(&sides) else { continue };
        match what.and_then(|what| Ok((what, named(&name, prefix)?))) {
            Ok((what, (source, path))) => {
                let listed = !tree.as_ref().is_some_and(|tree| source.is_below(tree));
                if matches!(what, What::Tree) {
                    tree = Some(source.clone());
                }
                gathered.modules.push(Module { path, source, what, listed, old: sides.old });
            }
            Err((rule, message)) => {
                gathered.faults.push(Fault {
                    rule,
                    subject: shown(&name).into_owned(),
                    message,
                    help: "leave it out of the commits, or import a directory that does not have it".into(),
                    excerpt: None,
                });
            }
        }
    }
    for (first, second) in twins(gathered.modules.iter().map(|module| &module.path)) {
        let message = format!("differs from {first} only in case or Unicode composition");
        gathered.faults.push(fault("duplicate-module", second, message));
    }
    gathered
}

/// What is wrong with one module.
pub(super) fn fault(rule: &'static str, subject: &ModulePath, message: String) -> Fault {
    let help = "leave it out of the commits, or import a directory that does not have it".into();
    Fault { rule, subject: subject.to_string(), message, help, excerpt: None }
}

type Refusal = (&'static str, String);

/// What becomes of a name; `None` where a directory only comes to be or holds something else, which is no
/// change of its own.
fn what(sides: &Sides) -> Option<Result<What, Refusal>> {
    let kind = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.kind);
    let (old, new) = (kind(&sides.old), kind(&sides.new));
    if [old, new].contains(&Some(EntryKind::Submodule)) {
        let message = "is a submodule: its files are in another repository, import them from there";
        return Some(Err(("git-submodule", message.into())));
    }
    let id = || sides.new.as_ref().map(|entry| entry.id.clone()).unwrap_or_default();
    Some(Ok(match new {
        None => What::Remove,
        Some(EntryKind::Directory) if matches!(old, None | Some(EntryKind::Directory)) => return None,
        Some(EntryKind::Directory) => What::Tree,
        Some(EntryKind::File { executable: true }) => What::File { id: id(), mode: Mode::PROGRAM },
        Some(EntryKind::File { executable: false }) => What::File { id: id(), mode: Mode::FILE },
        Some(EntryKind::Symlink | EntryKind::Submodule) => What::Symlink { id: id() },
    }))
}

/// The name below the compared directory, and the path below the root.
fn named(name: &[u8], prefix: Option<&ModulePath>) -> Result<(ModulePath, ModulePath), Refusal> {
    let text = std::str::from_utf8(name).map_err(|_| ("path", "its name is not UTF-8".to_owned()))?;
    let refused = |error: tmp_core::path::PathError| ("path", error.fault.to_string());
    let source: ModulePath = text.parse().map_err(refused)?;
    let path = prefix.map_or_else(|| Ok(source.clone()), |prefix| prefix.join(text)).map_err(refused)?;
    Ok((source, path))
}

impl Module {
    /// What must be there before.
    pub(super) fn replaces(&self, blobs: &Blobs) -> Result<Expected, String> {
        let Some(Entry { kind, id }) = &self.old else { return Ok(Expected::Absent) };
        match kind {
            EntryKind::File { .. } => {
                let digest = digest(blobs, id).map_err(|error| error.to_string())?;
                Ok(Expected::File { digest })
            }
            EntryKind::Symlink => link(blobs, id).map(|target| Expected::Symlink { target }),
            EntryKind::Directory | EntryKind::Submodule => Ok(Expected::Directory),
        }
    }
}

/// The text of a symlink.
pub(super) fn link(blobs: &Blobs, id: &str) -> Result<String, String> {
    let target = blobs.link(id).map_err(|error| error.to_string())?;
    match String::from_utf8(target) {
        Ok(target) if target.is_empty() || target.contains('\0') => {
            Err("the text of the symlink cannot be one".into())
        }
        Ok(target) => Ok(target),
        Err(error) => Err(format!("the text of the symlink, {}, is not UTF-8", shown(error.as_bytes()))),
    }
}

fn digest(blobs: &Blobs, id: &str) -> io::Result<Digest> {
    let (mut hasher, mut reader) = (Hasher::new(), blobs.open(id)?);
    let mut buffer = vec![0; 128 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}
