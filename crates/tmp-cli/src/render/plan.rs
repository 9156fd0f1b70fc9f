//! A plan as people read it before they agree to it.

use camino::Utf8PathBuf;
use serde::Serialize;
use tmp_core::plan::{Plan, Switch};

use super::{
    bytes, confinement, count,
    diff::ModuleDiff,
    indent,
    steps::{Line, shell},
};
use crate::output::Report;

/// How commands run where there are none.
const NONE: &str = "none";

/// How the commands of a plan run.
pub(crate) fn commands(plan: &Plan) -> String {
    let control_objects = !plan.enhancement.control_objects.is_empty();
    match &plan.confinement {
        Some(granted) => format!("confined: {}", confinement(granted)),
        None if plan.enhancement.runs_commands() || control_objects => {
            "unconfined, with all rights of whoever runs TMP".into()
        }
        None => NONE.into(),
    }
}

/// Everything there is to know about a migration beforehand.
#[derive(Debug, Serialize)]
pub(crate) struct PlanView {
    /// What it was packaged for, where that is another environment.
    pub(crate) packaged_for: Option<String>,
    /// Steps in order, each with its way back.
    pub(crate) steps: Vec<Line>,
    /// How every command of it runs: confined to what, or unconfined.
    pub(crate) commands: String,
    /// What decides between all and nothing.
    pub(crate) commit_point: String,
    /// What has none.
    pub(crate) without_commit_point: Vec<String>,
    /// Modules that change.
    pub(crate) modules: Vec<ModuleDiff>,
    /// The SQL.
    pub(crate) scripts: Vec<ScriptView>,
    /// Where room is needed.
    pub(crate) space: Vec<Space>,
    /// Warnings beyond those of the plan.
    pub(crate) notes: Vec<String>,
    /// The plan itself.
    pub(crate) plan: Plan,
}

/// A script.
#[derive(Debug, Serialize)]
pub(crate) struct ScriptView {
    /// What it does.
    pub(crate) role: &'static str,
    /// Where it came from.
    pub(crate) name: String,
    /// The SQL.
    pub(crate) text: String,
}

/// Room that is needed and that there is.
#[derive(Debug, Serialize)]
pub(crate) struct Space {
    /// For what.
    pub(crate) what: &'static str,
    /// Where.
    pub(crate) path: Utf8PathBuf,
    /// Bytes needed at most.
    pub(crate) needs: u64,
    /// Bytes free; `None` where that cannot be found out.
    pub(crate) free: Option<u64>,
}

impl Report for PlanView {
    const SCHEMA: &'static str = "tmp.plan/v1";

    fn text(&self) -> String {
        let sections = [
            self.head(),
            self.steps(),
            self.commit(),
            self.modules(),
            self.scripts(),
            self.space(),
            self.warnings(),
        ];
        sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

/// How the modules will be switched.
fn switch(plan: &Plan) -> String {
    let modules = count(plan.modules(), "module");
    match (plan.target.switch, &plan.tree) {
        (Switch::Atomic, Some(_)) => {
            format!("atomic: one rename exchanges the whole tree, and with it {modules}")
        }
        (Switch::Files, _) if !plan.operations.is_empty() => format!("files: {modules}, one after the other"),
        (Switch::Atomic | Switch::Files, _) => "nothing: no module changes".into(),
    }
}

impl PlanView {
    fn head(&self) -> String {
        let (enhancement, target) = (&self.plan.enhancement, &self.plan.target);
        let mut text = format!(
            "{} r{}: {}\n  at       {}/{}/{}, {}\n  payload  {}\n  switch   {}\n",
            enhancement.id,
            enhancement.revision,
            enhancement.title,
            target.system,
            target.environment,
            target.site,
            target.root,
            self.plan.provenance.payload,
            switch(&self.plan)
        );
        if let Some(environment) = &self.packaged_for {
            push!(text, "  note     packaged for {environment}; shown here, not to be run here\n");
        }
        text
    }

    fn steps(&self) -> String {
        let mut text = String::from("What will happen, and the way back of each step\n");
        for (at, step) in self.steps.iter().enumerate() {
            push!(text, "{:3}. {}\n     <- {}\n", at + 1, step.what, step.way_back);
        }
        for command in &self.plan.enhancement.after_rollback {
            push!(text, "     after a rollback: run {}\n", shell(command));
        }
        if self.commands != NONE {
            push!(text, "Commands run {}\n", self.commands);
        }
        text
    }

    fn commit(&self) -> String {
        let mut text = format!("Commit point\n  {}\n", self.commit_point);
        if let Some(database) = &self.plan.database {
            push!(text, "  {}: {}\n", database.name, database.notes.join(", "));
        }
        for note in &self.without_commit_point {
            push!(text, "  {note}\n");
        }
        text
    }

    fn modules(&self) -> String {
        if self.modules.is_empty() && self.plan.unchanged.is_empty() {
            return "Modules\n  none changes\n".into();
        }
        let mut text = String::from("Modules\n");
        for module in &self.modules {
            push!(text, "  {}  {}\n", module.path, module.summary);
            if let Some(diff) = &module.diff {
                text += &indent(diff, "    ");
            }
        }
        for path in &self.plan.unchanged {
            push!(text, "  {path}  is already what it is to become\n");
        }
        text
    }

    fn scripts(&self) -> String {
        if self.scripts.is_empty() {
            return "SQL\n  none\n".into();
        }
        let script = |script: &ScriptView| {
            format!("  {} ({})\n{}", script.name, script.role, indent(&script.text, "    "))
        };
        format!("SQL\n{}", self.scripts.iter().map(script).collect::<String>())
    }

    fn space(&self) -> String {
        let mut text = String::from("Space\n");
        for space in &self.space {
            let free = space.free.map_or("unknown".into(), bytes);
            push!(text, "  {}: at most {}, {free} free at {}\n", space.what, bytes(space.needs), space.path);
        }
        text + "  the way back needs none\n"
    }

    fn warnings(&self) -> String {
        let all: Vec<_> = self.plan.warnings.iter().chain(&self.notes).collect();
        if all.is_empty() {
            return String::new();
        }
        let mut text = format!("{}\n", count(all.len() as u64, "warning"));
        for warning in all {
            push!(text, "  {warning}\n");
        }
        text
    }
}
