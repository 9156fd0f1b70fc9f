//! Builds the billing system: files, a database with rows, `tmp.yaml`.

use std::fmt::Write as _;

use camino::Utf8Path;
use rusqlite::Connection;
use tmp_core::Mode;
use tmp_disk::{At, Disk as _, RealDisk, ensure_dirs};

use crate::{exit::Exit, failure::Failure, files};

/// How many customers there are; each has [`EACH`] invoices.
const CUSTOMERS: u64 = 60;
const EACH: u64 = 5;

macro_rules! texts {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("files/", $name)))),*] };
}

/// The modules of the system.
const SYSTEM: &[(&str, &str)] = texts! {
    "system/bin/billing" "system/bin/health" "system/lib/money.sh" "system/lib/invoice.sh" "system/lib/report.sh"
    "system/lib/legacy.sh" "system/etc/billing.conf" "system/doc/manual.txt"
};

/// The enhancements as their developers wrote them.
const ENHANCEMENTS: &[(&str, &str)] = texts! {
    "late-fee/enhancement.yaml" "late-fee/files/bin/billing" "late-fee/files/lib/fee.sh"
    "late-fee/files/lib/report.sh" "late-fee/files/etc/billing.conf" "late-fee/files/doc/late-fee.txt"
    "late-fee/sql/010.sql" "late-fee/sql/010.rollback.sql" "late-fee/sql/010.verify.sql"
    "discount/enhancement.yaml" "discount/files/bin/billing" "discount/files/lib/discount.sh"
    "discount/sql/010.sql" "discount/sql/010.rollback.sql"
    "year-end/enhancement.yaml" "year-end/files/lib/report.sh" "year-end/files/lib/year.sh"
    "year-end/sql/010.sql" "year-end/sql/010.rollback.sql"
    "search/enhancement.yaml" "search/files/bin/reindex" "search/files/lib/search.sh"
    "search/sql/010.sql" "search/sql/010.rollback.sql"
    "split/enhancement.yaml" "split/files/lib/split.sh" "split/sql/010.sql" "split/sql/010.rollback.sql"
};

/// Builds everything in `dir`, which is free. `tmp` is how a shell calls this program.
///
/// # Errors
/// Something cannot be written; part of it may have been.
pub(super) fn build(dir: &Utf8Path, tmp: &str) -> Result<(), Failure> {
    let live = dir.join("live");
    for (name, text) in SYSTEM {
        let name = name.strip_prefix("system/").unwrap_or(name);
        write(&live.join(name), text)?;
    }
    link(&live.join("bin"), "bill", "billing")?;
    for (name, text) in ENHANCEMENTS {
        write(&dir.join("enhancements").join(name), text)?;
    }
    link(&dir.join("enhancements/late-fee/files/bin"), "owed", "billing")?;
    write(&dir.join("tmp.yaml"), include_str!("files/tmp.yaml"))?;
    write(&dir.join("README.txt"), &include_str!("files/README.txt").replace("{tmp}", tmp))?;
    write(&live.join("var/invoices.csv"), &csv())?;
    write(&live.join("var/index/customers"), "the whole index\n")?;
    ensure_dirs(&RealDisk, dir.join("data").as_std_path()).map_err(Failure::unexpected)?;
    database(&dir.join("data/billing.db")).map_err(Failure::unexpected)
}

fn write(path: &Utf8Path, text: &str) -> Result<(), Failure> {
    let mode = if text.starts_with("#!") { Mode::PROGRAM } else { Mode::FILE };
    files::create(path, mode, text.as_bytes()).map_err(Failure::unexpected)
}

fn link(dir: &Utf8Path, name: &str, target: &str) -> Result<(), Failure> {
    let held = ensure_dirs(&RealDisk, dir.as_std_path()).map_err(Failure::unexpected)?;
    RealDisk
        .create_symlink(At::new(&held, name), target.as_bytes())
        .map_err(|error| Failure::new(Exit::Error, format!("cannot make the symlink {dir}/{name}: {error}")))
}

/// Invoice `number`, from 1: its customer, its cents, its days overdue. The same on every machine.
const fn invoice(number: u64) -> (u64, u64, u64) {
    let mixed = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    ((number - 1) / EACH + 1, 500 + (mixed >> 33) % 50_000, (mixed >> 20) % 60)
}

fn csv() -> String {
    (1..=CUSTOMERS * EACH).fold(String::new(), |mut text, number| {
        let (customer, cents, overdue) = invoice(number);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{number},{customer},{cents},{overdue}");
        text
    })
}

fn database(path: &Utf8Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
         CREATE TABLE invoice (
             id INTEGER PRIMARY KEY,
             customer INTEGER NOT NULL REFERENCES customer (id),
             cents INTEGER NOT NULL CHECK (cents >= 0),
             days_overdue INTEGER NOT NULL
         );
         CREATE INDEX invoice_by_customer ON invoice (customer);
         CREATE VIEW owed AS SELECT customer, sum(cents) AS cents FROM invoice GROUP BY customer;",
    )?;
    for customer in 1..=CUSTOMERS {
        let name = format!("Customer {customer}");
        transaction.execute("INSERT INTO customer (id, name) VALUES (?1, ?2)", (signed(customer), name))?;
    }
    for number in 1..=CUSTOMERS * EACH {
        let (customer, cents, overdue) = invoice(number);
        let row = (signed(number), signed(customer), signed(cents), signed(overdue));
        transaction.execute(
            "INSERT INTO invoice (id, customer, cents, days_overdue) VALUES (?1, ?2, ?3, ?4)",
            row,
        )?;
    }
    transaction.commit()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
