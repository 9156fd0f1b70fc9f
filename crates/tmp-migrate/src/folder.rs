//! The folder of one migration in the state directory: journal, plan and scripts. Recovery needs
//! nothing else but the archive and the target itself. Layout: `docs/format/journal.md`.

use std::{collections::BTreeMap, ffi::OsStr, io, path::PathBuf, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use tmp_core::{
    Digest, MigrationId, Mode,
    contents::Contents,
    enhancement::{Enhancement, Script},
    mutant,
    plan::{self, Plan},
};
use tmp_disk::{At, Barrier, Dir, Disk, DiskError, OpenFile, Rename, read_whole, remove_tree, write_new};

use crate::{
    engine::keep,
    journal::{Fact, Journal, JournalError, Record},
};

/// The plan's file.
const PLAN: &str = "plan.json";

/// What the name of a folder that is not finished begins with. The root follows, because engines of other
/// roots may be making theirs in the same state directory.
const UNFINISHED: &str = ".new-";

/// The largest plan that is read back, in bytes.
const LARGEST_PLAN: u64 = 1 << 30;

/// The largest script, in bytes.
pub(crate) const LARGEST_SCRIPT: u64 = 64 << 20;

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) dir: Dir,
    pub(crate) path: Utf8PathBuf,
    migration: MigrationId,
}

/// A migration's folder cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The folder is whole and has its name, but whether that is durable is unknown: the migration may
    /// have begun.
    #[error("the folder of migration {migration} cannot be made durable")]
    NotDurable {
        /// The migration.
        migration: MigrationId,
        /// What the disk said.
        source: DiskError,
    },
    /// A script is not what the manifest says, or cannot be read from the contents.
    #[error("script {name} cannot be taken from the payload")]
    Script {
        /// Which one.
        name: String,
        /// What the contents said.
        source: io::Error,
    },
    /// The plan in the folder is not the one the journal was begun with.
    #[error("the plan of migration {migration} is not what its journal says: {what}")]
    Plan {
        /// The migration.
        migration: MigrationId,
        /// What is wrong.
        what: String,
    },
}

