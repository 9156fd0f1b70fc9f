//! A person settles what TMP could not: recorded after TMP has looked at the target itself.

use tmp_core::Phase;

use super::{
    error::EngineError,
    open::Engine,
    recover::Interrupted,
    run::{Party, Run},
    switch::{Moves, Position},
};
use crate::journal::Fact;

/// What a person says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What was done and why that is right.
    pub reason: String,
    /// Whether a target that is neither as before nor as after is accepted as it is.
    pub accept_differences: bool,
}

/// What stands at a target with an unsettled migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Every module is as it was before.
    Before,
    /// Every module is as the migration made it.
    After,
    /// Neither; what differs from before.
    Neither(Vec<String>),
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Before => f.write_str("every module is as it was before"),
            Self::After => f.write_str("every module is as the migration made it"),
            Self::Neither(differences) => write!(f, "neither before nor after: {}", differences.join("; ")),
        }
    }
}

impl Interrupted {
    /// Looks at the target: modules only, compared with the archive and the journal. An archive that cannot be
    /// read is a difference. Changes nothing.
    ///
    /// # Errors
    /// What stands at a root that is exchanged cannot be opened.
    pub fn inspect_target(&mut self, party: &mut Party<'_>) -> Result<Found, EngineError> {
        Ok(self.run(party)?.inspect_target())
    }

    /// Records that a person settled a migration whose rollback failed, or that is in doubt.
    /// Durable on return.
    ///
    /// # Errors
    /// The target is neither as before nor as after and that is not accepted: nothing was recorded.
    pub fn resolve(mut self, resolution: &Resolution, party: &mut Party<'_>) -> Result<Engine, EngineError> {
        self.run(party)?.resolve(resolution)?;
        Ok(Engine { site: self.site })
    }
}

impl Run<'_, '_> {
    fn inspect_target(&mut self) -> Found {
        if let Some(prepared) = self.memory.prepared.clone() {
            let after =
                Moves::open(self, &prepared).and_then(|moves| moves.positions(self.disk())).is_ok_and(
                    |found| !found.is_empty() && found.iter().all(|position| *position == Position::After),
                );
            if after {
                return Found::After;
            }
        }
        let Some(snapshot) = self.memory.snapshot else { return Found::Before };
        match self.differences(&snapshot) {
            Ok(differences) if differences.is_empty() => Found::Before,
            Ok(differences) => Found::Neither(differences.iter().map(ToString::to_string).collect()),
            // An archive that cannot be read is a difference that a person may accept, not a dead end.
            Err(error) => Found::Neither(vec![crate::text(&error)]),
        }
    }

    fn resolve(&mut self, resolution: &Resolution) -> Result<(), EngineError> {
        let found = self.inspect_target();
        if matches!(found, Found::Neither(_)) && !resolution.accept_differences {
            let why = format!("the target is {found}");
            return Err(EngineError::Unresolved { migration: self.migration().clone(), why });
        }
        self.give_up()?;
        self.record(Fact::Resolved { reason: resolution.reason.clone(), found: found.to_string() })?;
        Ok(())
    }

    /// Brings the journal from wherever it stands to the phase that a person can resolve.
    fn give_up(&mut self) -> Result<(), EngineError> {
        let cause = "a person settles it".to_owned();
        match self.phase() {
            Phase::RollbackFailed => return Ok(()),
            Phase::Planned | Phase::Archived | Phase::Prepared | Phase::Applying => {
                self.record(Fact::RollingBack { cause: cause.clone() })?;
            }
            Phase::Applied | Phase::Checking => self.record(Fact::Compensating { cause: cause.clone() })?,
            Phase::RollingBack | Phase::Compensating => {}
            phase @ (Phase::Committed | Phase::CleanedUp | Phase::RolledBack | Phase::Resolved) => {
                let why = format!("it is {phase}: there is nothing to settle");
                return Err(EngineError::Unresolved { migration: self.migration().clone(), why });
            }
        }
        self.record(Fact::RollbackFailed { undo_failure: cause, intact: String::new() })?;
        Ok(())
    }
}
