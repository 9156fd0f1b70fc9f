//! The steps of a plan in words, each with its way back.

use serde::Serialize;
use tmp_core::{
    enhancement::{Command, ControlObject, Enhancement, Probe, SqlChange, SqlRollback, TransactionMode},
    module::Kind,
    plan::{Action, Operation, Plan, PlannedStep, PlannedTree, StepWork, UtilityCommands},
};

use super::{bytes, count, milliseconds};

/// One step in words.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// What happens.
    pub(crate) what: String,
    /// How it is taken back.
    pub(crate) way_back: String,
}

fn line(what: impl Into<String>, way_back: impl Into<String>) -> Line {
    Line { what: what.into(), way_back: way_back.into() }
}

/// Every step in order. `archive` is where archives are kept.
pub(crate) fn lines(plan: &Plan, archive: &str) -> Vec<Line> {
    let mut lines = vec![archiving(plan, archive), staging(plan)];
    lines.extend(plan.tree.as_ref().map(next_tree));
    let shared = |change: &&SqlChange| change.transaction == TransactionMode::Shared;
    lines.extend(plan.enhancement.sql.iter().filter(shared).map(|change| transactional(plan, change)));
    match &plan.tree {
        Some(_) => lines.push(exchanging(plan)),
        None => lines.extend(plan.operations.iter().map(switching)),
    }
    lines.push(line(commit_point(plan), "before this point a failure or a crash leaves no trace of it; after it everything above is taken back in the opposite order, and compared with the archive"));
    lines.extend(plan.steps.iter().map(|step| how(plan, step, checked(&plan.enhancement, step))));
    lines.push(line(
        "record the migration as committed, remove the parked modules",
        "nothing rolls back by itself any more; the archive and the journal stay",
    ));
    lines
}

/// What decides between all and nothing.
pub(crate) fn commit_point(plan: &Plan) -> String {
    match &plan.database {
        Some(database) => {
            format!("COMMIT of {}: the one commit point of files and SQL together", database.name)
        }
        None => "record that every module is switched: the one commit point".into(),
    }
}

/// What has no single commit point, because it cannot share a transaction.
pub(crate) fn outside(plan: &Plan) -> Vec<String> {
    let alone = plan.enhancement.sql.iter().filter(|change| change.transaction == TransactionMode::None);
    alone
        .map(|change| {
            format!(
                "{} runs outside of a transaction, after the commit point: while it runs a crash may leave it half done, \
                 and its own way back is what takes it back",
                change.name
            )
        })
        .collect()
}

fn archiving(plan: &Plan, archive: &str) -> Line {
    let paths = count((plan.operations.len() + plan.also_archived.len()) as u64, "path");
    let database =
        plan.database.as_ref().map_or(String::new(), |database| format!(" and database {}", database.name));
    let size = bytes(plan.needs.archive);
    line(
        format!("archive {paths}{database} ({size} at most) in {archive}; read back and verified"),
        "it stays: the second way back",
    )
}

fn staging(plan: &Plan) -> Line {
    let count = count(plan.needs.inodes, "new inode");
    line(
        format!("stage {} in {count} in {}", bytes(plan.needs.staged), plan.target.work),
        "removed from the work directory",
    )
}

fn next_tree(tree: &PlannedTree) -> Line {
    let directories = match tree.directories {
        1 => "1 directory".into(),
        several => format!("{several} directories"),
    };
    let mut what = format!(
        "make the whole next tree: {directories} anew, {} of what does not change linked ({}, not copied)",
        count(tree.linked, "name"),
        bytes(tree.linked_bytes)
    );
    if tree.copied > 0 {
        push!(
            what,
            ", {} that may change in place copied ({})",
            count(tree.copied, "file"),
            bytes(tree.copied_bytes)
        );
    }
    line(what, "removed from the work directory")
}

fn exchanging(plan: &Plan) -> Line {
    line(
        format!(
            "exchange {} with the next tree by one rename: {} at once",
            plan.target.root,
            count(plan.modules(), "module")
        ),
        "the old tree, parked, is exchanged back by one rename",
    )
}

fn transactional(plan: &Plan, change: &SqlChange) -> Line {
    let engine = plan.database.as_ref().map_or(String::new(), |database| format!(" ({})", database.engine));
    let mut what = format!(
        "SQL {}: run {} on {}{engine} in the open transaction",
        change.name, change.apply.name, change.database
    );
    if let Some(verify) = &change.verify {
        let how = if verify.assert { "every value must be true" } else { "it must end without error" };
        push!(what, ", then {} ({how})", verify.script.name);
    }
    line(what, format!("until COMMIT the transaction is rolled back; after it {}", sql_back(change)))
}

fn sql_back(change: &SqlChange) -> String {
    match &change.rollback {
        SqlRollback::Script(script) => format!("{} runs, and the result is compared", script.name),
        SqlRollback::Archive => "the archived database is put back, unless others have written since".into(),
        SqlRollback::Irreversible { why } => format!(
            "the archived database is put back, until others write to the database; after that there is NO WAY BACK: {why}"
        ),
    }
}

