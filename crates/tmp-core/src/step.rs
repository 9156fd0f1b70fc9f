//! The seam for an embedder's own reversible steps.

use camino::Utf8Path;

use crate::{MigrationId, id::StepName};

/// Something an embedder does in the checked part of a migration, and takes back.
///
/// The engine journals the intent before [`Step::apply`] and the completion after it. After a crash
/// in between, the step is undone and never applied again.
pub trait Step: Send {
    /// Names the step in the journal; recovery finds it again by this name.
    fn name(&self) -> &StepName;

    /// What it does, for the plan.
    fn describe(&self) -> String;

    /// What its undo does, for the plan.
    fn describe_undo(&self) -> String;

    /// Does it.
    ///
    /// # Errors
    /// It failed, in whole or in part: [`Step::undo`] follows.
    fn apply(&mut self, context: &StepContext<'_>) -> Result<(), StepError>;

    /// Takes it back, whether it was applied, partly applied or not at all; called again after a
    /// crash.
    ///
    /// # Errors
    /// It could not be taken back: the rollback has failed.
    fn undo(&mut self, context: &StepContext<'_>) -> Result<(), StepError>;
}

/// Where a step runs.
#[derive(Debug, Clone, Copy)]
pub struct StepContext<'a> {
    /// The migration.
    pub migration: &'a MigrationId,
    /// The root of the system.
    pub root: &'a Utf8Path,
}

/// A step failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StepError {
    /// What happened.
    pub message: String,
    /// What caused it.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StepError {
    /// A failure with no deeper cause.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }
}
