//! `tmp inspect`: what a trigger file holds.

use std::fmt::Write as _;

use camino::Utf8PathBuf;
use serde::Serialize;
use tmp_core::{
    enhancement::{Enhancement, SqlRollback},
    module::{Change, Content},
};
use tmp_trigger::{Inspection, TriggerHeader};

use crate::{
    exit::Exit,
    failure::Failure,
    output::{Output, Report},
    render, trigger,
};

/// Arguments of `tmp inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The trigger file
    file: Utf8PathBuf,
}

#[derive(Debug, Serialize)]
struct Inspected<'a> {
    inspection: Inspection<'a>,
}

impl Report for Inspected<'_> {
    const SCHEMA: &'static str = "tmp.inspected/v1";

    fn text(&self) -> String {
        let Inspection { header, enhancement, notable, trigger, payload, size, .. } = &self.inspection;
        let mut text = format!(
            "{} r{}: {}\n  for      {} {}\n  size     {}\n  trigger  {trigger}\n  payload  {payload}\n",
            header.enhancement,
            header.revision,
            header.title,
            header.system,
            header.environment,
            render::bytes(*size)
        );
        text += &about(header);
        text += &modules(enhancement);
        text += &steps(enhancement);
        for note in notable {
            push!(text, "  note     {note}\n");
        }
        text
    }
}

fn about(header: &TriggerHeader) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:8} {value}");
        }
    };
    let list = |items: Vec<String>| (!items.is_empty()).then(|| items.join(", "));
    let texts = |items: &[tmp_core::EnhancementId]| list(items.iter().map(ToString::to_string).collect());
    line(
        "from",
        header.developer.as_ref().map(|who| match &who.email {
            Some(email) => format!("{} <{email}>", who.name),
            None => who.name.clone(),
        }),
    );
    line("label", header.label.as_ref().and_then(render::label));
    line(
        "request",
        header.rfs.as_ref().map(|rfs| match &rfs.description {
            Some(description) => format!("{}: {description}", rfs.id),
            None => rfs.id.clone(),
        }),
    );
    for requirement in header.rfs.iter().flat_map(|rfs| &rfs.requirements) {
        line("", Some(format!("{}: {}", requirement.id, requirement.text)));
    }
    line("why", header.change_document.as_ref().and_then(|document| document.reason.clone()));
    line("operator", header.instructions.as_ref().and_then(|told| told.operator.clone()));
    line("special", header.instructions.as_ref().and_then(|told| told.special.clone()));
    line(
        "schedule",
        header.schedule.as_ref().and_then(|schedule| {
            let after = schedule.not_before.as_ref().map(|moment| format!("not before {moment}"));
            list(
                after
                    .into_iter()
                    .chain(schedule.expires.as_ref().map(|moment| format!("expires {moment}")))
                    .collect(),
            )
        }),
    );
    line(
        "sites",
        header.distribution.as_ref().and_then(|to| list(to.sites.iter().map(ToString::to_string).collect())),
    );
    line("runs", header.activation.as_ref().map(|activation| activation.when.clone()));
    line("requires", texts(&header.requires));
    line("together", texts(&header.together_with));
    line("not with", texts(&header.conflicts_with));
    line("affects", list(header.affects.clone()));
    text
}

fn modules(enhancement: &Enhancement) -> String {
    if enhancement.modules.is_empty() {
        return "no modules\n".into();
    }
    let line = |module: &tmp_core::module::ModuleChange| {
        let what = match &module.change {
            Change::Put(Content::File { size, mode, .. }) => format!("{mode}  {}", render::bytes(*size)),
            Change::Put(Content::Directory { mode }) => format!("{mode}  directory"),
            Change::Put(Content::Symlink { target }) => format!("-> {target}"),
            Change::Remove => "removed".into(),
        };
        let known = if module.expected.is_some() { "  (what it replaces is recorded)" } else { "" };
        format!("  {}  {what}{known}\n", module.path)
    };
    format!("modules\n{}", enhancement.modules.iter().map(line).collect::<String>())
}

fn steps(enhancement: &Enhancement) -> String {
    let mut text = String::new();
    for change in &enhancement.sql {
        let back = match &change.rollback {
            SqlRollback::Script(script) => script.name.clone(),
            SqlRollback::Archive => "from the archive".into(),
            SqlRollback::Irreversible { why } => {
                format!("the archive, until others write to the database; then NONE: {why}")
            }
        };
        push!(text, "sql {}: {} on {}; way back: {back}\n", change.name, change.apply.name, change.database);
    }
    for object in &enhancement.control_objects {
        push!(text, "control object {} by {}\n", object.object, object.utility);
    }
    for batch in &enhancement.batch {
        push!(text, "batch {}: {}\n", batch.name, render::steps::shell(&batch.run));
    }
    for command in &enhancement.after_rollback {
        push!(text, "after a rollback: {}\n", render::steps::shell(command));
    }
    for check in &enhancement.verify {
        push!(text, "check {}: {}\n", check.name, render::steps::probe(&check.probe));
    }
    text
}

impl Inspect {
    /// Checks the whole file and shows what it holds.
    pub(crate) fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let trigger = trigger::open(&self.file)?;
        let inspected = Inspected { inspection: trigger.inspect() };
        if out.json() {
            // The inspection names its own schema.
            out.line(&inspected.inspection);
        } else {
            out.report(&inspected);
        }
        Ok(Exit::Done)
    }
}
