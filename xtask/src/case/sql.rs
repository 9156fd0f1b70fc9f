//! What changes in the databases of the cases.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use tmp_testkit::sqlite;

use crate::Done;

/// One SQL change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    /// The change's name.
    pub(super) name: String,
    pub(super) apply: String,
    /// Without one it goes back by the archive.
    pub(super) rollback: Option<String>,
    /// Every value it returns must be true.
    pub(super) verify: Option<String>,
}

/// A column, a table with rows and an index, on a database that nobody here made.
pub(super) fn coordinates() -> Vec<Script> {
    let script = |name: &str, apply: &str, rollback: &str, verify: Option<&str>| Script {
        name: name.to_owned(),
        apply: apply.to_owned(),
        rollback: Some(rollback.to_owned()),
        verify: verify.map(str::to_owned),
    };
    vec![
        script(
            "010-note",
            "ALTER TABLE unit_of_measure ADD COLUMN review_note TEXT;\n\
             UPDATE unit_of_measure SET review_note = 'checked' WHERE deprecated = 0;\n",
            "ALTER TABLE unit_of_measure DROP COLUMN review_note;\n",
            None,
        ),
        script(
            "020-review",
            "CREATE TABLE review (auth_name TEXT NOT NULL, code TEXT NOT NULL, name TEXT, PRIMARY KEY (auth_name, code));\n\
             INSERT INTO review SELECT auth_name, 'ellipsoid ' || code, name FROM ellipsoid;\n\
             INSERT INTO review SELECT auth_name, 'meridian ' || code, name FROM prime_meridian;\n\
             INSERT INTO review SELECT auth_name, 'unit ' || code, name FROM unit_of_measure;\n\
             CREATE INDEX review_name ON review (name);\n",
            "DROP TABLE review;\n",
            Some("SELECT count(*) >= 100 FROM review;\n"),
        ),
    ]
}

/// Where Synapse keeps its schema.
const SCHEMA: &str = "synapse/storage/schema";

/// The full schemas that its later changes start from.
const FULL: &str = "72";

/// Its databases, which may lie in one.
const PARTS: [&str; 3] = ["common", "main", "state"];

/// Synapse's changes after the full schemas that SQLite runs, in order: those in Python are left out.
fn changes(release: &Path) -> Done<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for part in PARTS {
        let folder = Path::new(SCHEMA).join(part).join("delta");
        for version in fs::read_dir(release.join(&folder))? {
            let version = version?.file_name();
            if version.to_str().and_then(|text| text.parse::<u32>().ok()).is_none_or(|number| number <= 72) {
                continue;
            }
            for file in fs::read_dir(release.join(&folder).join(&version))? {
                let file = file?.file_name();
                let name = file.to_string_lossy();
                if name.ends_with(".sql") || name.ends_with(".sql.sqlite") {
                    found.insert(folder.join(&version).join(&file));
                }
            }
        }
    }
    Ok(found)
}

/// Makes the database as a release leaves it, with its own scripts.
pub(super) fn synapse_database(release: &Path, database: &Path) -> Done {
    if database.exists() {
        fs::remove_file(database)?;
    }
    let schema = |part| Path::new(SCHEMA).join(part).join("full_schemas").join(FULL).join("full.sql.sqlite");
    let files = PARTS.iter().map(schema).chain(changes(release)?);
    let scripts = files.map(|file| fs::read_to_string(release.join(file))).collect::<Result<Vec<_>, _>>()?;
    Ok(sqlite::build(database, scripts.iter().map(String::as_str))?)
}

/// The scripts that the newer release brings. Synapse has no roll-back scripts.
pub(super) fn synapse_scripts(old: &Path, new: &Path) -> Done<Vec<Script>> {
    let known = changes(old)?;
    let script = |(number, change): (usize, PathBuf)| {
        let apply = fs::read_to_string(new.join(change))?;
        Ok(Script { name: format!("{:03}-synapse", number + 1), apply, rollback: None, verify: None })
    };
    changes(new)?.into_iter().filter(|change| !known.contains(change)).enumerate().map(script).collect()
}
