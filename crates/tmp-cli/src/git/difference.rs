//! What differs between two commits below one directory.

use std::collections::BTreeMap;

use super::{
    entry::{Entry, shown},
    records::records,
    repository::{Commit, Repository, failed},
};
use crate::{exit::Exit, failure::Failure};

/// What stands at each name that differs, relative to the directory. A file that becomes a directory, or
/// the other way round, is one name; a renamed one is two.
pub(crate) type Difference = BTreeMap<Vec<u8>, Sides>;

/// What stands at a name before and after.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    pub(crate) old: Option<Entry>,
    pub(crate) new: Option<Entry>,
}

impl Repository {
    /// What differs between two commits below the directory `below`, directories included.
    ///
    /// # Errors
    /// Neither commit has the directory, or git cannot compare them.
    pub(crate) fn difference(&self, old: &Commit, new: &Commit, below: &str) -> Result<Difference, Failure> {
        let trees = (self.directory(old, below)?, self.directory(new, below)?);
        if let (None, None) = trees {
            let message = format!("there is no {below} in {} and none in {}", old.label, new.label);
            return Err(Failure::new(Exit::InvalidInput, message).rule("git-path"));
        }
        let nothing = self.nothing().map_err(failed)?;
        let (from, to) = (trees.0.unwrap_or(nothing.clone()), trees.1.unwrap_or(nothing));
        let arguments = [
            "diff-tree",
            "-r",
            "-t",
            "-z",
            "--raw",
            "--no-abbrev",
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            "--no-relative",
            "--ignore-submodules=none",
            &from,
            &to,
        ];
        let mut difference = Difference::new();
        let mut facts: Option<(Option<Entry>, Option<Entry>)> = None;
        records(self.program(), &arguments, |record| {
            let Some((old, new)) = facts.take() else {
                facts = Some(compared(record)?);
                return Ok(());
            };
            let sides = difference.entry(record.to_vec()).or_default();
            if (old.is_some() && sides.old.is_some()) || (new.is_some() && sides.new.is_some()) {
                return Err(format!("{} is in a tree twice", shown(record)));
            }
            sides.old = old.or(sides.old.take());
            sides.new = new.or(sides.new.take());
            Ok(())
        })
        .map_err(failed)?;
        Ok(difference)
    }
}

/// A record of `git diff-tree --raw`, the name not included: a colon, both modes, both ids, the sort.
fn compared(record: &[u8]) -> Result<(Option<Entry>, Option<Entry>), String> {
    let unknown = || format!("{} is not a difference", shown(record));
    let text = std::str::from_utf8(record).map_err(|_| unknown())?;
    let mut words = text.strip_prefix(':').ok_or_else(unknown)?.split(' ');
    let mut word = || words.next().ok_or_else(unknown);
    let (old_mode, new_mode, old_id, new_id) = (word()?, word()?, word()?, word()?);
    Ok((Entry::read(old_mode, old_id)?, Entry::read(new_mode, new_id)?))
}
