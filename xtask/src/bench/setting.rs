//! Where everything is: programs, trees, folders, and how patient the bench is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{scratch::Scratch, trees::Trees};
use crate::{Done, shell};

/// Everything that the workloads share.
pub(super) struct Setting {
    pub(super) runs: usize,
    pub(super) small: bool,
    /// How long each run waits for the machine to become quiet.
    pub(super) patience: Duration,
    pub(super) trees: Trees,
    pub(super) scratch: Scratch,
    folder: PathBuf,
    tmp: PathBuf,
    floor: PathBuf,
}

impl Setting {
    /// Builds the programs, fetches the trees and makes the scratch file system.
    pub(super) fn prepare(runs: usize, small: bool, patience: Duration) -> Done<Self> {
        let folder = shell::workspace().join("target/bench");
        let (tmp, floor) =
            (shell::build_released("tmp-cli", "tmp")?, shell::build_released("xtask", "floor")?);
        if !Path::new("/usr/bin/time").exists() {
            return Err("the bench needs GNU time as /usr/bin/time (Debian: time)".into());
        }
        let trees = Trees::fetch(&folder.join("trees"), small)?;
        let home = folder.join("home");
        fs::create_dir_all(&home)?;
        fs::write(home.join(".gitconfig"), GITCONFIG)?;
        let scratch = Scratch::make(&folder, small)?;
        Ok(Self { runs, small, patience, trees, scratch, folder, tmp, floor })
    }

    /// A folder for what a workload prepares once, empty.
    pub(super) fn prepared(&self) -> Done<PathBuf> {
        let folder = self.folder.join("prepared");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Sets the variables of the scripts: `$TMP` and `$FLOOR`, the programs; `$A`, a large tree; `$OLD` and `$NEW`, two
    /// releases of a smaller one; `$M`, the scratch file system; `$R`, what a workload has prepared.
    pub(super) fn variables<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = |name: &str| self.folder.join(name);
        command
            .env("TMP", &self.tmp)
            .env("FLOOR", &self.floor)
            .env("A", &self.trees.large)
            .env("B", &self.trees.second)
            .env("OLD", &self.trees.old)
            .env("NEW", &self.trees.new)
            .env("M", self.scratch.path())
            .env("R", path("prepared"))
            .env("HOME", path("home"))
            .env("LC_ALL", "C.UTF-8")
            .envs(ENVIRONMENT.iter().copied())
    }

    /// A script under bash that stops at the first command that fails.
    pub(super) fn bash(&self, script: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-e", "-o", "pipefail", "-c", script]);
        self.variables(&mut command);
        command
    }

    /// Runs a script that is not measured; an error tells what it said.
    pub(super) fn script(&self, script: &str) -> Done<String> {
        let output = self.bash(script).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(format!("{script}\n{}: {}{}", output.status, text(&output.stdout), text(&output.stderr)).into())
    }

    /// Whether a program is installed.
    pub(super) fn has(&self, program: &str) -> bool {
        shell::works(&mut self.bash(&format!("command -v {program}")))
    }
}

/// Nothing is encrypted where that can be said, nothing asked, nothing collected in the background.
const ENVIRONMENT: [(&str, &str); 10] = [
    ("RESTIC_PASSWORD", "bench"),
    ("RUSTIC_PASSWORD", "bench"),
    ("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes"),
    ("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("SQITCH_FULLNAME", "bench"),
    ("SQITCH_EMAIL", "bench@example.org"),
    ("SQITCH_USER_CONFIG", "/dev/null"),
    ("TZ", "UTC"),
    ("NO_COLOR", "1"),
];

const GITCONFIG: &str = "[user]
    name = bench
    email = bench@example.org
[gc]
    auto = 0
[maintenance]
    auto = false
[safe]
    directory = *
[advice]
    detachedHead = false
";
