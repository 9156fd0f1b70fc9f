//! The scenes of the demonstration, each one `tmp` process or two on the real thing.

use std::{
    io::Read as _,
    process::{Child, Command, Output as Ended, Stdio},
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tmp_core::{MigrationId, Phase};
use tmp_migrate::{Fact, history, log};

use crate::{exit::Exit, failure::Failure, opening, render::steps::quoted};

/// How long a scene may wait for the moment at which a process is to be killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it looks.
const POLL: Duration = Duration::from_millis(5);

/// One enhancement, what is done with it, and what must come of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    /// The enhancement.
    pub(super) id: &'static str,
    /// What is shown.
    pub(super) title: &'static str,
    /// When the process is killed, if it is.
    pub(super) kill: Option<Moment>,
    /// What must come of it.
    pub(super) expected: Exit,
}

/// A moment in a migration.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    /// SQL runs in the open transaction, before anything is switched.
    InSql,
    /// A batch step has done half of its work, after the COMMIT.
    InBatch(&'static str),
}

/// Every scene in order.
pub(super) const SCENES: [Scene; 5] = [
    Scene { id: "late-fee", title: "A good enhancement", kill: None, expected: Exit::Done },
    Scene {
        id: "discount",
        title: "One whose third SQL statement fails",
        kill: None,
        expected: Exit::RolledBack,
    },
    Scene {
        id: "year-end",
        title: "One whose health check fails after everything was switched and committed",
        kill: None,
        expected: Exit::RolledBack,
    },
    Scene {
        id: "search",
        title: "One whose process is killed (SIGKILL) half way through a batch step, everything switched and committed",
        kill: Some(Moment::InBatch("reindex")),
        expected: Exit::RolledBack,
    },
    Scene {
        id: "split",
        title: "One whose process is killed (SIGKILL) in the middle of its SQL",
        kill: Some(Moment::InSql),
        expected: Exit::RolledBack,
    },
];

/// A command that ran.
#[derive(Debug, Serialize)]
pub(super) struct Ran {
    /// As a person would type it.
    pub(super) command: String,
    /// Everything it said.
    pub(super) said: String,
    /// Its exit code; `None` when it was killed.
    pub(super) exit: Option<i32>,
}

/// Runs `tmp` in the demonstration's folder.
#[derive(Debug)]
pub(super) struct Stage {
    /// The folder.
    pub(super) dir: Utf8PathBuf,
}

impl Stage {
    /// Plays a scene: the commands that ran, the last of which ended it.
    ///
    /// # Errors
    /// A process cannot be run, or the moment to kill it never came.
    pub(super) fn play(&self, scene: &Scene) -> Result<Vec<Ran>, Failure> {
        let trigger = format!("triggers/{}-r1-model.trigger", scene.id);
        let arguments = ["run", &trigger, "--now", "--reason", "demonstration"];
        let Some(moment) = scene.kill else { return Ok(vec![self.tmp(&arguments)?]) };
        let killed = self.killed(&arguments, scene.id, moment)?;
        Ok(vec![killed, self.tmp(&["recover"])?])
    }

    /// Runs `tmp` to its end.
    ///
    /// # Errors
    /// It cannot be run.
    pub(super) fn tmp(&self, arguments: &[&str]) -> Result<Ran, Failure> {
        let ended = self.command(arguments)?.output().map_err(Failure::unexpected)?;
        Ok(ran(arguments, &ended))
    }

    /// Runs the system's own program.
    ///
    /// # Errors
    /// It cannot be run.
    pub(super) fn billing(&self) -> Result<String, Failure> {
        let ended = Command::new(self.dir.join("live/bin/billing")).output().map_err(Failure::unexpected)?;
        Ok(text(&ended.stdout) + &text(&ended.stderr))
    }

    fn command(&self, arguments: &[&str]) -> Result<Command, Failure> {
        let own = std::env::current_exe().map_err(Failure::unexpected)?;
        let mut command = Command::new(own);
        command.args(arguments).current_dir(&self.dir).stdin(Stdio::null());
        for variable in ["TMP_CONFIG", "TMP_STATE", "TMP_SITE"] {
            command.env_remove(variable);
        }
        Ok(command)
    }

    fn killed(&self, arguments: &[&str], id: &str, moment: Moment) -> Result<Ran, Failure> {
        let mut command = self.command(arguments)?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Failure::unexpected)?;
        let came = self.wait_for(&mut child, id, moment);
        // A process that has ended already cannot be killed, and need not be.
        drop(child.kill());
        let status = child.wait().map_err(Failure::unexpected)?;
        let mut said = Vec::new();
        // The batch step holds the pipe of its starter no longer than a moment.
        for pipe in [child.stderr.take().map(Pipe::Error), child.stdout.take().map(Pipe::Data)] {
            match pipe {
                Some(Pipe::Error(mut pipe)) => drop(pipe.read_to_end(&mut said)),
                Some(Pipe::Data(mut pipe)) => drop(pipe.read_to_end(&mut said)),
                None => {}
            }
        }
        let ended = Ended { status, stdout: Vec::new(), stderr: said };
        came?;
        Ok(ran(arguments, &ended))
    }

    fn wait_for(&self, child: &mut Child, id: &str, moment: Moment) -> Result<(), Failure> {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if self.has_come(id, moment) {
                return Ok(());
            }
            if let Some(status) = child.try_wait().map_err(Failure::unexpected)? {
                return Err(Failure::new(
                    Exit::Error,
                    format!("{id} ended by itself, {status}, before it could be killed"),
                ));
            }
            std::thread::sleep(POLL);
        }
        Err(Failure::new(Exit::Error, format!("{id} never came to the moment at which it was to be killed")))
    }

    /// What the journal says of the running migration; one that cannot be read yet says nothing.
    fn has_come(&self, id: &str, moment: Moment) -> bool {
        let disk = opening::disk();
        let state = self.dir.join("state");
        let Ok(all) = history(&disk, &state).map(|history| history.migrations) else { return false };
        let Some(newest) = all.last().filter(|summary| summary.enhancement.as_str() == id) else {
            return false;
        };
        match moment {
            Moment::InSql => {
                newest.phase == Phase::Prepared && self.dir.join("data/billing.db-journal").exists()
            }
            Moment::InBatch(step) => began(&disk, &state, &newest.id, step) && self.half_done(),
        }
    }

    fn half_done(&self) -> bool {
        std::fs::read_to_string(self.dir.join("live/var/index/customers"))
            .is_ok_and(|text| text.starts_with("half"))
    }
}

enum Pipe {
    Error(std::process::ChildStderr),
    Data(std::process::ChildStdout),
}

fn began(disk: &std::sync::Arc<dyn tmp_disk::Disk>, state: &Utf8Path, id: &MigrationId, step: &str) -> bool {
    let Ok((_, _, records)) = log(disk, state, id) else { return false };
    records
        .iter()
        .any(|record| matches!(&record.fact, Fact::StepIntent { name, .. } if name.as_str() == step))
}

fn ran(arguments: &[&str], ended: &Ended) -> Ran {
    Ran {
        command: format!("tmp {}", quoted(arguments.iter().copied())),
        said: text(&ended.stderr) + &text(&ended.stdout),
        exit: ended.status.code(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
