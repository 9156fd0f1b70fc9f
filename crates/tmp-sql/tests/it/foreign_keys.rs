//! Foreign keys: not enforced while scripts run, checked before COMMIT.

use tmp_core::database::{Database as _, DatabaseError};

use crate::support::{Mode, SHOP, Shop, marker, text};

fn marked(setup: &str, sql: &str) -> Result<(), String> {
    let shop = Shop::with(Mode::Delete, &format!("{SHOP}; {setup}"));
    let mut target = shop.target();
    target.copy_to(&shop.path("copy.db")).unwrap();
    target.begin().unwrap();
    target.apply(&text(sql)).unwrap();
    target.mark(&marker(1)).map_err(|error| match error {
        DatabaseError::Constraint { message, .. } => message,
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_table_can_be_rebuilt() {
    marked(
        "",
        "CREATE TABLE new(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO new SELECT id, name FROM customer;
        DROP TABLE customer; ALTER TABLE new RENAME TO customer",
    )
    .unwrap();
}

#[test]
fn new_violations_are_refused_and_named() {
    insta::assert_snapshot!(marked("", "DELETE FROM customer WHERE id = 1").unwrap_err());
    insta::assert_snapshot!(
        marked("", "CREATE TABLE a(x REFERENCES b(y)); CREATE TABLE b(y); INSERT INTO a VALUES (1)")
            .unwrap_err()
    );
    insta::assert_snapshot!(marked("", "DROP TABLE customer").unwrap_err());
}

#[test]
fn old_ones_may_stay_but_not_grow() {
    let old = "INSERT INTO invoice(customer, cents) VALUES (99, 1)";
    marked(old, "UPDATE customer SET city = 'x'").unwrap();
    marked(old, "DELETE FROM invoice WHERE customer = 99").unwrap();
    insta::assert_snapshot!(marked(old, "INSERT INTO invoice(customer, cents) VALUES (98, 1)").unwrap_err());
    let uncheckable = "CREATE TABLE b(y); CREATE TABLE a(x REFERENCES b(y)); INSERT INTO a VALUES (1)";
    marked(uncheckable, "UPDATE customer SET city = 'x'").unwrap();
}

#[test]
fn inspect_tells_of_old_ones() {
    let shop = Shop::with(Mode::Delete, &format!("{SHOP}; UPDATE invoice SET customer = 99"));
    insta::assert_snapshot!(shop.target().inspect().unwrap().notes.join("\n"));
}
