//! What can go wrong with the engine itself.

use tmp_archive::ArchiveError;
use tmp_core::{Digest, MigrationId, database::DatabaseError};
use tmp_disk::{DiskError, ProbeError};

use super::ballast::is_no_room;
use crate::{command::CommandError, folder::FolderError, journal::JournalError, survivors::Survivor};

/// An engine cannot be opened. The target was not touched.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works on this target.
    #[error("another process works on this target: {holder}")]
    Locked {
        /// What the other process said of itself.
        holder: String,
    },
    /// The file system cannot be relied on.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// No migration is open, and there is no room for what the way back of one may need.
    #[error("no room for the reserve of {bytes} bytes that a rollback may need")]
    NoRoom {
        /// How much.
        bytes: u64,
        /// What the disk said.
        source: DiskError,
    },
    /// The work directory belongs to another state directory.
    #[error("the work directory {work} belongs to the state directory {other}")]
    OtherState {
        /// The work directory.
        work: String,
        /// The state directory that uses it.
        other: String,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The archive cannot be opened.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The journal of the last migration cannot be relied on. Nothing may be changed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The folder of the last migration cannot be relied on. Nothing may be changed.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// The engine could not go on and claims nothing: open it again in a new process and recover.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The migration never began: nothing was touched, and there is no journal of it.
    #[error("the migration could not begin")]
    NotBegun {
        /// Why.
        source: FolderError,
    },
    /// The database cannot be reached or locked now. The migration never began: nothing was touched and
    /// nothing is left, so it may be tried again.
    #[error("the migration could not begin")]
    NotReady {
        /// What the database said.
        source: DatabaseError,
    },
    /// The plan exchanges the whole tree, and this file system cannot exchange names. The migration never
    /// began: nothing was touched.
    #[error("{file_system} cannot exchange two directories in one rename, which `switch: atomic` needs")]
    NoExchange {
        /// The type of file system.
        file_system: String,
    },
    /// A later migration than the plan has begun at this target since it was made. The migration never began:
    /// nothing was touched.
    #[error("migration {later} began at this target after the plan was made")]
    Outdated {
        /// The later one.
        later: MigrationId,
    },
    /// The plan is for another target than the engine's.
    #[error("the plan is for another target")]
    OtherTarget,
    /// The journal cannot be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What was written cannot be made durable, so what is on the disk is unknown.
    #[error("what was written cannot be made durable; recover with a new process")]
    Sync {
        /// What the disk said.
        source: DiskError,
    },
    /// The way back, or the clean-up, met an error of the disk. It goes on where it stopped when recovered again.
    #[error("interrupted by an error of the disk; recover when it answers again")]
    Interrupted {
        /// What the disk said.
        source: DiskError,
    },
    /// The work directory could not be emptied after a migration that is over otherwise. No other begins
    /// before it is.
    #[error("the work directory still holds what migration {migration} left there")]
    NotCleanedUp {
        /// The migration.
        migration: MigrationId,
    },
    /// The disk under a database failed, or has no room for the way back.
    #[error("a database's disk does not do what the migration needs; recover when it does again")]
    DatabaseDisk {
        /// What the database said.
        source: DatabaseError,
    },
    /// The migration's folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A person's settlement does not fit what is there.
    #[error("migration {migration} cannot be resolved: {why}")]
    Unresolved {
        /// The migration.
        migration: MigrationId,
        /// Why.
        why: String,
    },
}

/// Why the forward direction ends.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The migration turns round.
    TurnBack(String),
    /// Whether the commit point has passed cannot be told. Nothing may be changed until it can.
    InDoubt(String),
    /// The engine stops where it is.
    Stop(EngineError),
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        Self::Stop(error)
    }
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::NoRoom { .. } => Self::TurnBack(crate::text(&error)),
            error => Self::Stop(EngineError::Journal(error)),
        }
    }
}

impl From<DiskError> for Trouble {
    fn from(error: DiskError) -> Self {
        Self::TurnBack(crate::text(&error))
    }
}

impl From<ArchiveError> for Trouble {
    fn from(error: ArchiveError) -> Self {
        Self::TurnBack(crate::text(&error))
    }
}

impl From<FolderError> for Trouble {
    fn from(error: FolderError) -> Self {
        Self::TurnBack(crate::text(&error))
    }
}

impl From<DatabaseError> for Trouble {
    fn from(error: DatabaseError) -> Self {
        Self::TurnBack(crate::text(&error))
    }
}

/// Why the way back ends before its end.
#[derive(Debug)]
pub(super) enum Stuck {
    /// Something cannot be undone; a person is needed.
    Failed {
        /// What.
        failure: String,
        /// What is right all the same.
        intact: String,
    },
    /// A fact is missing; nothing was changed after it was found missing. What was undone before stays
    /// undone.
    InDoubt(String),
    /// The engine stops where it is.
    Stop(EngineError),
}

impl Stuck {
    /// Whether there was no room for it on a disk.
    pub(super) fn is_no_room(&self) -> bool {
        match self {
            Self::Stop(EngineError::Interrupted { source }) => is_no_room(&source.source),
            Self::Stop(EngineError::DatabaseDisk { source }) => {
                matches!(source, DatabaseError::NoRoom { .. })
            }
            _ => false,
        }
    }

    /// What it says, for the direction in which nothing is stuck yet.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Failed { failure: text, .. } | Self::InDoubt(text) => text,
            Self::Stop(error) => crate::text(&error),
        }
    }

    /// The same after steps that could not be undone: whoever is told of the one is told of the others.
    pub(super) fn after(self, failures: &[String]) -> Self {
        let with = |text: String| {
            failures.iter().cloned().chain(std::iter::once(text)).collect::<Vec<_>>().join("; ")
        };
        match self {
            Self::Failed { failure, intact } => Self::Failed { failure: with(failure), intact },
            Self::InDoubt(missing) => Self::InDoubt(with(missing)),
            stop @ Self::Stop(_) => stop,
        }
    }
}

/// What could not be undone.
impl From<String> for Stuck {
    fn from(failure: String) -> Self {
        Self::Failed { failure, intact: String::new() }
    }
}

impl From<EngineError> for Stuck {
    fn from(error: EngineError) -> Self {
        Self::Stop(error)
    }
}

impl From<JournalError> for Stuck {
    fn from(error: JournalError) -> Self {
        Self::Stop(error.into())
    }
}

impl From<DiskError> for Stuck {
    fn from(source: DiskError) -> Self {
        Self::Stop(EngineError::Interrupted { source })
    }
}

impl From<CommandError> for Stuck {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::NotStarted(source) => source.into(),
            CommandError::NotConfined(missing) => Self::InDoubt(missing),
            CommandError::Failed(failure) => failure.into(),
        }
    }
}

impl From<Survivor> for Stuck {
    fn from(error: Survivor) -> Self {
        match error {
            Survivor::Unknown(source) => source.into(),
            Survivor::Runs(failure) => failure.into(),
        }
    }
}

impl From<FolderError> for Stuck {
    fn from(error: FolderError) -> Self {
        Self::Stop(error.into())
    }
}

/// Without its archive nothing proves that the target is as it was.
impl From<ArchiveError> for Stuck {
    fn from(error: ArchiveError) -> Self {
        Self::InDoubt(crate::text(&error))
    }
}

/// A digest that was expected and one that was found.
pub(super) fn mismatch(what: &str, expected: &Digest, found: &Digest) -> String {
    format!("{what} has {found} instead of {expected}")
}
