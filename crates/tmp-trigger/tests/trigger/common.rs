//! What the tests of this crate share.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use tmp_core::{
    EnvironmentName,
    enhancement::{DatabaseEngine, TransactionMode},
};
use tmp_disk::RealDisk;
use tmp_trigger::{
    DirectoryTree, Output, PackageError, PackageOptions, Packaged, ScriptCheck, ScriptMistake, ScriptRole,
    SourceTree, Trees, package,
};

/// Finds fault with scripts that say BAD.
pub(crate) struct Scripts;

impl ScriptCheck for Scripts {
    fn check(
        &self,
        engine: DatabaseEngine,
        transaction: TransactionMode,
        role: ScriptRole,
        text: &[u8],
    ) -> Vec<ScriptMistake> {
        let text = String::from_utf8_lossy(text);
        let bad = text.lines().enumerate().filter_map(|(at, line)| Some((at, line.find("BAD")?)));
        bad.map(|(at, column)| ScriptMistake {
            line: at as u64 + 1,
            column: column as u64 + 1,
            message: format!("BAD is refused in a script of {engine} ({role:?}, {transaction:?})"),
            help: "leave it out".to_owned(),
        })
        .collect()
    }
}

/// Writes `content` to `path` below `root`, with the directories above it.
pub(crate) fn put(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

pub(crate) fn chmod(root: &Path, path: &str, mode: u32) {
    fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn options(into: &Path, trees: Trees) -> PackageOptions {
    PackageOptions { environment: EnvironmentName::Model, output: Output::Directory(into.to_owned()), trees }
}

pub(crate) fn pack(source: &Path, into: &Path, trees: Trees) -> Result<Packaged, PackageError> {
    package(&directory(source), &options(into, trees), &Scripts, &RealDisk)
}

pub(crate) fn directory(directory: &Path) -> Arc<dyn SourceTree> {
    Arc::new(DirectoryTree::new(directory))
}

/// A directory with a small enhancement of one module.
pub(crate) fn small(root: &Path) -> PathBuf {
    put(
        root,
        "enhancement.yaml",
        b"schema: tmp/enhancement/v1\nid: small\nrevision: 1\ntitle: Small\nsystem: demo\n\
          modules:\n  - {put: bin/a, from: a}\n",
    );
    put(root, "a", b"#!/bin/sh\n");
    root.to_owned()
}

/// The enhancement of the documentation, whole.
pub(crate) fn late_fee(root: &Path) -> PathBuf {
    put(root, "enhancement.yaml", include_bytes!("late-fee.yaml"));
    put(root, "docs/late-fee.md", b"# Late fee\n");
    put(root, "reports/test.html", b"<p>passed</p>\n");
    put(root, "files/bin/fee", b"#!/bin/sh\necho fee\n");
    chmod(root, "files/bin/fee", 0o744);
    put(root, "files/bin/lib/rate.py", b"RATE = 5\n");
    std::os::unix::fs::symlink("fee", root.join("files/bin/late-fee")).unwrap();
    fs::create_dir_all(root.join("files/bin/spool")).unwrap();
    put(root, "files/fee.conf", b"rate = 5\n");
    put(root, "sql/010.sql", b"CREATE TABLE fee (id INTEGER PRIMARY KEY, amount INTEGER);\n");
    put(root, "sql/010.rollback.sql", b"DROP TABLE fee;\n");
    put(root, "sql/010.verify.sql", b"SELECT count(*) = 0 FROM fee;\n");
    put(root, "sql/020.sql", b"INSERT INTO fee VALUES (1, 5);\n");
    put(root, "sql/030.sql", b"CREATE INDEX CONCURRENTLY fee_amount ON fee (amount);\n");
    put(root, "sql/030.rollback.sql", b"DROP INDEX CONCURRENTLY fee_amount;\n");
    put(root, "control/form12.exp", b"FORM 12\n");
    root.to_owned()
}
