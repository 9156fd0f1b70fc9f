//! The projects: which releases, from where, and what SQL goes with them.

use std::path::{Path, PathBuf};

use super::sql::{self, Script};
use crate::{
    Done,
    download::{self, Registry},
};

/// Two releases of a project.
pub(super) struct Project {
    /// The package's name in its registry.
    pub(super) name: &'static str,
    /// The older release.
    pub(super) old: &'static str,
    /// The newer one.
    pub(super) new: &'static str,
    /// Where they are found.
    pub(super) registry: Registry,
    /// What changes in a database.
    pub(super) sql: Sql,
    /// Why it is among the cases.
    pub(super) why: &'static str,
}

/// What goes with a project's files.
pub(super) enum Sql {
    /// Nothing.
    None,
    /// Changes of ours to a database of somebody else: the coordinate systems inside pyproj.
    Coordinates,
    /// The project's own schema for SQLite, and its own scripts from one release to the other.
    Synapse,
}

/// What a case needs, unpacked; not to be changed.
pub(super) struct Inputs {
    pub(super) old: PathBuf,
    pub(super) new: PathBuf,
    pub(super) database: Option<PathBuf>,
    pub(super) scripts: Vec<Script>,
}

impl Project {
    /// The inputs below `folder`; what is there already is used again.
    pub(super) fn inputs(&self, folder: &Path) -> Done<Inputs> {
        std::fs::create_dir_all(folder)?;
        let (old, new) = (
            download::release(folder, self.registry, self.name, self.old)?,
            download::release(folder, self.registry, self.name, self.new)?,
        );
        let (database, scripts) = match self.sql {
            Sql::None => (None, Vec::new()),
            Sql::Coordinates => {
                let wheel = download::release(folder, Registry::Wheel, "pyproj", "3.6.1")?;
                (Some(wheel.join("pyproj/proj_dir/share/proj/proj.db")), sql::coordinates())
            }
            Sql::Synapse => {
                let database = folder.join(format!("{}-{}.db", self.name, self.old));
                sql::synapse_database(&old, &database)?;
                (Some(database), sql::synapse_scripts(&old, &new)?)
            }
        };
        Ok(Inputs { old, new, database, scripts })
    }
}

/// Every case.
pub(super) const PROJECTS: [Project; 7] = [
    Project {
        name: "ansible",
        old: "2.4.0.0",
        new: "2.5.0",
        registry: Registry::Sources,
        sql: Sql::Coordinates,
        why: "thousands of files, symlinks, hard links",
    },
    Project {
        name: "ansible",
        old: "2.7.0",
        new: "2.8.0",
        registry: Registry::Sources,
        sql: Sql::None,
        why: "symlinks that become files, and back",
    },
    Project {
        name: "Django",
        old: "4.1",
        new: "4.2",
        registry: Registry::Sources,
        sql: Sql::None,
        why: "more than 1,000 changed files",
    },
    Project {
        name: "core-js",
        old: "2.6.12",
        new: "3.0.0",
        registry: Registry::Npm,
        sql: Sql::None,
        why: "nearly everything goes and comes",
    },
    Project {
        name: "matrix-synapse",
        old: "1.70.0",
        new: "1.80.0",
        registry: Registry::Wheel,
        sql: Sql::Synapse,
        why: "the project's own SQL for SQLite, without roll-back scripts",
    },
    Project {
        name: "salt",
        old: "3004",
        new: "3005",
        registry: Registry::Sources,
        sql: Sql::None,
        why: "a program that runs on servers",
    },
    Project {
        name: "sympy",
        old: "1.11",
        new: "1.12",
        registry: Registry::Sources,
        sql: Sql::Coordinates,
        why: "a library, with a database beside it",
    },
];
