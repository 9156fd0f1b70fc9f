//! One project's system, and the stories that are told on it one after the other.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use tmp_testkit::{
    matrix::{copy_tree, sample},
    sqlite::{self, DatabaseDump},
    stepper::{Action, Ended, Stepper},
    walk::{self, Content, Entry, TreeFingerprint},
};

use super::{Told, project::Inputs};
use crate::Done;

/// An I/O error.
const EIO: i32 = 5;

/// What happens in a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Story {
    /// The last SQL statement fails: nothing was committed.
    Statement,
    /// The check fails: everything was committed and is taken back.
    Check,
    /// A call of the operating system fails, a random one; recovery follows where it is needed.
    Call,
    /// Everything goes well.
    Forward,
    /// What went well is taken out later.
    Reversed,
}

/// The system of one project.
pub(super) struct Scene<'a> {
    tmp: &'a Path,
    inputs: &'a Inputs,
    folder: PathBuf,
    before: State,
}

/// What the testkit sees of a system.
#[derive(PartialEq)]
struct State {
    tree: TreeFingerprint,
    rows: Option<DatabaseDump>,
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
    /// Copies the old release and the database, and packages every enhancement.
    pub(super) fn build(tmp: &'a Path, inputs: &'a Inputs, folder: &Path) -> Done<Self> {
        copy_tree(&inputs.old, &folder.join("system"))?;
        if let Some(database) = &inputs.database {
            fs::copy(database, folder.join("main.db"))?;
        }
        let databases = inputs.database.as_ref().map_or("", |_| ", databases: {main: {sqlite: ./main.db}}");
        fs::write(folder.join("tmp.yaml"), CONFIGURATION.replace(", DATABASES", databases))?;
        let before = State::of(folder, inputs)?;
        let scene = Self { tmp, inputs, folder: folder.to_owned(), before };
        for story in scene.stories().into_iter().filter(|story| *story != Story::Reversed) {
            scene.package(story)?;
        }
        Ok(scene)
    }

    /// The stories of this system, in order.
    pub(super) fn stories(&self) -> Vec<Story> {
        let statement = (!self.inputs.scripts.is_empty()).then_some(Story::Statement);
        statement.into_iter().chain([Story::Check, Story::Call, Story::Forward, Story::Reversed]).collect()
    }

    fn package(&self, story: Story) -> Done {
        let folder = self.folder.join(story.id());
        fs::create_dir_all(folder.join("sql"))?;
        let mut text = ENHANCEMENT.replace("ID", story.id());
        if !self.inputs.scripts.is_empty() {
            text += "databases: {main: {engine: sqlite}}\nsql:\n";
        }
        for script in &self.inputs.scripts {
            let name = &script.name;
            let file = |end: &str| format!("sql/{name}{end}.sql");
            fs::write(folder.join(file("")), &script.apply)?;
            let _ = write!(text, "  - {{name: {name}, database: main, apply: {}", file(""));
            match &script.rollback {
                Some(rollback) => {
                    fs::write(folder.join(file(".rollback")), rollback)?;
                    let _ = write!(text, ", rollback: {}", file(".rollback"));
                }
                None => text += ", rollback: archive",
            }
            if let Some(verify) = &script.verify {
                fs::write(folder.join(file(".verify")), verify)?;
                let _ = write!(text, ", verify: {}, assert: true", file(".verify"));
            }
            text += "}\n";
        }
        match story {
            Story::Statement => {
                fs::write(folder.join("sql/last.sql"), "INSERT INTO no_such_table VALUES (1);\n")?;
                text += "  - {name: last, database: main, apply: sql/last.sql, rollback: archive}\n";
            }
            Story::Check => text += "verify:\n  - {name: refuses, run: [\"false\"]}\n",
            Story::Call | Story::Forward | Story::Reversed => {}
        }
        fs::write(folder.join("enhancement.yaml"), text)?;
        let mut package = Command::new(self.tmp);
        package.args(["package", story.id(), "-o", &story.trigger(), "--from"]);
        let (code, output) = self.tmp(package.arg(&self.inputs.old).arg("--to").arg(&self.inputs.new))?;
        if code == 0 { Ok(()) } else { Err(format!("tmp package: exit {code}\n{output}").into()) }
    }

