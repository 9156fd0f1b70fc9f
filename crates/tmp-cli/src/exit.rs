//! Exit codes: what a calling program can rely on.

use std::process::ExitCode;

use tmp_core::outcome::Outcome;

/// How a command ended. Wrong usage, 2, is clap's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Something unexpected.
    Error = 1,
    /// Wrong usage that only shows once the arguments are put together.
    Usage = 2,
    /// A file, a trigger or a digest is not valid.
    InvalidInput = 3,
    /// A confirmation is missing.
    NotPermitted = 4,
    /// A check before the migration failed; the target was not touched.
    PreCheck = 5,
    /// Differences were found, and `--exit-code` was asked for.
    Differences = 6,
    /// Failed and rolled back.
    RolledBack = 10,
    /// The rollback failed.
    RollbackFailed = 11,
    /// In doubt.
    InDoubt = 12,
    /// Not now; safe to try again.
    NotNow = 75,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// Sorts what several sites came to: the higher, the more a person is needed.
    pub(crate) const fn gravity(self) -> u8 {
        match self {
            Self::Done | Self::Differences => 0,
            Self::NotNow => 1,
            Self::RolledBack => 2,
            Self::Error | Self::Usage | Self::InvalidInput | Self::NotPermitted | Self::PreCheck => 3,
            Self::InDoubt => 4,
            Self::RollbackFailed => 5,
        }
    }

    /// What an outcome ends a command with.
    pub(crate) const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Committed { .. } => Self::Done,
            Outcome::RolledBack { .. } => Self::RolledBack,
            Outcome::RollbackFailed { .. } => Self::RollbackFailed,
            Outcome::InDoubt { .. } => Self::InDoubt,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
