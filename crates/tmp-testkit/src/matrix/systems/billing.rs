//! The billing system: every kind of module, a database, a control object and batch steps.

use std::collections::BTreeMap;

use super::{Promise, System};
use crate::{
    matrix::Package,
    trees::{Node, NodeContent, TreeModel},
};

pub(super) fn system(package: Package) -> System {
    let sql = package != Package::Files;
    let steps = matches!(package, Package::Commands | Package::Failing);
    let mut text = HEAD.to_owned();
    if sql {
        text += "databases: {main: {engine: sqlite}}\n";
    }
    text += MODULES;
    if sql {
        text += SQL;
    }
    if steps {
        text += STEPS;
    }
    text += CHECKS;
    if package == Package::Failing {
        text += "  - {name: refused, run: [bin/refuse]}\n";
    }
    let mut enhancement = vec![("enhancement.yaml".to_owned(), text.into_bytes(), 0o644)];
    let scripts = FILES.iter().chain(if sql { SCRIPTS } else { &[] });
    enhancement
        .extend(scripts.map(|(path, text, mode)| ((*path).to_owned(), text.as_bytes().to_vec(), *mode)));
    System {
        tree: tree(steps),
        database: if sql { DATABASE } else { "" },
        registry: if steps { &[("fee-form", "the old form\n"), ("other", "not ours\n")] } else { &[] },
        configuration: configuration(package, sql, steps),
        enhancement,
        links: &[("files/share/current", "fees/rates.csv")],
        promise: Promise {
            present: if package == Package::Failing { &[] } else { PRESENT },
            absent: if package == Package::Failing { &[] } else { &["lib/old_fee.py", "obsolete"] },
            schema: if sql && package != Package::Failing { &["late_fee", "fee_amount"] } else { &[] },
            registry: if package == Package::Commands { &["active", "fee-form", "other"] } else { &[] },
        },
    }
}

const PRESENT: &[(&str, u32)] = &[
    ("bin/fee", 0o755),
    ("lib/new_fee.py", 0o644),
    ("etc/fee.conf", 0o600),
    ("plugins", 0o644),
    ("share/current", 0o777),
    ("share/fees/rates.csv", 0o644),
    ("lib/twin.py", 0o644),
];

fn configuration(package: Package, sql: bool, steps: bool) -> String {
    let utilities = if steps {
        "utilities:\n  forms:\n    export: [cp, \"../registry/{object}\", \"{file}\"]\n    \
         import: [cp, \"{file}\", \"../registry/{object}\"]\n"
    } else {
        ""
    };
    let switch = if package == Package::Atomic { "atomic" } else { "files" };
    let databases = if sql { ", databases: {main: {sqlite: ./billing.db}}" } else { "" };
    format!(
        "schema: tmp/v1\nstate: ./state\npolicy: {{commands: allowed}}\n{utilities}systems:\n  billing:\n    \
         model:\n      sites:\n        model-1: {{root: ./billing, work: ./.tmp-work, switch: {switch}, \
         ephemeral: ROOT_IS_EPHEMERAL{databases}}}\n"
    )
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
fn tree(steps: bool) -> TreeModel {
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
    if steps {
        add("bin/activate", file(ACTIVATE, 0o755));
        add("bin/reindex", file(REINDEX, 0o755));
        add("bin/reload", file("#!/bin/sh\ntest -e lib/old_fee.py\n", 0o755));
        add("bin/refuse", file("#!/bin/sh\necho refused; exit 1\n", 0o755));
        add("var/index", node(NodeContent::Directory, 0o755));
        add("var/index/base", file("the old index\n", 0o640));
        add("var/index/gone", file("goes\n", 0o644));
    }
    if let Some(conf) = entries.get_mut("etc/fee.conf") {
        conf.xattrs = Some(BTreeMap::from([
            (b"user.origin".to_vec(), b"installer".to_vec()),
            (b"system.posix_acl_access".to_vec(), acl()),
        ]));
    }
    TreeModel(entries)
}

/// Registers the new release beside the root, or takes that back.
const ACTIVATE: &str = "#!/bin/sh
case $1 in on) echo on > ../registry/active ;; off) rm -f ../registry/active ;; esac
";

