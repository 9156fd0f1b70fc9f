//! Which entries of directories are durable.
//!
//! Every change of entries, a rename or an exchange as a whole, is one operation. It is durable once every
//! directory that it touches was synced after it; until then it survives a power loss or does not, as a
//! whole, whatever the order, with one restraint: an operation survives only together with the earlier ones
//! on the same name, because otherwise it would not be the operation that was asked for (a rename of a name
//! that never was there would leave the thing with two).

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};

use super::dice::Dice;

/// Inode numbers by name.
pub(super) type Entries = BTreeMap<OsString, u64>;

/// A name in a directory now stands for this inode, or for nothing.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) dir: u64,
    pub(super) name: OsString,
    pub(super) inode: Option<u64>,
}

/// Changes that are made together, and which of their directories were synced since.
#[derive(Debug, Clone)]
struct Operation {
    changes: Vec<Change>,
    synced: BTreeSet<u64>,
}

impl Operation {
    /// Whether every directory that it touches was synced.
    fn is_settled(&self) -> bool {
        self.changes.iter().all(|change| self.synced.contains(&change.dir))
    }
}

/// Durable entries, and operations since.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    durable: BTreeMap<u64, Entries>,
    pending: Vec<Operation>,
}

impl Log {
    /// A log in which exactly this is durable.
    pub(super) fn of(durable: BTreeMap<u64, Entries>) -> Self {
        Self { durable, pending: Vec::new() }
    }

    pub(super) fn record(&mut self, changes: Vec<Change>) {
        self.pending.push(Operation { changes, synced: BTreeSet::new() });
    }

    /// Makes durable what touches `dir` and no directory that was not synced.
    pub(super) fn settle(&mut self, dir: u64) {
        for operation in &mut self.pending {
            operation.synced.insert(dir);
        }
        let chosen = closed(&self.pending, Operation::is_settled);
        let mut chosen = chosen.into_iter();
        let mut rest = Vec::new();
        for operation in std::mem::take(&mut self.pending) {
            if chosen.next() == Some(true) {
                apply(&mut self.durable, &operation.changes);
            } else {
                rest.push(operation);
            }
        }
        self.pending = rest;
    }

    /// Makes everything durable.
    pub(super) fn settle_all(&mut self) {
        for operation in std::mem::take(&mut self.pending) {
            apply(&mut self.durable, &operation.changes);
        }
    }

    /// The inodes that a power loss could bring back.
    pub(super) fn inodes(&self) -> BTreeSet<u64> {
        let pending =
            self.pending.iter().flat_map(|operation| &operation.changes).filter_map(|change| change.inode);
        self.durable.values().flat_map(BTreeMap::values).copied().chain(pending).collect()
    }

    /// The entries after a power loss.
    pub(super) fn survivors(&self, dice: &mut Dice) -> BTreeMap<u64, Entries> {
        // From losing nearly everything to keeping nearly everything: an even chance for each operation
        // would hardly ever show either end.
        let likely = dice.below(5);
        let chosen = closed(&self.pending, |_| dice.below(4) < likely);
        let mut found = self.durable.clone();
        for (operation, chosen) in self.pending.iter().zip(chosen) {
            if chosen {
                apply(&mut found, &operation.changes);
            }
        }
        found
    }
}

/// For each operation whether it is chosen, or a later chosen one needs it.
fn closed(pending: &[Operation], mut choose: impl FnMut(&Operation) -> bool) -> Vec<bool> {
    let mut needed = BTreeSet::new();
    let mut chosen: Vec<bool> = pending
        .iter()
        .rev()
        .map(|operation| {
            let mut names = operation.changes.iter().map(|change| (change.dir, &change.name));
            let touches = names.clone().any(|name| needed.contains(&name));
            let chosen = choose(operation) || touches;
            if chosen {
                needed.extend(names.by_ref());
            }
            chosen
        })
        .collect();
    chosen.reverse();
    chosen
}

fn apply(entries: &mut BTreeMap<u64, Entries>, operation: &[Change]) {
    for Change { dir, name, inode } in operation {
        let entries = entries.entry(*dir).or_default();
        match inode {
            Some(inode) => entries.insert(name.clone(), *inode),
            None => entries.remove(name),
        };
    }
}
