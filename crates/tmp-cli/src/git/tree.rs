//! A directory of a commit as a tree that is packaged.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    ops::Bound,
};

use tmp_trigger::{
    Found, SourceTree, Walk,
    source::{Label, LabelState},
};

use super::{
    blobs::Blobs,
    entry::{Entry, EntryKind, shown},
    records::records,
    repository::{Commit, Repository, failed},
};
use crate::{exit::Exit, failure::Failure};

/// What a commit has below one directory: the contents as they are stored, with no filter and no
/// `export-ignore` applied, and the modes that git keeps.
#[derive(Debug)]
pub(crate) struct GitTree {
    blobs: Blobs,
    label: Label,
    /// What people see before a name: the label and the directory.
    prefix: String,
    entries: BTreeMap<Vec<u8>, Entry>,
}

impl GitTree {
    /// What `commit` has below the directory `below`.
    ///
    /// # Errors
    /// There is no such directory, or git cannot list it.
    pub(crate) fn open(repository: &Repository, commit: &Commit, below: &str) -> Result<Self, Failure> {
        let Some(id) = repository.directory(commit, below)? else {
            let message = format!("there is no {below} in {} ({})", commit.label, commit.id);
            return Err(Failure::new(Exit::InvalidInput, message)
                .rule("git-path")
                .help("commit the directory, or name the commit that has it"));
        };
        let mut entries = BTreeMap::new();
        let arguments = ["ls-tree", "-r", "-t", "-z", "--full-tree", &id];
        records(repository.program(), &arguments, |record| {
            let (name, entry) = listed(record)?;
            match entries.insert(name.to_vec(), entry) {
                None => Ok(()),
                Some(_) => Err(format!("{} is in the tree twice", shown(name))),
            }
        })
        .map_err(failed)?;
        let slash = if below.is_empty() { "" } else { "/" };
        Ok(Self {
            blobs: repository.blobs(),
            label: Label {
                repository: Some(repository.name()),
                tag: commit.tag.clone(),
                commit: Some(commit.id.clone()),
                state: Some(LabelState::Clean),
            },
            prefix: format!("{}:{below}{slash}", commit.label),
            entries,
        })
    }

    /// The text of a file by what [`SourceTree::shown`] says of it, at most so many bytes.
    pub(crate) fn text(&self, shown: &str, limit: u64) -> Option<String> {
        let mut text = String::new();
        let file = self.open(shown.strip_prefix(&self.prefix)?).ok()?;
        file.take(limit).read_to_string(&mut text).ok()?;
        Some(text)
    }

    fn found(&self, name: &[u8], entry: &Entry) -> Result<Found, String> {
        let place = || format!("{}{}", self.prefix, shown(name));
        match entry.kind {
            EntryKind::File { executable } => {
                Ok(Found::File { mode: if executable { 0o755 } else { 0o644 } })
            }
            // Git keeps no directory that holds nothing.
            EntryKind::Directory => Ok(Found::Directory { empty: false, mode: 0o755 }),
            EntryKind::Symlink => {
                let target = self.blobs.link(&entry.id).map_err(|error| format!("{}: {error}", place()))?;
                String::from_utf8(target).map(|target| Found::Symlink { target }).map_err(|error| {
                    format!(
                        "{}: the target of the symlink, {}, is not UTF-8",
                        place(),
                        shown(error.as_bytes())
                    )
                })
            }
            EntryKind::Submodule => Err(format!(
                "{} is a submodule: its files are in another repository; package them from there",
                place()
            )),
        }
    }
}

impl SourceTree for GitTree {
    fn shown(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn look(&self, name: &str) -> Result<Option<Found>, String> {
        if name.is_empty() {
            return Ok(Some(Found::Directory { empty: self.entries.is_empty(), mode: 0o755 }));
        }
        self.entries.get(name.as_bytes()).map(|entry| self.found(name.as_bytes(), entry)).transpose()
    }

    fn walk(&self, name: &str) -> Walk {
        let mut prefix = name.as_bytes().to_vec();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let mut walk = Walk::default();
        let from = (Bound::Excluded(prefix.as_slice()), Bound::Unbounded);
        let below = self.entries.range::<[u8], _>(from);
        for (name, entry) in below.take_while(|(name, _)| name.starts_with(&prefix)) {
            let short = name.get(prefix.len()..).map(std::str::from_utf8);
            match (short, self.found(name, entry)) {
                (Some(Ok(short)), Ok(found)) => drop(walk.found.insert(short.to_owned(), found)),
                (Some(Ok(_)), Err(fault)) => walk.faults.push(fault),
                _ => walk.faults.push(format!("{}{} has a name that is not UTF-8", self.prefix, shown(name))),
            }
        }
        walk
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        match self.entries.get(name.as_bytes()) {
            Some(Entry { kind: EntryKind::File { .. }, id }) => self.blobs.open(id),
            Some(_) => Err(io::Error::other("not a regular file")),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn label(&self) -> Option<Label> {
        Some(self.label.clone())
    }
}

/// A record of `git ls-tree`: mode, type, id, a tab, the name.
fn listed(record: &[u8]) -> Result<(&[u8], Entry), String> {
    let unknown = || format!("{} is not an entry of a tree", shown(record));
    let tab = record.iter().position(|byte| *byte == b'\t').ok_or_else(unknown)?;
    let (facts, name) = record.split_at_checked(tab).ok_or_else(unknown)?;
    let facts = std::str::from_utf8(facts).map_err(|_| unknown())?;
    let mut words = facts.split_whitespace();
    let (Some(mode), Some(id)) = (words.next(), words.nth(1)) else { return Err(unknown()) };
    let entry = Entry::read(mode, id)?.ok_or_else(unknown)?;
    Ok((name.get(1..).unwrap_or_default(), entry))
}
