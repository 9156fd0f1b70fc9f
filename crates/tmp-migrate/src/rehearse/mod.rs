//! Rehearsing a migration on a throw-away clone of its target: forward, back to exactly what was, forward
//! again to the same.
//!
//! * `scratch`: the folder, and what tells the leftovers of a dead rehearsal. `clone`, `copy`: what is in it.
//! * `bench`: SQL alone, over the `Database` seam. `whole`, `turn`: everything, by the engine.
//! * `view`, `difference`: what was found. `proof`: what is kept of it.
//!
//! Commands of the enhancement run only where that is asked for, because nothing confines them to the clone;
//! checks by HTTP are never asked, because they would ask the live site.

mod bench;
mod clone;
mod copy;
mod difference;
mod proof;
mod scratch;
mod sql;
mod turn;
mod view;
mod whole;

use std::{
    collections::BTreeMap,
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use camino::{Utf8Path, Utf8PathBuf};
use tmp_archive::ArchiveError;
use tmp_core::{
    DatabaseName, Digest,
    contents::Contents,
    database::{Database, DatabaseError},
    enhancement::Enhancement,
    event::{Direction, Event, Observer, milliseconds},
    plan::Provenance,
};
use tmp_disk::{At, DiskError, Tree};

pub use proof::{
    Against, Class, Finding, How, NotRehearsed, ObjectDifference, Part, Position, Proof, Scope,
    TableDifference, Verdict, WayBack,
};
pub use scratch::{Scratch, sweep};

use self::{
    clone::{Clone, quietly},
    proof::SCHEMA,
    view::View,
    whole::Whole,
};
use crate::{
    command::CommandPolicy,
    engine::{EngineError, OpenError},
    ids::new_id,
    planner::{PlanError, Utility},
    workplace::Workplace,
};

/// Opens the copy of a database, by its name and the file it was copied to. It connects to nothing yet.
pub type Databases<'a> = dyn Fn(&DatabaseName, &Utf8Path) -> Box<dyn Database> + 'a;

/// What is to be rehearsed, and where.
pub struct Rehearsal<'a> {
    /// The target that is cloned. It is only read.
    pub workplace: &'a Workplace,
    /// What is to change.
    pub enhancement: &'a Enhancement,
    /// Where it comes from.
    pub provenance: &'a Provenance,
    /// Whether commands of the enhancement run, in the clone.
    pub commands: bool,
    /// Whether they may run at all.
    pub policy: &'a CommandPolicy,
    /// Whether modules may take another identity when they run.
    pub privileged_modules: bool,
    /// How control objects are moved, by the utility's name.
    pub utilities: &'a BTreeMap<String, Utility>,
    /// Opens copies of the site's databases.
    pub open: &'a Databases<'a>,
}

/// What a rehearsal runs with.
pub struct Cast<'a> {
    /// The contents of the enhancement.
    pub contents: &'a dyn Contents,
    /// The site's own databases, which are copied.
    pub databases: &'a mut [Box<dyn Database>],
    /// Is told of each part.
    pub observer: &'a mut dyn Observer,
    /// Once true, the rehearsal ends and removes what it made.
    pub stop: &'a AtomicBool,
}

/// A rehearsal did not come to a proof, for or against. The target was not changed; the clone is removed, or
/// [`sweep`] removes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RehearsalError {
    /// The migration cannot even be planned on the clone.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A database failed, and not a script.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The archive in the scratch folder failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The engine cannot be opened on the clone.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The engine could not go on on the clone.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A script cannot be read from the contents.
    #[error("script {name} cannot be taken from the payload")]
    Script {
        /// Which one.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The clone is in use by something else.
    #[error("the clone is not the rehearsal's own")]
    NotOwn,
    /// Somebody asked it to stop.
    #[error("the rehearsal was interrupted")]
    Stopped,
}

/// Rehearses a migration. The clone is made in the state directory where that is on the root's mount, so that
/// content can be shared, else in the work directory; it is gone when this returns.
///
/// # Errors
/// There is no proof either way. A wrong roll-back is no error but a [`Proof`] that says so.
pub fn rehearse(rehearsal: &Rehearsal<'_>, cast: &mut Cast<'_>) -> Result<Proof, RehearsalError> {
    let real = rehearsal.workplace;
    leftovers(real)?;
    let (disk, base) = (real.disk.as_ref(), base(real)?);
    let made = !base.exists();
    let create = || Scratch::create(&real.disk, &base, &new_id(real.clock.now()));
    let scratch = quietly(disk, std::slice::from_ref(&base), create)??;
    let text = format!("the clone is made in {}", scratch.path());
    cast.observer.event(&Event::Finding { text });
    let result = in_scratch(rehearsal, cast, &scratch);
    let remove = || {
        scratch.remove()?;
        // Where a migration made use of it meanwhile, it is not empty and stays.
        let parent = base.parent().filter(|_| made).map(|parent| disk.open_root(parent.as_std_path()));
        if let (Some(Ok(parent)), Some(name)) = (parent, base.file_name()) {
            let _ = disk.remove_dir(At::new(&parent, name));
        }
        Ok::<_, DiskError>(())
    };
    let removed = quietly(disk, std::slice::from_ref(&base), remove);
    let proof = result?;
    removed??;
    Ok(proof)
}

/// Removes what dead rehearsals of this target left, and answers the folders. Those of living ones stay.
///
/// # Errors
/// Something cannot be removed.
pub fn leftovers(real: &Workplace) -> Result<Vec<Utf8PathBuf>, DiskError> {
    let mut removed = Vec::new();
    for base in [&real.state, &real.target.work] {
        let names = sweep(real.disk.as_ref(), base)?;
        removed.extend(names.into_iter().map(|name| base.join(name)));
    }
    Ok(removed)
}

