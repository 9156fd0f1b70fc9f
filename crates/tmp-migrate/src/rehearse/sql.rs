//! Rehearses the SQL of an enhancement: each change alone, upon those before it, then all that share the
//! migration's transaction together.

use std::sync::atomic::AtomicBool;

use tmp_core::{
    contents::{Contents, read_small},
    database::Database,
    enhancement::{Enhancement, Script, SqlChange, SqlRollback, TransactionMode},
    event::{Observer, milliseconds},
};

use super::{
    Rehearsal, RehearsalError,
    bench::{Bench, Change, Cycle, Text},
    clone::Clone,
    proof::{Class, Part, Scope, Verdict, WayBack},
    scratch::Scratch,
    tell, unless_stopped,
};
use crate::folder::LARGEST_SCRIPT;

/// Where SQL is rehearsed, and what came of it so far.
pub(super) struct Stage<'a, 'r> {
    pub(super) rehearsal: &'a Rehearsal<'r>,
    pub(super) clone: &'a Clone,
    pub(super) scratch: &'a Scratch,
    pub(super) stop: &'a AtomicBool,
    pub(super) parts: &'a mut Vec<Part>,
}

impl<'a> Stage<'a, '_> {
    /// Rehearses all of it. Answers the tables whose rows differ whenever a change is applied.
    pub(super) fn rehearse(
        &mut self,
        enhancement: &Enhancement,
        contents: &dyn Contents,
        observer: &mut dyn Observer,
    ) -> Result<Vec<String>, RehearsalError> {
        let Some(first) = enhancement.sql.first() else { return Ok(Vec::new()) };
        let Some(file) = self.clone.databases.get(&first.database) else { return Ok(Vec::new()) };
        let mut original = (self.rehearsal.open)(&first.database, file);
        let (shared, alone): (Vec<&SqlChange>, Vec<&SqlChange>) =
            enhancement.sql.iter().partition(|change| change.transaction == TransactionMode::Shared);
        let read = |change: &&SqlChange| read(change, contents);
        let shared_texts = shared.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let alone_texts = alone.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut unrepeatable = Vec::new();
        let mut bench = self.bench(original.as_mut(), "each.db")?;
        let mut goes_on = true;
        for (change, text) in shared.iter().zip(&shared_texts).chain(alone.iter().zip(&alone_texts)) {
            let about = (change.name.as_str(), Scope::SqlChange, way_back(change));
            let mut work = || match change.transaction {
                TransactionMode::Shared => bench.shared(&[text]),
                TransactionMode::None => bench.alone(text),
            };
            let cycle = self.part(about, goes_on, &mut work, observer)?;
            goes_on = cycle.goes_on;
            unrepeatable.extend(cycle.unrepeatable);
        }
        drop(bench);
        if shared.len() > 1 {
            let scripts = shared_texts.iter().all(|text| text.rollback.is_some());
            let way_back = if scripts { WayBack::Scripts } else { WayBack::Archive };
            let mut bench = self.bench(original.as_mut(), "all.db")?;
            let all: Vec<&Change> = shared_texts.iter().collect();
            let reached = !self.parts.iter().flat_map(|part| &part.findings).any(does_not_apply);
            let mut work = || bench.shared(&all);
            let cycle = self.part(("all-sql", Scope::AllSql, way_back), reached, &mut work, observer)?;
            unrepeatable.extend(cycle.unrepeatable);
        }
        unrepeatable.sort_unstable();
        unrepeatable.dedup();
        Ok(unrepeatable)
    }

    fn bench(&self, original: &mut dyn Database, file: &str) -> Result<Bench<'a>, RehearsalError> {
        let real = self.rehearsal.workplace;
        let surroundings = (self.scratch, real.disk.as_ref(), &real.clock);
        let payload = self.rehearsal.provenance.payload;
        Bench::make(original, file, surroundings, payload, self.rehearsal.open)
    }

    /// Does one part of the work and notes what came of it; where it cannot be reached, only that.
    fn part(
        &mut self,
        (name, scope, way_back): (&str, Scope, WayBack),
        reached: bool,
        work: &mut dyn FnMut() -> Result<Cycle, RehearsalError>,
        observer: &mut dyn Observer,
    ) -> Result<Cycle, RehearsalError> {
        unless_stopped(self.stop)?;
        let clock = &self.rehearsal.workplace.clock;
        let since = clock.elapsed();
        let mut cycle = if reached { work()? } else { Cycle::default() };
        let verdict = match (reached, &cycle.finding) {
            (false, _) => Verdict::NotReached,
            (true, None) => Verdict::Proven,
            (true, Some(_)) => Verdict::NotProven,
        };
        let took_ms = milliseconds(clock.elapsed().saturating_sub(since));
        let findings = cycle.finding.take().into_iter().collect();
        let part = Part { name: name.to_owned(), scope, way_back, verdict, findings, took_ms };
        tell(&part, observer);
        self.parts.push(part);
        Ok(cycle)
    }
}

fn does_not_apply(finding: &super::Finding) -> bool {
    finding.class == Class::DoesNotApply
}

fn way_back(change: &SqlChange) -> WayBack {
    match &change.rollback {
        SqlRollback::Script(_) => WayBack::Scripts,
        SqlRollback::Archive => WayBack::Archive,
        SqlRollback::Irreversible { why } => WayBack::Irreversible { why: why.clone() },
    }
}

fn read(change: &SqlChange, contents: &dyn Contents) -> Result<Change, RehearsalError> {
    let text = |script: &Script| {
        let fault = |source| RehearsalError::Script { name: script.name.clone(), source };
        let bytes = read_small(contents, &script.digest, LARGEST_SCRIPT).map_err(fault)?;
        let invalid = |error| fault(std::io::Error::new(std::io::ErrorKind::InvalidData, error));
        Ok::<_, RehearsalError>(Text {
            name: script.name.clone(),
            text: String::from_utf8(bytes).map_err(invalid)?,
        })
    };
    let verify = match &change.verify {
        Some(verify) => Some((text(&verify.script)?, verify.assert)),
        None => None,
    };
    let rollback = match &change.rollback {
        SqlRollback::Script(script) => Some(text(script)?),
        SqlRollback::Archive | SqlRollback::Irreversible { .. } => None,
    };
    Ok(Change { apply: text(&change.apply)?, verify, rollback })
}
