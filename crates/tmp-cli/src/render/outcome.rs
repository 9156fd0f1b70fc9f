//! How an outcome is told.

use serde::Serialize;
use tmp_core::{
    Phase,
    outcome::{Comparison, DatabaseComparison, Outcome, Report as Figures},
    plan::Switch,
};

use super::{count, microseconds, milliseconds};
use crate::{exit::Exit, output::Report};

/// An outcome with what it is the outcome of.
#[derive(Debug, Serialize)]
pub(crate) struct Ended {
    enhancement: String,
    revision: u32,
    site: String,
    recovered: bool,
    /// Whether it took another migration out again.
    reversal: bool,
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
        Self {
            enhancement: enhancement.to_owned(),
            revision,
            site,
            recovered,
            reversal: false,
            exit,
            outcome,
        }
    }

    /// The same of a migration that is a reversal, or not.
    pub(crate) fn reversing(self, reversal: bool) -> Self {
        Self { reversal, ..self }
    }
}

impl Report for Ended {
    const SCHEMA: &'static str = "tmp.outcome/v1";

    fn text(&self) -> String {
        let name = format!("{} r{}", self.enhancement, self.revision);
        let report = self.outcome.report();
        let took = milliseconds(report.took_ms);
        let mut text = match &self.outcome {
            Outcome::Committed { .. } if self.reversal => {
                format!("REVERSED      {name} is out of {} again ({took})\n{}", self.site, figures(report))
            }
            Outcome::Committed { .. } => {
                format!("MIGRATED      {name} is in place at {} ({took})\n{}", self.site, figures(report))
            }
            Outcome::RolledBack { cause, comparison, .. } => {
                let same = format!("ROLLED BACK   {name}; {} is as it was ({took})\n", self.site);
                same + &format!("  cause       {cause}\n{}", proof(comparison))
            }
            Outcome::RollbackFailed { cause, undo_failure, intact, .. } => {
                let head = format!("ROLLBACK FAILED   {name} at {}\n", self.site);
                head + &failed(&self.site, cause, undo_failure, intact.as_deref())
            }
            Outcome::InDoubt { missing, undone, report } => {
                let head = format!("IN DOUBT      {name} at {}\n", self.site);
                head + &doubt(&self.site, missing, undone, report.phase)
            }
        };
        for finding in &report.findings {
            push!(text, "  note        {finding}\n");
        }
        text + &format!("  journal     tmp log {}\n", report.migration)
    }
}

fn failed(site: &str, cause: &str, failure: &str, intact: Option<&str>) -> String {
    let intact = intact.map_or(String::new(), |intact| format!("{intact}; "));
    format!(
        "  cause       {cause}\n  failed      {failure}\n  \
         intact      {intact}the archive of what was there before (`tmp archive list`)\n  \
         blocked     nothing migrates there until a person has put it right\n  \
         next        put it right, then `tmp resolve {site} --reason WHAT-WAS-DONE`\n"
    )
}

fn doubt(site: &str, missing: &str, undone: &[String], phase: Phase) -> String {
    let undone = match (phase, undone) {
        (Phase::RollingBack | Phase::Compensating, []) => "nothing, as far as is known".to_owned(),
        (_, []) => "nothing; it had not turned back".to_owned(),
        (_, undone) => undone.join(", "),
    };
    format!(
        "  missing     {missing}\n  stands at   {phase}\n  undone      {undone}\n  \
         blocked     nothing migrates there until it is settled\n  \
         next        `tmp recover --site {site}` once that can be had, such as when the database \
         answers again; it goes on from there\n"
    )
}

fn figures(report: &Figures) -> String {
    let mut text = format!(
        "  changed     {}, {}\n",
        count(report.modules, "module"),
        count(report.sql_changes, "SQL change")
    );
    if let Some(mixture) = report.mixture_us {
        let how = match report.switch {
            Switch::Files => "",
            Switch::Atomic => "; the whole tree was exchanged by one rename",
        };
        push!(
            text,
            "  mixture     {} in which old and new modules could be seen together{how}\n",
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
