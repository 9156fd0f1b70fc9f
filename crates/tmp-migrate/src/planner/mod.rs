//! Makes the plan of a migration: reads the enhancement and the target, changes nothing, and says
//! everything that stands in the way at once.

mod condition;
mod normalise;
mod obstacle;
mod reversal;
mod rights;
mod steps;
mod whole;
mod writes;

use std::{collections::BTreeMap, fmt, path::Path};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use tmp_core::{
    ModulePath,
    database::Database,
    enhancement::Enhancement,
    module::Attributes,
    plan::{Plan, Provenance, Reversal, SCHEMA, Switch},
    step::Step,
};
use tmp_disk::Tree;

use crate::{command::CommandPolicy, past::Past, workplace::Workplace};

pub(crate) use condition::forbidden_paths;
pub(crate) use reversal::backward;
pub use reversal::{ReversalContents, ReversalRequest, plan_reversal, reversal_order};
pub(crate) use writes::{base, matches_below};

/// What one new directory takes on a disk, in bytes, unless it is very large.
const DIRECTORY: u64 = 4096;

/// What is to be planned.
#[derive(Clone, Copy)]
pub struct PlanRequest<'a> {
    /// What is to change.
    pub enhancement: &'a Enhancement,
    /// Where it comes from.
    pub provenance: &'a Provenance,
    /// Whether commands may run.
    pub commands: CommandPolicy,
    /// How control objects are moved, by the utility's name.
    pub utilities: &'a BTreeMap<String, Utility>,
    /// The embedder's own steps, run after the batch steps in this order.
    pub steps: &'a [Box<dyn Step>],
}

/// The commands of a utility. `{object}` stands for the object's name, `{file}` for its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utility {
    /// Writes the object to the file.
    pub export: Vec<String>,
    /// Puts the file in place.
    pub import: Vec<String>,
    /// Says whether what is there is right.
    pub verify: Option<Vec<String>>,
}

/// Everything that stands in the way of a migration. The target was not touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    /// At least one.
    pub faults: Vec<PlanFault>,
}

/// One thing that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PlanFault {
    /// The rule, for `tmp explain`.
    pub rule: &'static str,
    /// What it is about: a path, a database, a step.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl PlanFault {
    pub(crate) fn new(
        rule: &'static str,
        subject: impl fmt::Display,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { rule, subject: subject.to_string(), message: message.into(), help: help.into() }
    }
}

impl fmt::Display for PlanFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]\n  help: {}", self.subject, self.message, self.rule, self.help)
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        write!(f, "the migration cannot run, for {count} reason{}", if count == 1 { "" } else { "s" })?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl std::error::Error for PlanError {}

impl From<PlanFault> for PlanError {
    fn from(fault: PlanFault) -> Self {
        Self { faults: vec![fault] }
    }
}

/// Plans a migration. Reads the target and the databases; changes nothing and takes no lock, so what
/// it saw is looked at again when the plan runs.
///
/// # Errors
/// Everything that stands in the way.
pub fn plan(
    workplace: &Workplace,
    request: &PlanRequest<'_>,
    databases: &mut [Box<dyn Database>],
) -> Result<Plan, PlanError> {
    forward(workplace, &mut Past::of(workplace), request, databases)
}

/// The same with a past that may have been asked before.
pub(crate) fn forward(
    workplace: &Workplace,
    past: &mut Past,
    request: &PlanRequest<'_>,
    databases: &mut [Box<dyn Database>],
) -> Result<Plan, PlanError> {
    planned((workplace, past), request, &Restored::default(), databases, Vec::new())
}

/// What a reversal knows besides its enhancement.
#[derive(Debug, Default)]
struct Restored {
    /// Attributes of the modules that come from the archive.
    attributes: BTreeMap<ModulePath, Attributes>,
    reverses: Option<Reversal>,
    warnings: Vec<String>,
}

