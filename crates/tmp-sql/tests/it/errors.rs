//! The texts that people read.

use tmp_core::{
    database::Database as _,
    enhancement::{DatabaseEngine, TransactionMode},
};
use tmp_sql::{ScriptRole, check_script};

use crate::support::{Mode, Shop, failure, target, text};

#[test]
fn of_scripts_that_fail() {
    let scripts = [
        "CREATE TABLE x(y);\n\nSELECT * FROM nowhere;",
        "SELECT 1;\n  COMMIT;",
        "INSERT INTO customer(id, name) VALUES (1, 'twice')",
        "INSERT OR ROLLBACK INTO customer(id, name) VALUES (1, 'twice')",
        "UPDATE invoice SET cents = -1",
        "PRAGMA foreign_keys = ON",
        "PRAGMA journal_mode = WAL",
        "PRAGMA cache_size = 1",
        "VACUUM",
        "ATTACH 'other.db' AS other",
        "SELECT load_extension('x.so')",
        "DELETE FROM TMP_Marker",
        "SELECT ?1",
        "SELECT 'open",
        "/* open",
        ".read other.sql",
        "DELETE FROM customer WHERE id = 1",
        "SELECT 1 FROM",
        "DELETE FROM sqlite_schema",
        "\0",
    ];
    let texts: Vec<_> = scripts.iter().map(|script| format!("{script:?}\n  {}", failure(script))).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn of_verify_scripts() {
    let shop = Shop::new(Mode::Delete);
    let mut database = shop.target();
    database.copy_to(&shop.path("copy.db")).unwrap();
    database.begin().unwrap();
    let scripts = [
        "SELECT 1;\nSELECT count(*) = 2 AS customers FROM customer",
        "SELECT city FROM customer WHERE id = 3",
        "SELECT 1 WHERE 0",
    ];
    let texts: Vec<_> =
        scripts.iter().map(|script| database.verify(&text(script), true).unwrap_err().to_string()).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn of_files_that_are_no_database() {
    let shop = Shop::new(Mode::Delete);
    std::fs::write(shop.path("text.db"), "no database\n".repeat(100)).unwrap();
    let folder = shop.folder.path().to_str().unwrap().to_owned();
    let texts: Vec<_> = ["missing.db", "text.db", ""]
        .iter()
        .map(|name| target(shop.path(name)).inspect().unwrap_err().to_string().replace(&folder, "[folder]"))
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn of_the_check_when_packaging() {
    let script = b"SELECT 1;\nBEGIN;\n.mode csv\nSELECT 1; vacuum;\n  PRAGMA main.synchronous=off;\nUPDATE tmp_marker SET nonce = 1;\nSELECT 'x";
    let mut texts: Vec<_> = Vec::new();
    let mut check = |mode, role, script: &[u8]| {
        for fault in check_script(DatabaseEngine::Sqlite, mode, role, script) {
            texts.push(fault.to_string());
        }
    };
    check(TransactionMode::Shared, ScriptRole::Apply, script);
    check(TransactionMode::Shared, ScriptRole::Apply, b"-- nothing\n;;");
    check(TransactionMode::None, ScriptRole::Apply, b"VACUUM; VACUUM");
    check(TransactionMode::None, ScriptRole::Rollback, b"");
    check(TransactionMode::Shared, ScriptRole::Verify, b"ok\n \xff");
    check(TransactionMode::Shared, ScriptRole::Verify, b"SELECT '\0'");
    check(TransactionMode::Shared, ScriptRole::Verify, b"\xef\xbb\xbfSELECT 1");
    insta::assert_snapshot!(texts.join("\n"));
}
