//! The state of the reference system as the independent eye sees it.

use std::io;

use super::scene::Scene;
use crate::{
    sqlite::{self, DatabaseDump},
    walk::{self, Content, TreeFingerprint},
};

/// Files and database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct State {
    pub(super) tree: TreeFingerprint,
    pub(super) database: DatabaseDump,
}

impl State {
    /// The state of the copy that is migrated.
    pub(super) fn of(scene: &Scene) -> io::Result<Self> {
        Ok(Self { tree: walk::fingerprint(&scene.root())?, database: sqlite::dump(&scene.database())? })
    }

    /// One line for each difference.
    pub(super) fn differs_from(&self, other: &Self) -> Vec<String> {
        let mut lines = walk::diff(&other.tree, &self.tree);
        lines.extend(sqlite::diff(&other.database, &self.database));
        lines
    }

    /// The same without the modification times of what is not as in `before`: what a migration puts is made
    /// when it runs, so its time and that of the directory around it differ from run to run.
    pub(super) fn without_new_times(&self, before: &Self) -> Self {
        let changed = self.tree.differing_paths(&before.tree);
        let tree = self.tree.without_mtimes(|path| changed.iter().any(|other| other == path));
        Self { tree, database: self.database.clone() }
    }

    /// Fails unless this is what the reference enhancement describes.
    pub(super) fn check_is_after(&self) -> io::Result<()> {
        let entries = &self.tree.entries;
        let kind = |path: &str| entries.get(path.as_bytes()).map(|entry| (&entry.content, entry.mode));
        let holds = [
            matches!(kind("bin/fee"), Some((Content::File { size: 31, .. }, 0o755))),
            matches!(kind("lib/new_fee.py"), Some((Content::File { .. }, 0o644))),
            kind("lib/old_fee.py").is_none() && kind("obsolete").is_none(),
            matches!(kind("etc/fee.conf"), Some((Content::File { .. }, 0o600))),
            matches!(kind("plugins"), Some((Content::File { .. }, _))),
            matches!(kind("share/current"), Some((Content::Symlink(_), _))),
            matches!(kind("share/fees/rates.csv"), Some((Content::File { .. }, _))),
            matches!(kind("lib/twin.py"), Some((Content::File { .. }, _))),
            self.database.rows.get("fee").is_some_and(|rows| rows.len() == 2),
            self.database
                .schema
                .iter()
                .any(|(_, _, _, sql)| sql.as_ref().is_some_and(|sql| sql.contains("late_fee"))),
        ];
        match holds.iter().position(|held| !held) {
            None => Ok(()),
            Some(which) => {
                Err(io::Error::other(format!("the migration did not do what it was to do ({which})")))
            }
        }
    }
}
