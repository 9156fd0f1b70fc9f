//! `tmp demo`: a small billing system, good and bad migrations on it, and the proof.

mod compare;
mod scene;
mod system;

use std::time::Instant;

use camino::Utf8PathBuf;
use serde::Serialize;

use self::{
    compare::{Differences, Seen},
    scene::{Ran, SCENES, Scene, Stage},
};
use crate::{
    exit::Exit,
    failure::Failure,
    files,
    output::{Output, Report},
    render::{self, steps::quoted},
};

/// Arguments of `tmp demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Where; new or empty
    #[arg(default_value = "tmp-demo")]
    dir: Utf8PathBuf,
}

#[derive(Debug, Serialize)]
struct Begun {
    dir: Utf8PathBuf,
    says: String,
}

#[derive(Debug, Serialize)]
struct Played {
    number: usize,
    enhancement: &'static str,
    title: &'static str,
    commands: Vec<Ran>,
    /// Before and after, by a walk of the demonstration's own.
    differences: Differences,
    /// What the system's program says now.
    says: String,
    /// Whether all came as it must.
    as_expected: bool,
}

#[derive(Debug, Serialize)]
struct Over {
    dir: Utf8PathBuf,
    /// This program, as a shell needs it.
    tmp: String,
    scenes: usize,
    as_expected: bool,
    took_ms: u64,
}

impl Report for Begun {
    const SCHEMA: &'static str = "tmp.demo-begun/v1";

    fn text(&self) -> String {
        format!(
            "A small billing system is in {}\n  $ live/bin/billing\n{}",
            self.dir,
            render::indent(&self.says, "  | ")
        )
    }
}

impl Report for Played {
    const SCHEMA: &'static str = "tmp.demo-scene/v1";

    fn text(&self) -> String {
        let mut text = format!("\n{}. {}: {}\n", self.number, self.title, self.enhancement);
        for ran in &self.commands {
            let exit = ran.exit.map_or("killed".to_owned(), |code| format!("exit code {code}"));
            push!(text, "  $ {}\n{}  {exit}\n", ran.command, render::indent(&ran.said, "  | "));
        }
        push!(text, "  $ live/bin/billing\n{}", render::indent(&self.says, "  | "));
        text += &told(&self.differences);
        if !self.as_expected {
            text += "  THIS IS NOT WHAT SHOULD HAVE COME OF IT\n";
        }
        text
    }
}

impl Report for Over {
    const SCHEMA: &'static str = "tmp.demo/v1";

    fn text(&self) -> String {
        let took = render::milliseconds(self.took_ms);
        let mut text = format!("\nThat took {took}. Look around:\n  cd {}\n", quoted([self.dir.as_str()]));
        for arguments in ["history", "log ID", "archive list", "plan triggers/discount-r1-model.trigger"] {
            push!(text, "  {} {arguments}\n", self.tmp);
        }
        text
    }
}

fn told(differences: &Differences) -> String {
    let compared = format!("{} paths and {} database objects", differences.compared, differences.objects);
    if differences.none() {
        return format!(
            "  compared before and after: {compared}, IDENTICAL (content, type, mode, owner, times, rows)\n"
        );
    }
    let mut text = format!("  compared before and after: {compared}\n");
    let groups = [
        ("added", &differences.added),
        ("changed", &differences.changed),
        ("removed", &differences.removed),
        ("database", &differences.database),
    ];
    for (what, names) in groups.into_iter().filter(|(_, names)| !names.is_empty()) {
        push!(text, "    {what:8} {}\n", names.join(", "));
    }
    text
}

impl Demo {
    /// Builds the system and plays every scene.
    pub(crate) fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let since = Instant::now();
        let dir = files::absolute(&self.dir)?;
        if !files::is_free(&dir).map_err(Failure::unexpected)? {
            let message = format!("{dir} is not empty; nothing was changed");
            return Err(Failure::new(Exit::Usage, message)
                .rule("never-overwritten")
                .help("`tmp demo DIR` takes another"));
        }
        let tmp = itself()?;
        system::build(&dir, &tmp)?;
        let stage = Stage { dir: dir.clone() };
        out.report(&Begun { dir: dir.clone(), says: stage.billing()? });
        let mut as_expected = true;
        for (at, scene) in SCENES.iter().enumerate() {
            package(&stage, scene)?;
            let before = Seen::now(&dir)?;
            let commands = stage.play(scene)?;
            let differences = before.until(&Seen::now(&dir)?);
            let right = commands.last().and_then(|ran| ran.exit) == Some(i32::from(scene.expected.code()))
                && differences.none() == (scene.expected != Exit::Done);
            as_expected &= right;
            let (number, enhancement, title) = (at + 1, scene.id, scene.title);
            let says = stage.billing()?;
            out.report(&Played {
                number,
                enhancement,
                title,
                commands,
                differences,
                says,
                as_expected: right,
            });
        }
        let took_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        out.report(&Over { dir, tmp, scenes: SCENES.len(), as_expected, took_ms });
        Ok(if as_expected { Exit::Done } else { Exit::Error })
    }
}

/// This program, as a shell needs it: it is seldom in PATH when it is tried out.
fn itself() -> Result<String, Failure> {
    let own = std::env::current_exe().map_err(Failure::unexpected)?;
    Ok(quoted([own.to_string_lossy().as_ref()]))
}

fn package(stage: &Stage, scene: &Scene) -> Result<(), Failure> {
    let source = format!("enhancements/{}", scene.id);
    let file = format!("triggers/{}-r1-model.trigger", scene.id);
    let ran = stage.tmp(&["package", &source, "--for", "model", "--base", "live", "-o", &file])?;
    if ran.exit == Some(0) {
        return Ok(());
    }
    Err(Failure::new(Exit::Error, format!("{} failed: {}", ran.command, ran.said)))
}
