//! The reference system and the reference enhancement.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{copy_tree, remove};
use crate::{
    context::Context,
    stepper::Stepper,
    trees::{self, Node, NodeContent, TreeModel},
};

/// Where everything lies. `original` is never migrated; `copy` is what each point starts from anew, always
/// at the same path.
#[derive(Debug)]
pub(super) struct Scene {
    tmp: PathBuf,
    scratch: PathBuf,
}

impl Scene {
    pub(super) fn build(tmp: &Path, scratch: &Path, switch: &str) -> io::Result<Self> {
        let scene = Self {
            tmp: tmp.canonicalize().context("find", tmp.display())?,
            scratch: scratch.canonicalize()?,
        };
        let original = scene.original();
        fs::create_dir_all(original.join("billing")).context("make", original.display())?;
        trees::build(&system(), &original.join("billing"))?;
        let connection = rusqlite::Connection::open(original.join("billing.db")).map_err(io::Error::other)?;
        connection.execute_batch(DATABASE).map_err(io::Error::other)?;
        fs::write(original.join("tmp.yaml"), CONFIGURATION.replace("SWITCH", switch))?;
        scene.write_enhancement()?;
        scene.reset()?;
        let package = scene.tmp().arg("package").arg(scene.enhancement()).arg("--base").arg(scene.root());
        package.arg("-o").arg(scene.trigger()).count()?;
        Ok(scene)
    }

    fn original(&self) -> PathBuf {
        self.scratch.join("original")
    }

    fn copy(&self) -> PathBuf {
        self.scratch.join("copy")
    }

    fn enhancement(&self) -> PathBuf {
        self.scratch.join("enhancement")
    }

    fn trigger(&self) -> PathBuf {
        self.scratch.join("fee.trigger")
    }

    /// The tree of modules that is migrated.
    pub(super) fn root(&self) -> PathBuf {
        self.copy().join("billing")
    }

    /// The database that is migrated.
    pub(super) fn database(&self) -> PathBuf {
        self.copy().join("billing.db")
    }

    /// Starts anew from the original.
    pub(super) fn reset(&self) -> io::Result<()> {
        remove(&self.copy())?;
        copy_tree(&self.original(), &self.copy())
    }

    fn tmp(&self) -> Stepper {
        Stepper::new(&self.tmp).current_dir(self.copy()).env("HOME", &self.scratch)
    }

    /// `tmp run`, at once.
    pub(super) fn run(&self) -> Stepper {
        self.tmp().arg("run").arg(self.trigger()).args(["--now", "--reason", "crash matrix"])
    }

    /// `tmp recover`.
    pub(super) fn recover(&self) -> Stepper {
        self.tmp().arg("recover")
    }

    /// What lies about in the work directory, or beside the system, and must not.
    pub(super) fn leftovers(&self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        let work = self.copy().join(".tmp-work");
        if work.exists() {
            for found in walkdir::WalkDir::new(&work).min_depth(1) {
                let found = found?;
                let kept =
                    found.depth() == 1 && ["lock", "ballast"].iter().any(|name| found.file_name() == *name);
                let folder = found.depth() == 1 && found.file_type().is_dir();
                if !(kept || folder) {
                    lines.push(format!("left in the work directory: {}", found.path().display()));
                }
            }
        }
        let known = ["billing", "billing.db", ".tmp-work", "state", "tmp.yaml"];
        for found in fs::read_dir(self.copy())? {
            let name = found?.file_name();
            if !known.iter().any(|known| name == *known) {
                lines.push(format!("left beside the system: {}", name.display()));
            }
        }
        Ok(lines)
    }

    fn write_enhancement(&self) -> io::Result<()> {
        let folder = self.enhancement();
        for (path, text) in ENHANCEMENT {
            let at = folder.join(path);
            fs::create_dir_all(at.parent().unwrap_or(&folder))?;
            fs::write(&at, text).context("write", at.display())?;
        }
        let mode = |path: &str, mode| {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(folder.join(path), permissions)
        };
        mode("files/fee", 0o755)?;
        std::os::unix::fs::symlink("fees/rates.csv", folder.join("files/share/current"))
    }
}

fn node(content: NodeContent, mode: u32) -> Node {
    Node { content, mode, xattrs: Some(BTreeMap::new()), mtime: Some((1_500_000_000, 123_456_789)) }
}

fn file(text: &str, mode: u32) -> Node {
    node(NodeContent::File { hole: 0, bytes: text.as_bytes().to_vec() }, mode)
}