    /// Runs and judges.
    pub(super) fn tell(&self, story: Story, seed: u64) -> Done<Told> {
        let start = Instant::now();
        let (what, (code, output)) = match story {
            Story::Statement => ("a SQL statement fails".to_owned(), self.run(story)?),
            Story::Check => ("a check fails after COMMIT".to_owned(), self.run(story)?),
            Story::Forward => ("forward".to_owned(), self.run(story)?),
            Story::Call => self.failing_call(seed)?,
            Story::Reversed => {
                let mut reverse = Command::new(self.tmp);
                reverse.args(["reverse", Story::Forward.id(), "--reason", "real case", "--yes"]);
                ("reversed later".to_owned(), self.tmp(&mut reverse)?)
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        let now = State::of(&self.folder, self.inputs)?;
        let mut wrong = match story {
            Story::Forward => self.not_as_new(&now)?,
            Story::Reversed => self.not_as_old(&now),
            Story::Statement | Story::Check | Story::Call => self.before.differences(&now),
        };
        let expected: &[i32] = match story {
            Story::Forward | Story::Reversed => &[0],
            Story::Statement | Story::Check => &[10],
            // Where the call was needed before the migration began, nothing was touched.
            Story::Call => &[5, 10],
        };
        if !expected.contains(&code) {
            wrong.insert(0, format!("exit {code} and not {expected:?}: {output}"));
        }
        Ok(Told { story, what, code, seconds, wrong })
    }

    fn run(&self, story: Story) -> Done<(i32, String)> {
        let trigger = story.trigger();
        self.tmp(Command::new(self.tmp).args(["run", &trigger, "--now", "--reason", "real case"]))
    }

    /// Runs while one random call of the first so many fails with an I/O error; recovers where the engine
    /// stopped.
    fn failing_call(&self, seed: u64) -> Done<(String, (i32, String))> {
        let calls = 3 * self.before.tree.entries.len() as u64;
        let at = sample(seed, 1, calls).first().copied().unwrap_or(1);
        let run = Stepper::new(self.tmp).current_dir(&self.folder).env("HOME", &self.folder);
        let run = run.args(["run", &Story::Call.trigger(), "--now", "--reason", "real case"]);
        let outcome = run.run(Action::Fail { at, errno: EIO, persistent: false })?;
        let what = format!("call {at} ({}) fails", outcome.hit.unwrap_or("none"));
        let code = match outcome.ended {
            Ended::Exited(code) => code,
            Ended::Signalled(signal) => -signal,
            Ended::Stuck | Ended::Late => return Err(format!("{what}: it did not end").into()),
        };
        if code == 1 {
            return Ok((format!("{what}, recovered"), self.tmp(Command::new(self.tmp).arg("recover"))?));
        }
        Ok((what, (code, outcome.stdout + &outcome.stderr)))
    }

    fn not_as_new(&self, now: &State) -> Done<Vec<String>> {
        let wanted = walk::fingerprint(&self.inputs.new)?;
        let mut wrong = differing(&now.tree.entries, &wanted.entries);
        if self.before.rows.is_some() && now.rows == self.before.rows {
            wrong.push("the SQL changes are not in the database".to_owned());
        }
        Ok(wrong)
    }

    /// Everything but the times of directories; files that shared an inode come back on their own.
    fn not_as_old(&self, now: &State) -> Vec<String> {
        let plain = |tree: &TreeFingerprint| {
            let mut tree = tree.clone();
            for entry in tree.entries.values_mut() {
                (entry.links, entry.same_as) = (1, None);
                if entry.content == Content::Directory {
                    entry.mtime = None;
                }
            }
            tree
        };
        let mut wrong = walk::diff(&plain(&self.before.tree), &plain(&now.tree));
        wrong.extend(rows_differ(self.before.rows.as_ref(), now.rows.as_ref()));
        wrong
    }

    fn tmp(&self, command: &mut Command) -> Done<(i32, String)> {
        let output = command.current_dir(&self.folder).env("HOME", &self.folder).output()?;
        let text =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Ok((output.status.code().unwrap_or(-1), text))
    }
}

impl Story {
    /// The id of its enhancement.
    const fn id(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Check => "check",
            Self::Call => "call",
            Self::Forward => "forward",
            Self::Reversed => "reversed",
        }
    }

    fn trigger(self) -> String {
        format!("{}.trigger", self.id())
    }
}

impl State {
    fn of(folder: &Path, inputs: &Inputs) -> Done<Self> {
        let rows = inputs.database.as_ref().map(|_| sqlite::dump(&folder.join("main.db"))).transpose()?;
        Ok(Self { tree: walk::fingerprint(&folder.join("system"))?, rows })
    }

    fn differences(&self, now: &Self) -> Vec<String> {
        let mut lines = walk::diff(&self.tree, &now.tree);
        lines.extend(rows_differ(self.rows.as_ref(), now.rows.as_ref()));
        lines
    }
}

fn rows_differ(before: Option<&DatabaseDump>, now: Option<&DatabaseDump>) -> Vec<String> {
    before.zip(now).map_or_else(Vec::new, |(before, now)| sqlite::diff(before, now))
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
        model-1: {root: ./system, work: ./.tmp-work, DATABASES}
";

const ENHANCEMENT: &str = "schema: tmp/enhancement/v1
id: ID
revision: 1
title: From one release to the next
system: real
developer: {name: release team, email: release@example.org}
";