impl Folder {
    /// Makes the folder of a new migration with its plan, its scripts and a journal that has begun.
    /// It exists whole and durably on return, and not at all before.
    ///
    /// After [`FolderError::NotDurable`] it may exist or not: recovery finds out. After any other error
    /// it does not, and what was made of it is removed, at the latest by [`sweep`].
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        journals: (&Dir, &Utf8PathBuf),
        plan: &Plan,
        contents: &dyn Contents,
        record: impl FnOnce(Digest) -> Record,
    ) -> Result<(Self, Journal), FolderError> {
        let (parent, parent_path) = journals;
        let migration = plan.migration.clone();
        let unfinished = format!("{}{migration}", unfinished(&plan.target.root));
        let named = fill(disk, (parent, &unfinished), plan, contents, record).and_then(|made| {
            disk.rename(At::new(parent, &unfinished), At::new(parent, migration.as_str()), Rename::NoReplace)
                .map_err(DiskError::at("rename", &unfinished))?;
            Ok(made)
        });
        let (dir, journal) = named.inspect_err(|_| {
            // What went wrong first is what is told; the next engine sweeps what cannot be removed now.
            let _ = remove_tree(disk.as_ref(), At::new(parent, &unfinished));
        })?;
        match disk.sync_dir(parent).map_err(DiskError::at("sync", parent_path)) {
            Err(source) if !mutant::is("journal-name") => {
                return Err(FolderError::NotDurable { migration, source });
            }
            _ => {}
        }
        Ok((Self { dir, path: parent_path.join(migration.as_str()), migration }, journal))
    }

    /// Opens the folder of a migration.
    pub(crate) fn open(
        disk: &dyn Disk,
        journals: (&Dir, &Utf8PathBuf),
        migration: &MigrationId,
    ) -> Result<Self, FolderError> {
        let (parent, parent_path) = journals;
        let path = parent_path.join(migration.as_str());
        let dir = disk.open_dir(parent, OsStr::new(migration.as_str())).map_err(|source| DiskError {
            doing: "open",
            path: path.to_string(),
            source,
        })?;
        Ok(Self { dir, path, migration: migration.clone() })
    }

    /// The plan, compared with the digest that the journal began with.
    pub(crate) fn plan(&self, disk: &dyn Disk, records: &[Record]) -> Result<Plan, FolderError> {
        let wrong = |what: String| FolderError::Plan { migration: self.migration.clone(), what };
        let bytes = read_whole(disk, At::new(&self.dir, PLAN), LARGEST_PLAN)?;
        match records.first().map(|record| &record.fact) {
            Some(Fact::Begin { plan, .. }) if *plan == Digest::of(&bytes) => {}
            Some(_) => return Err(wrong("another digest".into())),
            None => return Err(wrong("the journal is empty, so it says nothing".into())),
        }
        let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if plan.schema == plan::SCHEMA {
            Ok(plan)
        } else {
            Err(wrong(format!("unknown schema {:?}", plan.schema)))
        }
    }

    /// The root that the plan is for, though no journal confirms it.
    pub(crate) fn root(&self, disk: &dyn Disk) -> Result<Utf8PathBuf, FolderError> {
        let bytes = read_whole(disk, At::new(&self.dir, PLAN), LARGEST_PLAN)?;
        let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| FolderError::Plan {
            migration: self.migration.clone(),
            what: error.to_string(),
        })?;
        Ok(plan.target.root)
    }

    /// The text of a script that was copied in, compared with its digest.
    pub(crate) fn script(&self, disk: &dyn Disk, script: &Script) -> Result<String, FolderError> {
        let fault = |what: &str| FolderError::Script {
            name: script.name.clone(),
            source: io::Error::new(io::ErrorKind::InvalidData, what.to_owned()),
        };
        let bytes = self.script_bytes(disk, script)?;
        String::from_utf8(bytes).map_err(|_| fault("it is not UTF-8"))
    }

    fn script_bytes(&self, disk: &dyn Disk, script: &Script) -> Result<Vec<u8>, FolderError> {
        let bytes = read_whole(disk, At::new(&self.dir, &script_file(&script.digest)), LARGEST_SCRIPT)?;
        if Digest::of(&bytes) == script.digest {
            Ok(bytes)
        } else {
            let source = io::Error::new(io::ErrorKind::InvalidData, "the copy has another digest");
            Err(FolderError::Script { name: script.name.clone(), source })
        }
    }

    /// Where the copy of a script lies, for commands that read it.
    pub(crate) fn script_path(&self, script: &Script) -> PathBuf {
        self.path.join(script_file(&script.digest)).into()
    }
}

/// Makes the folder under its unfinished name: everything in it becomes durable at once.
fn fill(
    shared: &Arc<dyn Disk>,
    (parent, unfinished): (&Dir, &str),
    plan: &Plan,
    contents: &dyn Contents,
    record: impl FnOnce(Digest) -> Record,
) -> Result<(Dir, Journal), FolderError> {
    let (disk, migration) = (shared.as_ref(), &plan.migration);
    disk.create_dir(At::new(parent, unfinished), Mode::from_bits(0o700))
        .map_err(DiskError::at("create", unfinished))?;
    let dir = disk.open_dir(parent, OsStr::new(unfinished)).map_err(DiskError::at("open", unfinished))?;
    let json = serde_json::to_vec(plan)
        .map_err(|error| FolderError::Plan { migration: migration.clone(), what: error.to_string() })?;
    let barrier = Barrier::open(shared, &dir)?;
    let private = Mode::from_bits(0o600);
    let mut handles = vec![write_new(disk, At::new(&dir, PLAN), private, &mut json.as_slice())?.file];
    copy_scripts(disk, &dir, &scripts(&plan.enhancement), contents, &mut handles)?;
    let record = record(Digest::of(&json));
    let journal = Journal::create(disk, &dir, migration, plan.needs.journal, record.at, &record.fact)?;
    // Nothing of the folder counts before it has its name, so all of it becomes durable at once. The journal
    // comes first: of many files only the first are kept open, and then everything is synced as a whole.
    handles.insert(0, journal.handle());
    barrier.settle(&handles, std::slice::from_ref(&dir))?;
    Ok((dir, journal))
}

