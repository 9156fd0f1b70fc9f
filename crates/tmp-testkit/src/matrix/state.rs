//! The state of a reference system as the independent eye sees it.

use std::io;

use super::{Scene, systems::System};
use crate::{
    sqlite::{self, DatabaseDump},
    walk::{self, TreeFingerprint},
};

/// Files and database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// The tree of modules.
    pub tree: TreeFingerprint,
    /// What commands change beside it, without times: commands keep none.
    pub registry: TreeFingerprint,
    /// The database.
    pub database: DatabaseDump,
}

impl State {
    /// The state of the copy that is migrated. Reads only; a database journal that a dead process left is played
    /// back in a copy.
    ///
    /// # Errors
    /// Something cannot be read, or the database is not healthy.
    pub fn of(scene: &Scene) -> io::Result<Self> {
        let registry = scene.registry().map(|folder| walk::fingerprint(&folder)).transpose()?;
        Ok(Self {
            tree: walk::fingerprint(&scene.root())?,
            registry: registry.unwrap_or_default().without_mtimes(|_| true),
            database: scene.database().map(|file| sqlite::dump(&file)).transpose()?.unwrap_or_default(),
        })
    }

    /// One line for each difference.
    pub fn differs_from(&self, other: &Self) -> Vec<String> {
        let mut lines = walk::diff(&other.tree, &self.tree);
        lines
            .extend(walk::diff(&other.registry, &self.registry).iter().map(|line| format!("registry{line}")));
        lines.extend(sqlite::diff(&other.database, &self.database));
        lines
    }

    /// The same without the modification times of what is not as in `before`: what a migration puts is made
    /// when it runs, so its time and that of the directory around it differ from run to run.
    #[must_use = "the state itself stays as it is"]
    pub fn without_new_times(&self, before: &Self) -> Self {
        let changed = self.tree.differing_paths(&before.tree);
        let tree = self.tree.without_mtimes(|path| changed.iter().any(|other| other == path));
        Self { tree, ..self.clone() }
    }

    /// Fails unless this is what the enhancement promises.
    pub(super) fn check_promise(&self, scene: &Scene) -> io::Result<()> {
        let promise = System::of(scene.package()).promise;
        let entries = &self.tree.entries;
        let mode = |path: &str| entries.get(path.as_bytes()).map(|entry| entry.mode);
        let present = promise.present.iter().find(|(path, expected)| mode(path) != Some(*expected));
        let absent = promise.absent.iter().find(|path| mode(path).is_some());
        let schema = promise.schema.iter().find(|word| {
            let holds = |sql: &Option<String>| sql.as_ref().is_some_and(|sql| sql.contains(**word));
            !self.database.schema.iter().any(|(.., sql)| holds(sql))
        });
        let registry =
            promise.registry.iter().find(|name| !self.registry.entries.contains_key(name.as_bytes()));
        match present.map(|(path, _)| path).or(absent).or(schema).or(registry) {
            None => Ok(()),
            Some(which) => {
                Err(io::Error::other(format!("the migration did not do what it was to do: {which}")))
            }
        }
    }
}
