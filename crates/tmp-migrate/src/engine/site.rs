//! What an open engine holds: the lock, the tree, the directories, the archive.

use std::{path::Path, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use tmp_archive::Archive;
use tmp_core::{
    MigrationId,
    clock::Clock,
    plan::{Switch, Target},
};
use tmp_disk::{Capabilities, Dir, Disk, DiskError, Lock, Tree};

use super::home::Home;

/// An open target. While it exists no other engine works on it.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) target: Target,
    /// What stood at the root when the engine was opened. A run has its own: the whole tree may be exchanged.
    pub(super) tree: Tree,
    pub(super) work: Dir,
    pub(super) state: Dir,
    pub(super) journals: Dir,
    pub(super) journals_path: Utf8PathBuf,
    pub(super) archive: Archive,
    pub(super) capabilities: Capabilities,
    pub(super) clock: SharedClock,
    #[expect(dead_code, reason = "held until the engine is dropped")]
    pub(super) lock: Lock,
}

/// A clock that can be part of something with `Debug`.
#[derive(Clone)]
pub(super) struct SharedClock(pub(super) Arc<dyn Clock>);

impl std::fmt::Debug for SharedClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Site {
    pub(super) fn disk(&self) -> &dyn Disk {
        self.tree.disk().as_ref()
    }

    /// What stands at the root now: where trees are exchanged, another one may since the engine was opened.
    pub(super) fn tree_now(&self, home: Option<&Home>) -> Result<Tree, DiskError> {
        match (home, self.target.switch) {
            (Some(home), _) => home.tree(self.tree.disk()),
            (None, Switch::Atomic) => Tree::open(self.tree.disk(), Path::new(&self.target.root)),
            (None, Switch::Files) => Ok(self.tree.clone()),
        }
    }

    /// Where the state directory is.
    pub(super) fn state_path(&self) -> &Utf8Path {
        self.journals_path.parent().unwrap_or(&self.journals_path)
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        self.clock.0.as_ref()
    }
}

/// The folder of staged and parked inodes of a migration, in the work directory.
pub(super) fn slots(migration: &MigrationId) -> String {
    format!("slots-{migration}")
}

/// The name in that folder of the next tree, and of the old one once they are exchanged.
pub(super) const TREE: &str = "tree";

/// What the folder is called once nothing in it is needed any more.
pub(super) fn garbage(migration: &MigrationId) -> String {
    format!("gc-{migration}")
}

/// Where things are kept that somebody changed while TMP had them.
pub(super) fn kept(migration: &MigrationId) -> String {
    format!("kept-{migration}")
}