fn switching(operation: &Operation) -> Line {
    let path = &operation.path;
    match &operation.action {
        Action::Put { staged } => {
            let modules = if staged.len() > 1 {
                format!(" ({})", count(staged.len() as u64, "module"))
            } else {
                String::new()
            };
            match operation.replaces {
                Kind::Absent => line(format!("add {path}{modules}"), "moved out again"),
                kind => line(
                    format!("put {path}{modules} in place of {kind}"),
                    "the old module, parked, is exchanged back",
                ),
            }
        }
        Action::Remove => {
            line(format!("remove {path}, {}", operation.replaces), "the old module, parked, is moved back")
        }
        Action::SetMode { from, to } => {
            line(format!("change the mode of {path} from {from} to {to}"), "the old mode is set again")
        }
    }
}

fn checked(enhancement: &Enhancement, step: &PlannedStep) -> Line {
    let name = &step.name;
    match &step.work {
        StepWork::PostImage => line("compare every switched module with this plan", "nothing to undo"),
        StepWork::Sql { index } => match enhancement.sql.get(*index) {
            Some(change) => line(
                format!(
                    "SQL {name}: run {} on {} outside of a transaction",
                    change.apply.name, change.database
                ),
                sql_back(change),
            ),
            None => unknown(name.as_str()),
        },
        StepWork::ControlObject { index, commands } => match enhancement.control_objects.get(*index) {
            Some(object) => line(
                control_object(object, commands),
                format!("what was exported is imported again: {}", shell(&commands.import)),
            ),
            None => unknown(name.as_str()),
        },
        StepWork::Batch { index } => match enhancement.batch.get(*index) {
            Some(batch) => {
                let mut back: Vec<_> =
                    batch.rollback.iter().map(|command| format!("run {}", shell(command))).collect();
                if !batch.writes.is_empty() {
                    back.push(format!("put back {} from the archive", batch.writes.join(", ")));
                }
                let back = if back.is_empty() {
                    "nothing is declared: it changes nothing that must come back".into()
                } else {
                    back.join(", then ")
                };
                line(format!("batch {name}: run {}", shell(&batch.run)), back)
            }
            None => unknown(name.as_str()),
        },
        StepWork::Own { describe, describe_undo } => {
            line(format!("{name}: {describe}"), describe_undo.clone())
        }
        StepWork::Check { index } => match enhancement.verify.get(*index) {
            Some(check) => {
                let within = match check.within_s {
                    0 => String::new(),
                    seconds => format!(", asked again for {}", milliseconds(seconds.saturating_mul(1000))),
                };
                line(
                    format!("check {name}: {}{within}", probe(&check.probe)),
                    "nothing to undo; a failure takes everything back",
                )
            }
            None => unknown(name.as_str()),
        },
    }
}

/// A step's line, and how its commands run.
fn how(plan: &Plan, step: &PlannedStep, mut line: Line) -> Line {
    let check = |index: usize| plan.enhancement.verify.get(index);
    let runs = match &step.work {
        StepWork::ControlObject { .. } | StepWork::Batch { .. } => true,
        StepWork::Check { index } => {
            check(*index).is_some_and(|check| matches!(check.probe, Probe::Command(_)))
        }
        StepWork::PostImage | StepWork::Sql { .. } | StepWork::Own { .. } => false,
    };
    if runs {
        line.what += if plan.confinement.is_some() { ", confined" } else { ", unconfined" };
    }
    line
}

fn control_object(object: &ControlObject, commands: &UtilityCommands) -> String {
    let mut text = format!(
        "control object {} by {}: export what is there: {}, then import the new one: {}",
        object.object,
        object.utility,
        shell(&commands.export),
        shell(&commands.import)
    );
    if let Some(verify) = &commands.verify {
        push!(text, ", then verify it: {}", shell(verify));
    }
    text
}

fn unknown(name: &str) -> Line {
    line(format!("step {name}"), "as the plan says")
}

/// A check in words.
pub(crate) fn probe(probe: &Probe) -> String {
    match probe {
        Probe::Command(command) => format!("run {}", shell(command)),
        Probe::Http { url, status } => format!("GET {url} answers {status}"),
        Probe::Digest { path, digest } => format!("{path} has {digest}"),
    }
}

/// A command as a shell would need it, with the time it may take.
pub(crate) fn shell(command: &Command) -> String {
    let words = quoted(command.run.iter().map(String::as_str));
    format!("`{words}` (at most {})", milliseconds(command.timeout_s.saturating_mul(1000)))
}

/// Words as a shell would need them to read the same ones.
pub(crate) fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    // What is left to fail is a NUL, which is allowed here: no command that holds one gets into a plan.
    shlex::Quoter::new().allow_nul(true).join(words).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_a_shell_needs_it() {
        for words in [
            &["bin/reindex", "--all"][..],
            &["bin/say", "two words", "it's", "$HOME", "", "*", "a\\b", "\"quoted\"", "{file}", "new\nline"],
        ] {
            let shown = quoted(words.iter().copied());
            let script = format!("printf '%s\\0' {shown}");
            let ran = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            let read = String::from_utf8(ran.stdout).unwrap();
            assert_eq!(read.split_terminator('\0').collect::<Vec<_>>(), words, "{shown}");
        }
        assert_eq!(quoted(["bin/reindex", "--all"]), "bin/reindex --all");
    }
}
