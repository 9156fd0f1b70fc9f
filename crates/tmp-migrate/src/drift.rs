//! Drift: what differs at a target from what TMP last left there.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use tmp_core::{
    Digest, MigrationId, ModulePath,
    database::{Database, DatabaseFacts, Fingerprint},
    module::Content,
};
use tmp_disk::{DiskError, Observed, ObservedContent, Tree, observe};

use crate::left::{Left, LeftDatabase, LeftModule};

/// The set-group-id bit.
const SET_GROUP_ID: u32 = 0o2000;

/// One thing that is not as TMP left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The module's path or the database's name.
    pub subject: String,
    /// What differs, in words.
    pub what: String,
    /// The migration that left it otherwise.
    pub left_by: MigrationId,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (left by {})", self.subject, self.what, self.left_by)
    }
}

impl Left {
    /// Everything that differs now: modules in the order of their paths, then databases. Reads only.
    ///
    /// # Errors
    /// A module cannot be looked at. A database that cannot be asked differs.
    pub fn drift(&self, tree: &Tree, databases: &mut [Box<dyn Database>]) -> Result<Vec<Drift>, DiskError> {
        let mut found = Vec::new();
        for (path, left) in &self.modules {
            found.extend(left.drift(tree, path)?);
        }
        for (name, left) in &self.databases {
            if let Some(database) = databases.iter_mut().find(|database| database.name() == name) {
                found.extend(schema(database.as_mut(), None, left));
            }
        }
        Ok(found)
    }
}

impl LeftModule {
    /// How the module at `path` differs from what was left there, if it does. Reads only.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn drift(&self, tree: &Tree, path: &ModulePath) -> Result<Option<Drift>, DiskError> {
        let observed = match tree.locate(path) {
            Ok(Some(place)) => observe(tree.disk().as_ref(), place.at())?,
            // Where its directory became something else, what was there is not there any more.
            Ok(None) | Err(_) => None,
        };
        let what = difference(self.content.as_ref(), observed.as_ref());
        Ok(what.map(|what| Drift { subject: path.to_string(), what, left_by: self.by.clone() }))
    }
}

fn difference(left: Option<&Content>, now: Option<&Observed>) -> Option<String> {
    let (left, now) = match (left, now) {
        (None, None) => return None,
        (None, Some(now)) => return Some(format!("it was removed, and {} is there again", now.stat.kind)),
        (Some(_), None) => return Some("it is gone".into()),
        (Some(left), Some(now)) => (left, now),
    };
    let mode = |wanted: tmp_core::Mode| {
        (wanted != now.stat.mode).then(|| format!("its mode is {} instead of {wanted}", now.stat.mode))
    };
    match (left, &now.content) {
        (Content::File { digest, mode: wanted, .. }, ObservedContent::File { digest: there, .. }) => {
            if digest == there { mode(*wanted) } else { Some("its content was changed".into()) }
        }
        // A directory made in a set-group-id directory is one too.
        (Content::Directory { mode: wanted }, ObservedContent::Directory) => {
            mode(tmp_core::Mode::from_bits(wanted.bits() | now.stat.mode.bits() & SET_GROUP_ID))
        }
        (Content::Symlink { target }, ObservedContent::Symlink { target: there }) => (target.as_bytes()
            != there)
            .then(|| format!("it points to {:?} instead of {target:?}", String::from_utf8_lossy(there))),
        _ => Some(format!("it is {}, not {}", now.stat.kind, left.kind())),
    }
}

/// How a database's schema differs from what was left, if it does. `facts` are those of a moment ago.
pub(crate) fn schema(
    database: &mut dyn Database,
    facts: Option<&DatabaseFacts>,
    left: &LeftDatabase,
) -> Option<Drift> {
    let name = database.name().to_string();
    let drift = |what| Some(Drift { subject: name.clone(), what, left_by: left.by.clone() });
    let known = facts.and_then(|facts| facts.schema.clone());
    let now = match known.map_or_else(|| schema_of(database), Ok) {
        Ok(now) => now,
        Err(error) => return drift(format!("it cannot be asked: {error}")),
    };
    let of =
        |schema: &BTreeMap<String, Digest>| Fingerprint { schema: schema.clone(), ..Fingerprint::default() };
    let differences = of(&left.schema).differences(&of(&now));
    let words = differences.schema.iter().map(|object| {
        let what = match (left.schema.get(object), now.get(object)) {
            (Some(_), None) => "is gone",
            (None, _) => "is new",
            (Some(_), Some(_)) => "was changed",
        };
        format!("{object} {what}")
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { None } else { drift(words.join(", ")) }
}

/// The schema as it is now: without a trace where nobody uses the database.
pub(crate) fn schema_of(database: &mut dyn Database) -> Result<BTreeMap<String, Digest>, String> {
    let facts = database.inspect().map_err(|error| crate::text(&error))?;
    if let Some(schema) = facts.schema {
        return Ok(schema);
    }
    let found = database.fingerprint();
    database.release();
    found.map(|found| found.schema).map_err(|error| crate::text(&error))
}
