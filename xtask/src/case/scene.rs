//! One story: a system, an enhancement packaged from two trees, a run, and what must be true after it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use tmp_testkit::{
    matrix::copy_tree,
    sqlite,
    walk::{self, Content, Entry},
};

use super::{Told, inputs::Inputs};
use crate::Done;

/// What happens in a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Story {
    /// Everything goes well.
    Forward,
    /// The last SQL statement fails: nothing was committed.
    BeforeCommit,
    /// The check fails: everything was committed and is taken back.
    AfterCommit,
}

impl Story {
    /// The id of its enhancement.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
        }
    }
}

/// The folder of one story.
pub(super) struct Scene<'a> {
    tmp: &'a Path,
    inputs: &'a Inputs,
    folder: PathBuf,
    story: Story,
}

/// What an enhancement puts: type, bytes or link text, and whether the owner may run it.
pub(super) type Essence<'a> = (u8, &'a [u8], bool);

/// The part of an entry that an enhancement carries.
pub(super) fn essence(entry: &Entry) -> Essence<'_> {
    match &entry.content {
        Content::File { sha256, .. } => (0, sha256, entry.mode & 0o100 != 0),
        Content::Symlink(target) => (1, target, false),
        Content::Directory => (2, b"", false),
        Content::Fifo | Content::Socket | Content::Device(..) => (3, b"", false),
    }
}

impl<'a> Scene<'a> {
    /// Copies the old release and the database and writes the enhancement.
    pub(super) fn build(tmp: &'a Path, inputs: &'a Inputs, folder: &Path, story: Story) -> Done<Self> {
        fs::create_dir_all(folder.join("enhancement/sql"))?;
        let scene = Self { tmp, inputs, folder: folder.to_owned(), story };
        copy_tree(&inputs.old, &scene.root())?;
        fs::copy(&inputs.database, scene.database())?;
        fs::write(folder.join("tmp.yaml"), CONFIGURATION)?;
        fs::write(folder.join("enhancement/enhancement.yaml"), scene.enhancement())?;
        for (name, text) in SCRIPTS {
            fs::write(folder.join("enhancement/sql").join(name), text)?;
        }
        Ok(scene)
    }

    fn root(&self) -> PathBuf {
        self.folder.join("system")
    }

    fn database(&self) -> PathBuf {
        self.folder.join("main.db")
    }

    fn enhancement(&self) -> String {
        let mut text = ENHANCEMENT.replace("ID", self.story.id());
        match self.story {
            Story::Forward => {}
            Story::BeforeCommit => {
                text += "  - {name: 030-fails, database: main, apply: sql/030.sql, rollback: archive}\n";
            }
            Story::AfterCommit => text += "verify:\n  - {name: refuses, run: [\"false\"]}\n",
        }
        text
    }

    /// Packages, runs and judges.
    pub(super) fn tell(&self) -> Done<Told> {
        let before = walk::fingerprint(&self.root())?;
        let rows = sqlite::dump(&self.database())?;
        let package = ["package", "enhancement", "-o", "case.trigger", "--from"];
        let (code, output) = self.tmp(
            Command::new(self.tmp).args(package).arg(&self.inputs.old).arg("--to").arg(&self.inputs.new),
        )?;
        if code != 0 {
            return Err(format!("tmp package: exit {code}\n{output}").into());
        }
        let start = Instant::now();
        let (code, output) =
            self.tmp(Command::new(self.tmp).args(["run", "case.trigger", "--now", "--reason", "real case"]))?;
        let seconds = start.elapsed().as_secs_f64();
        let mut wrong = Vec::new();
        let after = walk::fingerprint(&self.root())?;
        let new_rows = sqlite::dump(&self.database())?;
        if self.story == Story::Forward {
            let wanted = walk::fingerprint(&self.inputs.new)?;
            wrong.extend(differing(&after.entries, &wanted.entries));
            if new_rows.rows.get("review").is_none_or(|rows| rows.len() < 100) {
                wrong.push("the SQL changes are not in the database".to_owned());
            }
        } else {
            wrong.extend(walk::diff(&before, &after));
            wrong.extend(sqlite::diff(&rows, &new_rows));
        }
        let expected = if self.story == Story::Forward { 0 } else { 10 };
        if code != expected {
            wrong.insert(0, format!("exit {code} and not {expected}: {output}"));
        }
        Ok(Told { story: self.story, code, seconds, wrong })
    }

    fn tmp(&self, command: &mut Command) -> Done<(i32, String)> {
        let output = command.current_dir(&self.folder).env("HOME", &self.folder).output()?;
        let text =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Ok((output.status.code().unwrap_or(-1), text))
    }
}

fn differing(after: &BTreeMap<Vec<u8>, Entry>, wanted: &BTreeMap<Vec<u8>, Entry>) -> Vec<String> {
    let name = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let missing = wanted.iter().filter_map(|(path, entry)| match after.get(path) {
        None => Some(format!("/{}: is missing", name(path))),
        Some(found) => (essence(found) != essence(entry))
            .then(|| format!("/{}: is not as in the new release", name(path))),
    });
    let extra = after
        .keys()
        .filter(|path| !wanted.contains_key(*path))
        .map(|path| format!("/{}: must be gone", name(path)));
    missing.chain(extra).collect()
}

const CONFIGURATION: &str = "schema: tmp/v1
state: ./state
policy: {commands: allowed}
systems:
  real:
    model:
      sites:
        model-1: {root: ./system, work: ./.tmp-work, databases: {main: {sqlite: ./main.db}}}
";

const ENHANCEMENT: &str = "schema: tmp/enhancement/v1
id: ID
revision: 1
title: From one feature release to the next, with a change to the database
system: real
developer: {name: release team, email: release@example.org}
databases: {main: {engine: sqlite}}
sql:
  - {name: 010-note, database: main, apply: sql/010.sql, rollback: sql/010.rollback.sql}
  - {name: 020-review, database: main, apply: sql/020.sql, rollback: sql/020.rollback.sql, verify: sql/020.verify.sql, assert: true}
";

const SCRIPTS: [(&str, &str); 6] = [
    (
        "010.sql",
        "ALTER TABLE unit_of_measure ADD COLUMN review_note TEXT;\nUPDATE unit_of_measure SET review_note = 'checked' WHERE deprecated = 0;\n",
    ),
    ("010.rollback.sql", "ALTER TABLE unit_of_measure DROP COLUMN review_note;\n"),
    (
        "020.sql",
        "CREATE TABLE review (auth_name TEXT NOT NULL, code TEXT NOT NULL, name TEXT, PRIMARY KEY (auth_name, code));\nINSERT INTO review SELECT auth_name, 'ellipsoid ' || code, name FROM ellipsoid;\nINSERT INTO review SELECT auth_name, 'meridian ' || code, name FROM prime_meridian;\nINSERT INTO review SELECT auth_name, 'unit ' || code, name FROM unit_of_measure;\nCREATE INDEX review_name ON review (name);\n",
    ),
    ("020.rollback.sql", "DROP TABLE review;\n"),
    ("020.verify.sql", "SELECT count(*) >= 100 FROM review;\n"),
    ("030.sql", "INSERT INTO review (auth_name, code) VALUES ('EPSG', 'ellipsoid 7030');\n"),
];