/// The directory for the scratch folder: on the mount of the root.
fn base(real: &Workplace) -> Result<Utf8PathBuf, DiskError> {
    let disk = real.disk.as_ref();
    let mount = |path: &Utf8Path| {
        let dir = path.ancestors().find_map(|above| disk.open_root(above.as_std_path()).ok())?;
        disk.stat(At::itself(&dir)).ok().flatten().map(|stat| stat.mount)
    };
    let tree = Tree::open(&real.disk, real.target.root.as_std_path())?;
    let root = disk.stat(At::itself(tree.root())).map_err(DiskError::at("look at", &real.target.root))?;
    let same = root.is_some_and(|root| mount(&real.state) == Some(root.mount));
    Ok(if same { real.state.clone() } else { real.target.work.clone() })
}

fn in_scratch(
    rehearsal: &Rehearsal<'_>,
    cast: &mut Cast<'_>,
    scratch: &Scratch,
) -> Result<Proof, RehearsalError> {
    let clock = &rehearsal.workplace.clock;
    let (began, since) = (clock.now(), clock.elapsed());
    let (enhancement, not_rehearsed) = whole::rehearsable(rehearsal.enhancement, rehearsal.commands);
    let clone = Clone::make(rehearsal.workplace, &enhancement, cast.databases, scratch, cast.stop)?;
    let archive = scratch.path().join("seen");
    let view = View::new(&clone.workplace, archive, &clone.open(rehearsal.open));
    let mut whole = Whole {
        rehearsal,
        clone: &clone,
        enhancement: &enhancement,
        contents: cast.contents,
        stop: cast.stop,
        view,
        scripts: None,
        unrepeatable: Vec::new(),
    };
    let plan = whole.planned()?;
    let mut parts = Vec::new();
    let mut stage = sql::Stage { rehearsal, clone: &clone, scratch, stop: cast.stop, parts: &mut parts };
    whole.unrepeatable = stage.rehearse(&enhancement, cast.contents, cast.observer)?;
    let all = parts.iter().find(|part| part.scope == Scope::AllSql).or(parts.first());
    whole.scripts = all.and_then(|part| part.findings.first().cloned());
    let before = whole.view.see(whole.database(&plan).as_deref_mut())?;
    let modules = whole.view.touched(&before, &plan)?;
    let schema = |state: &tmp_core::database::Fingerprint| {
        Digest::of(&serde_json::to_vec(&state.schema).unwrap_or_default())
    };
    let database = plan.database.as_ref().map(|planned| planned.name.clone());
    let databases = database.zip(before.database.as_ref().map(schema)).into_iter().collect();
    parts.push(migration(&whole, &before, &parts, cast.observer)?);
    let mut notes = clone.notes.clone();
    notes.extend(whole.unrepeatable.iter().map(|table| {
        format!("rows of {table} hold the time, or chance: they differ whenever the change is applied")
    }));
    let proven = parts.iter().all(|part| part.verdict == Verdict::Proven);
    let target = &rehearsal.workplace.target;
    Ok(Proof {
        schema: SCHEMA.into(),
        provenance: rehearsal.provenance.clone(),
        enhancement: enhancement.id.clone(),
        revision: enhancement.revision,
        system: target.system.clone(),
        environment: target.environment,
        site: target.site.clone(),
        against: Against { modules, databases },
        began,
        took_ms: milliseconds(clock.elapsed().saturating_sub(since)),
        verdict: if proven { Verdict::Proven } else { Verdict::NotProven },
        parts,
        not_rehearsed,
        notes,
    })
}

/// The whole migration, unless its SQL cannot even be applied.
fn migration(
    whole: &Whole<'_, '_>,
    before: &turn::Seen,
    parts: &[Part],
    observer: &mut dyn Observer,
) -> Result<Part, RehearsalError> {
    let clock = &whole.rehearsal.workplace.clock;
    let since = clock.elapsed();
    let applies =
        parts.iter().flat_map(|part| &part.findings).all(|finding| finding.class != Class::DoesNotApply);
    let findings = if applies { whole.rehearse(before)? } else { Vec::new() };
    let verdict = match (applies, findings.is_empty()) {
        (false, _) => Verdict::NotReached,
        (true, true) => Verdict::Proven,
        (true, false) => Verdict::NotProven,
    };
    let took_ms = milliseconds(clock.elapsed().saturating_sub(since));
    let part = Part {
        name: "whole-migration".into(),
        scope: Scope::Migration,
        way_back: WayBack::Compensation,
        verdict,
        findings,
        took_ms,
    };
    tell(&part, observer);
    Ok(part)
}

/// Tells how a part ended.
fn tell(part: &Part, observer: &mut dyn Observer) {
    let failure = match part.verdict {
        Verdict::Proven => None,
        Verdict::NotReached => Some("not reached".to_owned()),
        Verdict::NotProven => Some(
            part.findings
                .iter()
                .map(|finding| format!("{}: {}", finding.class.as_str(), finding.message))
                .collect::<Vec<_>>()
                .join("; "),
        ),
    };
    if let Ok(step) = part.name.parse() {
        observer.event(&Event::Step { step, direction: Direction::Apply, failure, took_ms: part.took_ms });
    }
}

/// Ends the rehearsal where somebody asked for that.
fn unless_stopped(stop: &AtomicBool) -> Result<(), RehearsalError> {
    if stop.load(Ordering::Relaxed) { Err(RehearsalError::Stopped) } else { Ok(()) }
}
