//! What an embedder's own step panics with is for whoever runs it: it goes into no file of TMP.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use tmp_core::{
    id::StepName,
    outcome::Outcome,
    step::{Step, StepContext, StepError},
};

use crate::common::{Lab, assert_same};

/// Stands for what a step might read from the environment and put into the text of its failure.
const SECRET: &str = "s3cr3t-of-the-environment";

struct Careless {
    name: StepName,
    panics: bool,
}

impl Step for Careless {
    fn name(&self) -> &StepName {
        &self.name
    }

    fn describe(&self) -> String {
        "connects".into()
    }

    fn describe_undo(&self) -> String {
        "disconnects".into()
    }

    fn apply(&mut self, _: &StepContext<'_>) -> Result<(), StepError> {
        assert!(!self.panics, "cannot connect with {SECRET}");
        Err(StepError::new(format!("cannot connect with {SECRET}")))
    }

    fn undo(&mut self, _: &StepContext<'_>) -> Result<(), StepError> {
        Ok(())
    }
}

fn lab(panics: bool) -> Lab {
    let mut lab = Lab::new();
    lab.write("bin/app", "old");
    lab.put("bin/app", "new");
    lab.steps.push(Box::new(Careless { name: "connect".parse().unwrap(), panics }));
    lab
}

/// Whether a file below a folder holds the secret.
fn holds_it(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            return holds_it(&path);
        }
        // The ballast is large and never written to.
        let bytes = if path.ends_with("ballast") { Vec::new() } else { fs::read(path).unwrap_or_default() };
        bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
    })
}

#[test]
fn what_a_step_panics_with_is_recorded_nowhere_and_recovery_takes_it_out() {
    let mut lab = lab(true);
    let before = lab.seen();
    let panic = catch_unwind(AssertUnwindSafe(|| lab.migrate())).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains(SECRET));
    assert!(!holds_it(lab.dir.path()));
    let outcome = lab.recover();
    assert!(matches!(outcome, Some(Outcome::RolledBack { .. })), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains(SECRET), "{outcome:?}");
    assert!(!holds_it(lab.dir.path()));
    assert_same(&before, &lab.seen());
}

/// What a step says of its failure is meant to be recorded: the look can find something.
#[test]
fn what_a_step_says_of_its_failure_is_recorded() {
    let mut lab = lab(false);
    let outcome = lab.migrate();
    assert!(matches!(&outcome, Outcome::RolledBack { cause, .. } if cause.contains(SECRET)), "{outcome:?}");
    assert!(holds_it(lab.dir.path()));
}
