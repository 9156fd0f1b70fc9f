//! Power is cut under a migration that is killed at one call.

use std::io;

use super::Ground;
use crate::{matrix::Verdict, stepper::Action};

impl Ground {
    /// Kills `tmp run` before its call of this number (or lets it end, where there is none), cuts the power, mounts the
    /// disk again and lets it recover. The file system must be one whose power can be cut.
    ///
    /// # Errors
    /// A tool fails or a command cannot be started; what is wrong with the migration is no error.
    pub fn cut(&self, at: u64) -> io::Result<Verdict> {
        let mount = self.fresh()?;
        let run = self.scene().run().run(Action::Kill(at))?;
        mount.cut_power()?;
        mount.unmount()?;
        let mount = match self.mount() {
            Ok(mount) => mount,
            Err(error) => return Ok(Verdict::Violation(vec![format!("unmountable: {error}")])),
        };
        let verdict = self.settle(Some(&run))?;
        mount.unmount()?;
        Ok(verdict)
    }
}