/// Makes an index anew; what it writes is archived before and restored after.
const REINDEX: &str = "#!/bin/sh
echo 'a new index' > var/index/base && rm var/index/gone && echo more > var/index/more
";

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

const HEAD: &str = "schema: tmp/enhancement/v1
id: late-fee
revision: 1
title: Charge a late fee on overdue invoices
system: billing
developer: {name: billing team, email: billing-dev@example.org}
";

const MODULES: &str = "modules:
  - {put: bin/fee, from: files/fee}
  - {put: lib/new_fee.py, from: files/new_fee.py}
  - {put: lib/twin.py, from: files/twin.py}
  - {put: etc/fee.conf, from: files/fee.conf, mode: \"0600\"}
  - {put: plugins, from: files/plugins}
  - {remove: plugins/one.py}
  - {put: share/, from: files/share/}
  - {remove: lib/old_fee.py}
  - {remove: obsolete}
";

const SQL: &str = "sql:
  - {name: 010-fee, database: main, apply: sql/010.sql, rollback: sql/010.rollback.sql}
  - {name: 020-rates, database: main, apply: sql/020.sql, rollback: sql/020.rollback.sql}
  - {name: 030-backfill, database: main, apply: sql/030.sql, rollback: sql/030.rollback.sql, verify: sql/030.verify.sql, assert: true}
  - {name: 040-index, database: main, transaction: none, apply: sql/040.sql, rollback: sql/040.rollback.sql}
";

const STEPS: &str = "control_objects:
  - {utility: forms, object: fee-form, from: files/form}
batch:
  - {name: reindex, run: [bin/reindex], writes: [\"var/index/**\"]}
  - {name: activate, run: [bin/activate, on], rollback: [bin/activate, off]}
after_rollback:
  - {run: [bin/reload]}
";

const CHECKS: &str = "verify:
  - {name: new-fee, digest: {path: lib/new_fee.py, equals: sha256:fd3d80a68a48c5364a1e8ec59a1f5b5dc94c0e6d56776091d80c3a700a4b1408}}
";

const FILES: &[(&str, &str, u32)] = &[
    ("files/fee", "#!/bin/sh\necho 'a fee of 7.50'\n", 0o755),
    ("files/new_fee.py", "FEE = 7.5\n", 0o644),
    ("files/twin.py", "RATE = 7.5\n", 0o644),
    ("files/fee.conf", "rate = 5\n", 0o644),
    ("files/plugins", "one file now\n", 0o644),
    ("files/share/fees/rates.csv", "days,fee\n30,7.50\n", 0o644),
    ("files/form", "the new form\n", 0o644),
];

const SCRIPTS: &[(&str, &str, u32)] = &[
    ("sql/010.sql", "ALTER TABLE invoice ADD COLUMN late_fee REAL NOT NULL DEFAULT 0;\n", 0o644),
    ("sql/010.rollback.sql", "ALTER TABLE invoice DROP COLUMN late_fee;\n", 0o644),
    (
        "sql/020.sql",
        "CREATE TABLE fee (days INTEGER PRIMARY KEY, fee REAL);\nINSERT INTO fee VALUES (30, 7.5), (60, 15);\n",
        0o644,
    ),
    ("sql/020.rollback.sql", "DROP TABLE fee;\n", 0o644),
    ("sql/030.sql", "UPDATE invoice SET late_fee = 7.5 WHERE due < '2026-06-01';\n", 0o644),
    ("sql/030.rollback.sql", "UPDATE invoice SET late_fee = 0;\n", 0o644),
    ("sql/040.sql", "CREATE INDEX fee_amount ON fee (fee);\n", 0o644),
    ("sql/040.rollback.sql", "DROP INDEX fee_amount;\n", 0o644),
    ("sql/030.verify.sql", "SELECT count(*) > 100 FROM invoice WHERE late_fee > 0;\n", 0o644),
];