/// Copies each script into the folder and compares it with its digest. The contents are gone through once.
fn copy_scripts(
    disk: &dyn Disk,
    dir: &Dir,
    scripts: &BTreeMap<Digest, &Script>,
    contents: &dyn Contents,
    handles: &mut Vec<OpenFile>,
) -> Result<(), FolderError> {
    if scripts.is_empty() {
        return Ok(());
    }
    let (mut left, mut failure) = (scripts.clone(), None);
    let visited = contents.visit(&scripts.keys().copied().collect(), &mut |digest, length, reader| {
        let Some(script) = left.remove(digest) else { return Ok(()) };
        let name = script_file(digest);
        copy_script(disk, At::new(dir, &name), script, (length, reader), handles).map_err(|error| {
            failure = Some(error);
            io::Error::other("a script cannot be copied")
        })
    });
    match (failure, visited, left.into_values().next()) {
        (Some(failure), ..) => Err(failure),
        (None, Ok(()), None) => Ok(()),
        (None, visited, missing) => {
            let name = missing.map_or_else(String::new, |script| script.name.clone());
            let source = visited.err().unwrap_or_else(|| io::ErrorKind::NotFound.into());
            Err(FolderError::Script { name, source })
        }
    }
}

fn copy_script(
    disk: &dyn Disk,
    at: At<'_>,
    script: &Script,
    (length, reader): (u64, &mut dyn io::Read),
    handles: &mut Vec<OpenFile>,
) -> Result<(), FolderError> {
    let wrong = |what: String| FolderError::Script {
        name: script.name.clone(),
        source: io::Error::new(io::ErrorKind::InvalidData, what),
    };
    if length > LARGEST_SCRIPT {
        return Err(wrong(format!("it is longer than {LARGEST_SCRIPT} bytes")));
    }
    let mut reader = io::Read::take(reader, LARGEST_SCRIPT);
    let written = write_new(disk, at, Mode::from_bits(0o600), &mut reader)?;
    if written.digest != script.digest {
        return Err(wrong("its content has another digest".to_owned()));
    }
    keep(handles, written.file);
    Ok(())
}

fn script_file(digest: &Digest) -> String {
    format!("script-{}", digest.hex())
}

/// Every script once.
fn scripts(enhancement: &Enhancement) -> BTreeMap<Digest, &Script> {
    enhancement.scripts().map(|script| (script.digest, script)).collect()
}

/// The migrations that have a folder, oldest first.
pub(crate) fn migrations(disk: &dyn Disk, journals: &Dir) -> Result<Vec<MigrationId>, DiskError> {
    let names =
        disk.list(journals).map_err(|source| DiskError { doing: "list", path: "journal".into(), source })?;
    let mut ids: Vec<MigrationId> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
    ids.sort();
    Ok(ids)
}

/// How the names of unfinished folders of this root begin.
fn unfinished(root: &Utf8Path) -> String {
    let digest = Digest::of(root.as_str().as_bytes()).hex();
    format!("{UNFINISHED}{}-", digest.get(..16).unwrap_or_default())
}

/// Removes folders of this root that were never finished: their migrations never began. The caller holds
/// the root's lock.
pub(crate) fn sweep(disk: &dyn Disk, journals: &Dir, root: &Utf8Path) -> Result<(), DiskError> {
    let ours = unfinished(root);
    let names =
        disk.list(journals).map_err(|source| DiskError { doing: "list", path: "journal".into(), source })?;
    for name in names.iter().filter(|name| name.to_str().is_some_and(|name| name.starts_with(&ours))) {
        remove_tree(disk, At::new(journals, name))?;
    }
    Ok(())
}
