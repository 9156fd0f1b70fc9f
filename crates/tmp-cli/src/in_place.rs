//! Whether the payload of a trigger file is in place already, so that there is nothing to do.
//!
//! The journals tell what was put there; the target tells whether it is there still. Only both together
//! mean that nothing is to be done.

use std::path::Path;

use serde::Serialize;
use tmp_core::{
    ModulePath,
    database::Marker,
    module::Change,
    plan::{Plan, PlannedDatabase},
};
use tmp_disk::Tree;
use tmp_migrate::{Fact, LeftModule, MigrationSummary, log};
use tmp_sql::SqliteDatabase;
use tmp_trigger::VerifiedTrigger;

use crate::{
    config::{Config, Site},
    exit::Exit,
    failure::{Failure, Fault},
    journals, opening,
    output::Report,
    planning, trigger,
};

/// A payload that needs no migration.
#[derive(Debug, Serialize)]
pub(crate) struct InPlace {
    /// The migration that put it in place.
    migration: String,
    /// Where.
    site: String,
}

impl Report for InPlace {
    const SCHEMA: &'static str = "tmp.in-place/v1";

    fn text(&self) -> String {
        format!("nothing to do: migration {} put this payload in place at {}\n", self.migration, self.site)
    }
}

/// Whether this very payload is in place at a site: some migration put it there, none of the same
/// enhancement came after it, and every module and the database are as it left them. `None` where it is to
/// be migrated, for the first time or again.
///
/// # Errors
/// Part of it is in place and part is not, or something else took its place since: exit 5, and what
/// is told. Or the target cannot be looked at.
pub(crate) fn look(
    config: &Config,
    trigger: &VerifiedTrigger,
    site: &Site,
    all: &[MigrationSummary],
) -> Result<Option<InPlace>, Failure> {
    let id = &trigger.enhancement().id;
    let newest = all.iter().rfind(|summary| trigger::installed(summary, site) && summary.enhancement == *id);
    let Some(newest) = newest.filter(|newest| newest.payload == trigger.payload()) else { return Ok(None) };
    let (plan, marker) = journal(config, newest)?;
    let tree = Tree::open(&opening::disk(), Path::new(&site.root)).map_err(Failure::unexpected)?;
    let mut changed = Vec::new();
    for change in &plan.enhancement.modules {
        let content = match &change.change {
            Change::Put(content) => Some(content.clone()),
            Change::Remove => None,
        };
        let left = LeftModule { content, by: newest.id.clone() };
        if left.drift(&tree, &change.path).map_err(Failure::unexpected)?.is_some() {
            changed.push(&change.path);
        }
    }
    let carried = match (&plan.database, &marker) {
        (Some(database), Some(marker)) => Some((database, carries(site, database, marker)?)),
        _ => None,
    };
    if changed.is_empty() && carried.is_none_or(|(_, carried)| carried) {
        return Ok(Some(InPlace { migration: newest.id.to_string(), site: site.to_string() }));
    }
    let mut faults = overtaken(config, site, newest, all, &changed)?;
    if let Some((database, true)) = carried {
        faults.extend(changed.iter().map(|path| half(path, newest, database)));
    }
    if faults.is_empty() { Ok(None) } else { Err(planning::refused(site, faults)) }
}

/// What a migration planned, and what proves that its database committed.
fn journal(config: &Config, summary: &MigrationSummary) -> Result<(Plan, Option<Marker>), Failure> {
    let (plan, _, records) =
        log(&opening::disk(), &config.state.value, &summary.id).map_err(journals::unreadable)?;
    let marker = records.into_iter().rev().find_map(|record| match record.fact {
        Fact::Prepared(prepared) => Some(prepared.marker),
        _ => None,
    });
    Ok((plan, marker.flatten()))
}

fn carries(site: &Site, planned: &PlannedDatabase, marker: &Marker) -> Result<bool, Failure> {
    let Some(file) = site.databases.get(&planned.name) else { return Ok(false) };
    SqliteDatabase::new(planned.name.clone(), file.clone())
        .carries(marker)
        .map_err(|error| Failure::caused(Exit::PreCheck, error).rule("database"))
}

/// What later migrations changed among the modules that differ.
fn overtaken(
    config: &Config,
    site: &Site,
    newest: &MigrationSummary,
    all: &[MigrationSummary],
    changed: &[&ModulePath],
) -> Result<Vec<Fault>, Failure> {
    let mut faults = Vec::new();
    if changed.is_empty() {
        return Ok(faults);
    }
    for later in all.iter().filter(|later| later.id > newest.id && trigger::installed(later, site)) {
        let (plan, _) = journal(config, later)?;
        let touches = |path: &ModulePath| plan.enhancement.modules.iter().any(|other| other.path == *path);
        for path in changed.iter().filter(|path| touches(path)) {
            faults.push(Fault {
                rule: "overtaken",
                subject: path.to_string(),
                message: format!(
                    "migration {} put it in place, and {} r{} changed it since",
                    newest.id, later.enhancement, later.revision
                ),
                help: "package the change as the next revision, against the tree as it is".into(),
                excerpt: None,
            });
        }
    }
    Ok(faults)
}

fn half(path: &ModulePath, newest: &MigrationSummary, database: &PlannedDatabase) -> Fault {
    Fault {
        rule: "half-in-place",
        subject: path.to_string(),
        message: format!(
            "it is not as migration {} left it, while database {} still has that migration's SQL",
            newest.id, database.name
        ),
        help: "put the modules as they were after it, or the database as it was before it; or package the \
               next revision"
            .into(),
        excerpt: None,
    }
}
