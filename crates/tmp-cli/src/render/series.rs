//! How a run of several trigger files is told once it has ended.

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::{exit::Exit, output::Report};

/// What became of each trigger file of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Series {
    /// Those that are in place now, migrated by this run or before.
    pub(crate) in_place: Vec<Part>,
    /// The one that ended the run.
    stopped_at: Option<Stopped>,
    /// Those that were not begun.
    pub(crate) not_begun: Vec<Utf8PathBuf>,
}

/// One trigger file.
#[derive(Debug, Serialize)]
pub(crate) struct Part {
    pub(crate) file: Utf8PathBuf,
    pub(crate) enhancement: String,
    pub(crate) revision: u32,
    pub(crate) site: String,
}

#[derive(Debug, Serialize)]
struct Stopped {
    #[serde(flatten)]
    part: Part,
    exit: u8,
    /// What it came to.
    outcome: &'static str,
}

impl Series {
    /// Remembers what ended the run.
    pub(crate) fn stopped(&mut self, part: Part, exit: Exit) {
        let outcome = match exit {
            Exit::RolledBack => "rolled back; the target is as it was before this one",
            Exit::RollbackFailed => "its rollback failed; a person is needed",
            Exit::InDoubt => "in doubt",
            Exit::Error => "it could not go on; `tmp recover` settles it",
            _ => "not begun: something stands in its way",
        };
        self.stopped_at = Some(Stopped { part, exit: exit.code(), outcome });
    }
}

impl Part {
    fn line(&self) -> String {
        format!("{} r{} at {} ({})", self.enhancement, self.revision, self.site, self.file)
    }
}

impl Report for Series {
    const SCHEMA: &'static str = "tmp.run/v1";

    fn text(&self) -> String {
        let all = self.in_place.len() + usize::from(self.stopped_at.is_some()) + self.not_begun.len();
        let mut text = format!("{} of {all} trigger files are in place\n", self.in_place.len());
        let Some(stopped) = &self.stopped_at else { return text };
        for part in &self.in_place {
            push!(text, "  in place    {}\n", part.line());
        }
        push!(text, "  stopped at  {}: {}\n", stopped.part.line(), stopped.outcome);
        for file in &self.not_begun {
            push!(text, "  not begun   {file}\n");
        }
        text
    }
}
