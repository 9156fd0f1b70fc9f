//! SQL changes, control objects, batch steps and checks of an enhancement.

use tmp_core::{
    Digest,
    enhancement::{
        BatchStep, Check, Command, ControlObject, DatabaseEngine, Probe, Script, SqlChange, SqlRollback,
        SqlVerify,
    },
};

use super::{Assembly, ScriptRole};
use crate::{
    document::FieldPath,
    limits,
    mistake::Mistake,
    rules,
    source::{CheckEntry, EnhancementFile, RollbackEntry, Span, SqlEntry},
};

/// The longest a command may take where nothing else is said, in seconds.
const TIMEOUT: u64 = 600;

impl Assembly<'_> {
    pub(super) fn sql(&mut self) -> Vec<SqlChange> {
        let list = FieldPath::top().field("sql");
        let source = self.source;
        source.sql.iter().enumerate().map(|(at, entry)| self.sql_change(entry, &list.index(at))).collect()
    }

    fn sql_change(&mut self, entry: &SqlEntry, place: &FieldPath) -> SqlChange {
        let apply = self.sql_script(entry, &entry.apply, ScriptRole::Apply, &place.field("apply"));
        let rollback = match &entry.rollback {
            RollbackEntry::Archive => SqlRollback::Archive,
            RollbackEntry::Irreversible(why) => SqlRollback::Irreversible { why: why.clone() },
            RollbackEntry::Script(name) => SqlRollback::Script(self.sql_script(
                entry,
                name,
                ScriptRole::Rollback,
                &place.field("rollback"),
            )),
        };
        let verify = entry.verify.as_ref().map(|name| SqlVerify {
            script: self.sql_script(entry, name, ScriptRole::Verify, &place.field("verify")),
            assert: entry.assert,
        });
        if entry.assert && verify.is_none() {
            let message = "`assert` judges what `verify` returns, and there is no `verify`";
            self.wrong(&rules::ENTRY, &place.field("assert"), message, "");
        }
        let (name, database) = (entry.name.clone(), entry.database.clone());
        SqlChange { name, database, transaction: entry.transaction, apply, rollback, verify }
    }

    fn sql_script(&mut self, entry: &SqlEntry, name: &str, role: ScriptRole, place: &FieldPath) -> Script {
        let engine = self.source.databases.get(&entry.database).map(|database| database.engine);
        let (script, text) = self.script(name, place);
        if let (Some(engine), Some((file, text))) = (engine, text) {
            self.check_script(engine, entry, role, &file, &text);
        }
        script
    }

    fn check_script(
        &mut self,
        engine: DatabaseEngine,
        entry: &SqlEntry,
        role: ScriptRole,
        file: &str,
        text: &[u8],
    ) {
        for fault in self.scripts.check(engine, entry.transaction, role, text) {
            let mistake = Mistake::of_file(&rules::SCRIPT, file, fault.message, fault.help);
            self.mistakes.push(Mistake { line: fault.line, column: fault.column, ..mistake });
        }
    }

    /// A script with its file and text. Of one that cannot be used only the mistake remains.
    fn script(&mut self, name: &str, place: &FieldPath) -> (Script, Option<(String, Vec<u8>)>) {
        let unusable = Script { name: name.to_owned(), digest: Digest::of(b""), size: 0 };
        let file = match self.sources.file(name) {
            Ok(file) => file,
            Err(fault) => {
                self.wrong_source(place, fault);
                return (unusable, None);
            }
        };
        match file.read_bounded(limits::SCRIPT + 1) {
            Ok(text) => {
                let (digest, size) = (Digest::of(&text), text.len() as u64);
                let shown = file.shown();
                self.contents.insert(digest, file);
                (Script { name: name.to_owned(), digest, size }, Some((shown, text)))
            }
            Err(error) => {
                self.wrong(&rules::FILE, place, format!("{name:?} cannot be read: {error}"), "");
                (unusable, None)
            }
        }
    }

    pub(super) fn control_objects(&mut self) -> Vec<ControlObject> {
        let list = FieldPath::top().field("control_objects");
        let source = self.source;
        let entries = source.control_objects.iter().enumerate();
        entries
            .map(|(at, entry)| {
                let (content, _) = self.script(&entry.from, &list.index(at).field("from"));
                ControlObject { utility: entry.utility.clone(), object: entry.object.clone(), content }
            })
            .collect()
    }

    pub(super) fn checks(&mut self) -> Vec<Check> {
        let list = FieldPath::top().field("verify");
        let source = self.source;
        source.verify.iter().enumerate().map(|(at, entry)| self.check_of(entry, &list.index(at))).collect()
    }

    fn check_of(&mut self, entry: &CheckEntry, place: &FieldPath) -> Check {
        let http = entry.http.as_ref().map(|url| {
            let status = entry.status.unwrap_or(200);
            Probe::Http { url: url.clone(), status }
        });
        let run = entry.run.as_ref().map(|run| Probe::Command(command(run, entry.timeout.as_ref())));
        let digest = entry.digest.as_ref().map(|module| {
            let (path, digest) = (module.path.clone(), module.equals);
            Probe::Digest { path, digest }
        });
        if entry.status.is_some() && http.is_none() {
            self.wrong(&rules::ENTRY, &place.field("status"), "`status` belongs to `http`", "");
        }
        if entry.timeout.is_some() && run.is_none() {
            self.wrong(&rules::ENTRY, &place.field("timeout"), "`timeout` belongs to `run`", "");
        }
        let mut probes = [http, run, digest].into_iter().flatten();
        let probe = match (probes.next(), probes.next()) {
            (Some(only), None) => only,
            (first, _) => {
                let message = "a check has exactly one of `http`, `run` and `digest`";
                self.wrong(&rules::ENTRY, place, message, "");
                first.unwrap_or(Probe::Command(command(&["none".to_owned()], None)))
            }
        };
        Check { name: entry.name.clone(), probe, within_s: entry.within.as_ref().map_or(0, Span::seconds) }
    }
}

pub(super) fn batch(source: &EnhancementFile) -> Vec<BatchStep> {
    let step = |entry: &crate::source::BatchEntry| BatchStep {
        name: entry.name.clone(),
        run: command(&entry.run, entry.timeout.as_ref()),
        rollback: entry.rollback.as_ref().map(|run| command(run, entry.timeout.as_ref())),
        writes: entry.writes.clone(),
    };
    source.batch.iter().map(step).collect()
}

pub(super) fn after_rollback(source: &EnhancementFile) -> Vec<Command> {
    source.after_rollback.iter().map(|entry| command(&entry.run, entry.timeout.as_ref())).collect()
}

fn command(run: &[String], timeout: Option<&Span>) -> Command {
    Command { run: run.to_vec(), timeout_s: timeout.map_or(TIMEOUT, Span::seconds) }
}
