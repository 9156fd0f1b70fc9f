//! How an outcome is told.

use serde::Serialize;
use tmp_core::outcome::{Comparison, DatabaseComparison, Outcome, Report as Figures};

use super::{count, microseconds, milliseconds};
use crate::{exit::Exit, output::Report};

/// An outcome with what it is the outcome of.
#[derive(Debug, Serialize)]
pub(crate) struct Ended {
    enhancement: String,
    revision: u32,
    site: String,
    recovered: bool,
    exit: u8,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Ended {
    /// `recovered` says whether another process had begun.
    pub(crate) fn new(
        enhancement: &str,
        revision: u32,
        site: String,
        recovered: bool,
        outcome: Outcome,
    ) -> Self {
        let exit = Exit::of(&outcome).code();
        Self { enhancement: enhancement.to_owned(), revision, site, recovered, exit, outcome }
    }
}

impl Report for Ended {
    const SCHEMA: &'static str = "tmp.outcome/v1";

    fn text(&self) -> String {
        let name = format!("{} r{}", self.enhancement, self.revision);
        let report = self.outcome.report();
        let took = milliseconds(report.took_ms);
        let mut text = match &self.outcome {
            Outcome::Committed { .. } => {
                format!("MIGRATED      {name} is in place at {} ({took})\n{}", self.site, figures(report))
            }
            Outcome::RolledBack { cause, comparison, .. } => {
                let same = format!("ROLLED BACK   {name}; {} is as it was ({took})\n", self.site);
                same + &format!("  cause       {cause}\n{}", proof(comparison))
            }
            Outcome::RollbackFailed { cause, undo_failure, .. } => format!(
                "ROLLBACK FAILED   {name} at {}; neither state is proven, nothing migrates there\n  \
                 cause       {cause}\n  undo        {undo_failure}\n  \
                 next        put it right, then `tmp resolve {} --reason …`\n",
                self.site, self.site
            ),
            Outcome::InDoubt { missing, .. } => format!(
                "IN DOUBT      {name} at {}; nothing was changed since\n  missing     {missing}\n  \
                 next        `tmp recover` once it can be had\n",
                self.site
            ),
        };
        for finding in &report.findings {
            push!(text, "  note        {finding}\n");
        }
        text + &format!("  journal     tmp log {}\n", report.migration)
    }
}

fn figures(report: &Figures) -> String {
    let mut text = format!(
        "  changed     {}, {}\n",
        count(report.modules, "module"),
        count(report.sql_changes, "SQL change")
    );
    if let Some(mixture) = report.mixture_us {
        push!(
            text,
            "  mixture     {} in which old and new modules could be seen together\n",
            microseconds(mixture)
        );
    }
    if let Some(locked) = report.locked_us {
        push!(
            text,
            "  locked      {} in which nobody else could write to the database\n",
            microseconds(locked)
        );
    }
    text
}

fn proof(comparison: &Comparison) -> String {
    let mut text = format!(
        "  compared    {} and {} with the archive\n",
        count(comparison.modules, "module"),
        if comparison.directories == 1 {
            "1 directory".into()
        } else {
            format!("{} directories", comparison.directories)
        },
    );
    if let Some(database) = comparison.database {
        text += match database {
            DatabaseComparison::NeverCommitted => "  database    its transaction never committed\n",
            DatabaseComparison::Exact => "  database    schema and data exactly as before\n",
            DatabaseComparison::SchemaOnly => {
                "  database    schema exactly as before; others wrote rows since\n"
            }
            DatabaseComparison::Earlier => {
                "  database    taken back and compared before the rollback was interrupted\n"
            }
        };
    }
    for path in &comparison.foreign {
        push!(text, "  foreign     {path} was changed by somebody else meanwhile, and is left as it is\n");
    }
    text
}