/// An ACL as the kernel keeps it: owner rw, user 1 r, group r, mask r, others nothing (acl(5), version 2).
fn acl() -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in
        [(1_u16, 6_u16, u32::MAX), (2, 4, 1), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)]
    {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// A tree with every kind of module, some that are changed and some that are not.
fn system() -> TreeModel {
    let mut entries = BTreeMap::new();
    for path in ["bin", "etc", "lib", "obsolete", "obsolete/deep", "plugins", "share", "var"] {
        entries.insert(path.to_owned(), node(NodeContent::Directory, 0o755));
    }
    let mut add = |path: &str, node: Node| entries.insert(path.to_owned(), node);
    add("bin/fee", file("#!/bin/sh\necho no fee\n", 0o4755));
    add("bin/billing", file("#!/bin/sh\nexec bin/fee\n", 0o755));
    add("bin/run", node(NodeContent::Symlink("billing".into()), 0o777));
    add("etc/fee.conf", file("rate = 5\n", 0o640));
    add("etc/empty", file("", 0o444));
    add("lib/old_fee.py", file("FEE = 0\n", 0o644));
    add("lib/shared.py", file("RATE = 5\n", 0o644));
    add("lib/twin.py", node(NodeContent::HardLink("lib/shared.py".into()), 0o644));
    add("lib/third.py", node(NodeContent::HardLink("lib/shared.py".into()), 0o644));
    add("obsolete/a", file("a", 0o600));
    add("obsolete/deep/dangling", node(NodeContent::Symlink("nowhere".into()), 0o777));
    add("plugins/one.py", file("ONE = 1\n", 0o644));
    add("share/current", file("was a file\n", 0o644));
    add("share/large", file(&"0123456789abcdef".repeat(8192), 0o644));
    add("var/sparse", node(NodeContent::File { hole: 1 << 20, bytes: b"end".to_vec() }, 0o600));
    if let Some(conf) = entries.get_mut("etc/fee.conf") {
        conf.xattrs = Some(BTreeMap::from([
            (b"user.origin".to_vec(), b"installer".to_vec()),
            (b"system.posix_acl_access".to_vec(), acl()),
        ]));
    }
    TreeModel(entries)
}

const DATABASE: &str = "
CREATE TABLE customer (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);
CREATE TABLE invoice (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer (id), amount REAL, due TEXT);
CREATE INDEX invoice_due ON invoice (due);
CREATE VIEW open_invoice AS SELECT * FROM invoice WHERE amount > 0;
CREATE TRIGGER no_negative BEFORE INSERT ON invoice WHEN new.amount < 0 BEGIN SELECT raise(ABORT, 'negative'); END;
INSERT INTO customer (name) VALUES ('first'), ('second'), ('third');
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
INSERT INTO invoice SELECT i, 1 + i % 3, i / 4.0, date('2026-01-01', i || ' days') FROM n;
";

const CONFIGURATION: &str = "schema: tmp/v1
state: ./state
policy: {commands: allowed}
systems:
  billing:
    model:
      sites:
        model-1: {root: ./billing, work: ./.tmp-work, switch: SWITCH, databases: {main: {sqlite: ./billing.db}}}
";

const ENHANCEMENT: &[(&str, &str)] = &[
    ("enhancement.yaml", include_str!("enhancement.yaml")),
    ("files/fee", "#!/bin/sh\necho 'a fee of 7.50'\n"),
    ("files/new_fee.py", "FEE = 7.5\n"),
    ("files/twin.py", "RATE = 7.5\n"),
    ("files/fee.conf", "rate = 5\n"),
    ("files/plugins", "one file now\n"),
    ("files/share/fees/rates.csv", "days,fee\n30,7.50\n"),
    ("sql/010.sql", "ALTER TABLE invoice ADD COLUMN late_fee REAL NOT NULL DEFAULT 0;\n"),
    ("sql/010.rollback.sql", "ALTER TABLE invoice DROP COLUMN late_fee;\n"),
    (
        "sql/020.sql",
        "CREATE TABLE fee (days INTEGER PRIMARY KEY, fee REAL);\nINSERT INTO fee VALUES (30, 7.5), (60, 15);\n",
    ),
    ("sql/020.rollback.sql", "DROP TABLE fee;\n"),
    ("sql/030.sql", "UPDATE invoice SET late_fee = 7.5 WHERE due < '2026-06-01';\n"),
    ("sql/030.rollback.sql", "UPDATE invoice SET late_fee = 0;\n"),
    ("sql/040.sql", "CREATE INDEX fee_amount ON fee (fee);\n"),
    ("sql/040.rollback.sql", "DROP INDEX fee_amount;\n"),
    ("sql/030.verify.sql", "SELECT count(*) > 100 FROM invoice WHERE late_fee > 0;\n"),
];