/// Plans what is asked for, with what already stands in the way.
fn planned(
    (workplace, past): (&Workplace, &mut Past),
    request: &PlanRequest<'_>,
    restored: &Restored,
    databases: &mut [Box<dyn Database>],
    known: Vec<PlanFault>,
) -> Result<Plan, PlanError> {
    let target = &workplace.target;
    let enhancement = request.enhancement;
    let tree = Tree::open(&workplace.disk, Path::new(&target.root)).map_err(|error| {
        let message = crate::text(&error);
        PlanFault::new("root", &target.root, message, "the root must be a directory that TMP may read")
    })?;
    let ignore = globs(&target.ignore)?;
    let mut faults = known;
    faults.extend(condition::conditions(workplace, request));
    let forbidden = forbidden_paths(&target.root, databases);
    let limits = (&ignore, forbidden.as_slice());
    let normalised =
        normalise::normalise(&tree, &enhancement.modules, limits, &restored.attributes, &mut faults);
    let database = condition::database(enhancement, databases, &mut faults);
    condition::file_systems(workplace, &tree, database.as_ref().map(|(planned, _)| planned), &mut faults);
    let steps = steps::checked_part(request, target, &mut faults);
    let (also_archived, written) =
        writes::expand(&tree, enhancement, (&normalised.operations, &target.ignore), &forbidden, &mut faults);
    condition::drift(
        (workplace, past),
        (&tree, &normalised.operations),
        (database.as_ref(), databases),
        &mut faults,
    );
    rights::rights(workplace, &tree, &normalised.operations, &also_archived, &mut faults);
    let tree_planned = (target.switch == Switch::Atomic && !normalised.operations.is_empty()).then(|| {
        let operations = normalised.operations.as_slice();
        let patterns: Vec<String> = enhancement.batch.iter().flat_map(|step| step.writes.clone()).collect();
        // Globs that cannot be read were told of already.
        let written = globs(&patterns).unwrap_or_default();
        let written = (also_archived.as_slice(), &written);
        let known = whole::Known { operations, written, databases: &forbidden, ignore: &ignore };
        whole::whole(workplace, &tree, &known, &mut faults)
    });
    let facts = database.as_ref().and_then(|(_, facts)| facts.as_ref());
    let mut needs = condition::needs(&normalised, written, &steps, facts);
    if let Some(planned) = &tree_planned {
        needs.staged += planned.copied_bytes + planned.directories * DIRECTORY;
        needs.inodes += planned.directories + planned.copied;
    }
    condition::space(workplace, &tree, &needs, &mut faults);
    if !faults.is_empty() {
        return Err(PlanError { faults });
    }
    let mut warnings = restored.warnings.clone();
    warnings.extend(condition::warnings(&tree, enhancement, &normalised));
    Ok(Plan {
        schema: SCHEMA.into(),
        migration: past.next_id(workplace.clock.now()),
        provenance: request.provenance.clone(),
        target: target.clone(),
        reverses: restored.reverses.clone(),
        enhancement: enhancement.clone(),
        operations: normalised.operations,
        unchanged: normalised.unchanged,
        database: database.map(|(planned, _)| planned),
        steps,
        also_archived,
        tree: tree_planned,
        needs,
        warnings,
    })
}

/// Compiles globs in which `*` stops at `/` and `**` does not.
pub(crate) fn globs(patterns: &[String]) -> Result<GlobSet, PlanFault> {
    let mut set = GlobSetBuilder::new();
    let help = "globs are relative to the root: var/**, *.log";
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern)
            .literal_separator(true)
            .build()
            .map_err(|error| PlanFault::new("glob", pattern, error.to_string(), help))?;
        set.add(glob);
    }
    set.build().map_err(|error| PlanFault::new("glob", patterns.join(", "), error.to_string(), help))
}

/// What normalised modules come to.
#[derive(Debug, Default)]
pub(crate) struct Normalised {
    pub(crate) operations: Vec<tmp_core::plan::Operation>,
    pub(crate) unchanged: Vec<ModulePath>,
    /// Bytes that stand at the operations' paths now.
    pub(crate) replaced: u64,
}
