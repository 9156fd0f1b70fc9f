//! What a migration tells while it runs.
//!
//! An [`Observer`] cannot fail and cannot change an outcome. Events are few and each is worth a line;
//! progress is frequent and any of it may be dropped.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{MigrationId, Phase, id::StepName};

/// Watches a migration.
pub trait Observer: Send {
    /// Something happened. What an event says is durable when it arrives.
    fn event(&mut self, event: &Event);

    /// Work goes on.
    fn progress(&mut self, progress: &Progress) {
        let _ = progress;
    }
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: &Event) {}
}

/// Something that happened to a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// It has a journal now.
    Started {
        /// Which one.
        migration: MigrationId,
    },
    /// It reached a phase.
    Phase {
        /// The phase.
        phase: Phase,
        /// Time since it started, in milliseconds.
        at_ms: u64,
    },
    /// Work of one kind ended well.
    Done {
        /// Which work.
        work: Work,
        /// How many items.
        items: u64,
        /// How many bytes.
        bytes: u64,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// A step of the checked part begins, or its undo does. It may take as long as the step may; [`Self::Step`]
    /// follows, except where the process ends before.
    StepBegan {
        /// Which one.
        step: StepName,
        /// Which way it goes.
        direction: Direction,
    },
    /// A step of the checked part ended.
    Step {
        /// Which one.
        step: StepName,
        /// Which way it went.
        direction: Direction,
        /// What failed, if it did.
        failure: Option<String>,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// It turned round.
    TurnedBack {
        /// Why.
        cause: String,
    },
    /// Something a person should know that changed no outcome.
    Finding {
        /// What.
        text: String,
    },
}

/// Which way a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Forward.
    Apply,
    /// Back.
    Undo,
}

/// Kinds of work in a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Pre-images and conditions are checked.
    Check,
    /// What will change is archived.
    Archive,
    /// The archive is read back.
    VerifyArchive,
    /// New content is staged.
    Stage,
    /// SQL runs in the open transaction.
    Sql,
    /// Modules are switched.
    Switch,
    /// Modules are switched back.
    SwitchBack,
    /// The target is compared.
    Compare,
    /// The work directory is emptied.
    CleanUp,
}

impl Work {
    /// A short present participle for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Check => "checking",
            Self::Archive => "archiving",
            Self::VerifyArchive => "verifying the archive",
            Self::Stage => "staging",
            Self::Sql => "running SQL",
            Self::Switch => "switching modules",
            Self::SwitchBack => "switching modules back",
            Self::Compare => "comparing",
            Self::CleanUp => "cleaning up",
        }
    }
}

/// How far one kind of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which work.
    pub work: Work,
    /// Items done.
    pub done: u64,
    /// Items in all; 0 where that is not known.
    pub total: u64,
    /// Bytes done.
    pub bytes: u64,
}

/// `duration` in whole milliseconds, as events carry it.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
