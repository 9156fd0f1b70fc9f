//! A rehearsal for people, and for the programs that show tests.

mod github;
mod junit;

use camino::Utf8PathBuf;
use clap::ValueEnum;
use serde::Serialize;
use tmp_migrate::rehearse::{Finding, Part, Proof, Verdict, WayBack};

use crate::{failure::Failure, output::Report};

/// A rehearsal that came to a proof.
#[derive(Debug, Serialize)]
pub(crate) struct Rehearsed {
    /// The site.
    pub(crate) site: String,
    /// Where the proof was written.
    pub(crate) file: Utf8PathBuf,
    /// The proof.
    pub(crate) proof: Proof,
    /// The directory that the enhancement's files lie in, as it was given; empty for a trigger file.
    #[serde(skip)]
    pub(crate) folder: Utf8PathBuf,
}

/// A form of report that other programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// XML, as most continuous integration shows tests.
    Junit,
    /// The proof itself.
    Json,
    /// Annotations of GitHub Actions.
    Github,
}

impl Rehearsed {
    /// The report in a form for other programs.
    pub(crate) fn in_form(&self, form: Form) -> Result<String, Failure> {
        Ok(match form {
            Form::Junit => junit::report(self),
            Form::Github => github::report(self),
            Form::Json => serde_json::to_string_pretty(&self.proof).map_err(Failure::unexpected)? + "\n",
        })
    }

    fn title(&self) -> String {
        format!("{} r{} at {}", self.proof.enhancement, self.proof.revision, self.site)
    }
}

impl Report for Rehearsed {
    const SCHEMA: &'static str = "tmp.rehearsal/v1";

    fn text(&self) -> String {
        let verdict = if self.proof.is_proven() { "proven" } else { "NOT PROVEN" };
        let mut text = format!("the way back of {}: {verdict}\n", self.title());
        for part in &self.proof.parts {
            push!(text, "  {}  {}: {}\n", mark(part.verdict), part.name, way_back(part));
            for line in part.findings.iter().flat_map(lines) {
                push!(text, "         {line}\n");
            }
        }
        for left in &self.proof.not_rehearsed {
            push!(text, "  not rehearsed  {}: {}\n", left.step, left.why);
        }
        for note in &self.proof.notes {
            push!(text, "  note  {note}\n");
        }
        push!(text, "  proof  {}\n", self.file);
        text
    }
}

const fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Proven => "ok   ",
        Verdict::NotProven => "WRONG",
        Verdict::NotReached => "-    ",
    }
}

fn way_back(part: &Part) -> String {
    let by = match &part.way_back {
        WayBack::Scripts => "back by its script".to_owned(),
        WayBack::Archive => "back by the archived database".to_owned(),
        WayBack::Irreversible { why } => format!("back by the archived database (no script: {why})"),
        WayBack::Compensation => "back by the engine".to_owned(),
    };
    match part.verdict {
        Verdict::NotReached => "not reached".to_owned(),
        Verdict::Proven | Verdict::NotProven => format!("forth, {by}, forth again"),
    }
}

/// A finding, its class first, and then everything that differs, one line each.
fn lines(finding: &Finding) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", finding.class.as_str(), finding.message)];
    lines.extend(finding.objects.iter().map(|object| format!("{}: {}", object.name, object.how.as_str())));
    lines.extend(finding.tables.iter().map(|table| match (table.rows_expected, table.rows_found) {
        (Some(expected), Some(found)) if expected == found => {
            format!("rows of {}: {found}, with other values", table.name)
        }
        (expected, found) => {
            let count = |rows: Option<u64>| rows.map_or("no table".to_owned(), |rows| rows.to_string());
            format!("rows of {}: {} instead of {}", table.name, count(found), count(expected))
        }
    }));
    lines.extend(finding.modules.iter().cloned());
    lines
}
