//! The engine on a simulated file system: every change set of at most three operations, disturbed at every effect.
//! It is a test of `tmp-migrate`, built as it is released. Its states are no faults put into processes and are
//! counted apart.

use std::fmt;

use super::proof::Choice;
use crate::{
    Done,
    shell::{cargo, read},
};

/// What it is called.
pub(super) const ID: &str = "model";

/// How many power losses there are at each effect in a long run, which makes ten million states.
const LOSSES: &str = "8";

/// The figures of a run.
pub(super) struct Model {
    figures: serde_json::Value,
}

/// Runs the model; fails with its report where a state is violated.
pub(super) fn run(choice: Choice, point: Option<&str>) -> Done<Model> {
    let mut command = cargo();
    command
        .args(["test", "--quiet", "--locked", "--release", "--package", "tmp-migrate", "--test", "sim", "--"])
        .args(["--ignored", "--nocapture", "the_whole_model"])
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("TMP_MODEL_SEED", choice.seed.to_string());
    if choice.long {
        command.env("TMP_MODEL_LONG", LOSSES);
    }
    if let Some(point) = point {
        command.env("TMP_MODEL_POINT", point);
    }
    let text = read(&mut command)?;
    let line = text.lines().find(|line| line.starts_with('{')).ok_or("the model tells no figures")?;
    Ok(Model { figures: serde_json::from_str(line)? })
}

impl Model {
    fn figure(&self, name: &str) -> u64 {
        self.figures.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default()
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |name| self.figure(name);
        let seconds = figure("ms").max(1000) / 1000;
        write!(
            f,
            "model: {} states of a simulated disk at {} effects of {} of {} migrations, 0 violations ({} after a kill, {} \
             after a power loss, {} of both in a recovery; {} ended before, {} after), in {seconds} s, {} a second",
            figure("states"),
            figure("points"),
            figure("cases"),
            figure("of"),
            figure("kills"),
            figure("losses"),
            figure("in_recovery"),
            figure("before"),
            figure("after"),
            figure("states") / seconds,
        )
    }
}
