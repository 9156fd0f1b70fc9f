//! Scripts are taken apart by tokens.

use tmp_core::enhancement::{DatabaseEngine, TransactionMode};
use tmp_sql::{ScriptRole, check_script, split};

use DatabaseEngine::{Mysql, Postgresql, Sqlite};

fn texts(engine: DatabaseEngine, script: &str) -> Vec<String> {
    split(engine, script).unwrap().into_iter().map(|statement| statement.text.to_owned()).collect()
}

#[test]
fn a_semicolon_ends_a_statement_only_where_it_is_one() {
    for (script, statements) in [
        ("", &[][..]),
        (" \n-- only a comment ; \n/* ; */;;\t;", &[]),
        ("a;b", &["a", "b"]),
        ("a;b;", &["a", "b"]),
        ("SELECT ';' ; SELECT 'it''s;' ;", &["SELECT ';'", "SELECT 'it''s;'"]),
        ("SELECT \"a;\"\";b\", [c;d], `e;``f`; x", &["SELECT \"a;\"\";b\", [c;d], `e;``f`", "x"]),
        ("SELECT 1 -- ; not here\n+ 2; x", &["SELECT 1 -- ; not here\n+ 2", "x"]),
        ("/* ; */ SELECT /* ; ' */ 1 /* ; */ ; x", &["SELECT /* ; ' */ 1", "x"]),
        ("SELECT x';' ; x", &["SELECT x';'", "x"]),
        ("SELECT 'back\\'; x", &["SELECT 'back\\'", "x"]),
        ("CREATE TABLE begin_(a); END_", &["CREATE TABLE begin_(a)", "END_"]),
        ("SELECT CASE WHEN 1 THEN 2 END; x", &["SELECT CASE WHEN 1 THEN 2 END", "x"]),
        ("SELECT '\u{1f600};', ü;ß", &["SELECT '\u{1f600};', ü", "ß"]),
        ("a\r\n;\r\nb\r\n", &["a", "b"]),
        ("SELECT $a$ ; x", &["SELECT $a$", "x"]),
        ("SELECT $$;x;$$", &["SELECT $$", "x", "$$"]),
        ("/* /* */ a; b", &["a", "b"]),
    ] {
        assert_eq!(texts(Sqlite, script), statements, "{script}");
    }
}

#[test]
fn a_trigger_is_one_statement() {
    for trigger in [
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT CASE WHEN 1 THEN 2 END; END",
        "create temp trigger if not exists t after insert on a begin update a set b = case c when 1 then 2 end; end",
        "CREATE /* ; */ TEMPORARY -- ;\n TRIGGER t AFTER DELETE ON a WHEN old.x = ';' BEGIN DELETE FROM b WHERE c = 'END;'; END",
        "CREATE TRIGGER t INSTEAD OF UPDATE ON v BEGIN SELECT RAISE(ABORT, 'x; END;'); -- END;\n END",
        "EXPLAIN CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END",
        "CREATE TRIGGER t AFTER INSERT ON \"begin\" BEGIN INSERT INTO \"end\" VALUES (1); SELECT \"end\"; END",
    ] {
        assert_eq!(texts(Sqlite, &format!("x; {trigger}; y;")), ["x", trigger, "y"]);
        assert_eq!(texts(Sqlite, trigger), [trigger]);
    }
    let unended = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; DROP TABLE a;";
    assert_eq!(texts(Sqlite, unended), [unended], "SQLite then refuses the whole of it");
}

#[test]
fn statements_know_their_place() {
    let script = "-- head\n\n  SELECT 1;  ü; /* x\n */ UPDATE\n t;";
    let places: Vec<_> = split(Sqlite, script).unwrap().iter().map(|s| (s.line, s.column)).collect();
    assert_eq!(places, [(3, 3), (3, 14), (4, 5)]);
}

#[test]
fn other_dialects() {
    for (script, statements) in [
        ("SELECT $$;x;$$; y", &["SELECT $$;x;$$", "y"][..]),
        ("DO $body$ BEGIN PERFORM $$;$$; END $body$; y", &["DO $body$ BEGIN PERFORM $$;$$; END $body$", "y"]),
        (
            "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b); y",
            &["CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)", "y"],
        ),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; y",
            &[
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
                "y",
            ],
        ),
        ("/* a /* ; */ ; */ x; y", &["x", "y"]),
        ("SELECT E'it\\'s;'; y", &["SELECT E'it\\'s;'", "y"]),
    ] {
        assert_eq!(texts(Postgresql, script), statements, "{script}");
    }
    let routine = "CREATE DEFINER=`a`@`b` PROCEDURE p() BEGIN IF x THEN SELECT 1; END IF; WHILE y DO CASE z WHEN 1 THEN SELECT 2; END CASE; END WHILE; SELECT CASE WHEN 1 THEN 2 END; END";
    assert_eq!(texts(Mysql, &format!("x; {routine}; y")), ["x", routine, "y"]);
    assert_eq!(texts(Mysql, "SELECT 'it\\'s;'; # x;\n y"), ["SELECT 'it\\'s;'", "y"]);
}

#[test]
fn client_commands_are_refused_by_name() {
    for (engine, script, name) in [
        (Sqlite, ".read other.sql", ".read"),
        (Sqlite, "SELECT 1;\n.mode csv\nSELECT 2;", ".mode"),
        (Sqlite, "-- x\n  .import 'it.csv t", ".import"),
        (Postgresql, "\\set x 1\nSELECT 1", "\\set"),
        (Postgresql, "SELECT 1 \\gexec", "\\gexec"),
        (Postgresql, "\\echo it's", "\\echo"),
        (Postgresql, "copy t (a, b) from stdin;\n1\t2\n\\.\n", "COPY … FROM stdin"),
        (Mysql, "DELIMITER //\nCREATE PROCEDURE p() BEGIN END//", "DELIMITER"),
        (Mysql, "source other.sql", "SOURCE"),
    ] {
        let error = split(engine, script).unwrap_err();
        assert!(error.what.starts_with(name), "{script}: {error}");
        let faults = check_script(engine, TransactionMode::Shared, ScriptRole::Apply, script.as_bytes());
        assert!(faults.iter().any(|fault| fault.what.starts_with(name)), "{script}: {faults:?}");
    }
    assert!(split(Sqlite, "SELECT 1\n.5").is_ok(), "a number in the middle of a statement");
}

#[test]
fn good_scripts_have_no_fault() {
    let good = [
        "CREATE TABLE commit_log(a); INSERT INTO commit_log VALUES ('COMMIT; BEGIN')",
        "ALTER TABLE a RENAME COLUMN \"begin\" TO \"end\"",
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE b SET c = 1; END; SELECT 1",
        "PRAGMA user_version = 4; PRAGMA main.foreign_key_check; PRAGMA table_info('t'); PRAGMA defer_foreign_keys = ON",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x RETURNING *",
        "REPLACE INTO t VALUES (1); VALUES (1), (2); REINDEX; ANALYZE; EXPLAIN QUERY PLAN SELECT 1",
        "this is not SQL at all, which is for SQLite to say",
    ];
    for script in good {
        let faults = check_script(Sqlite, TransactionMode::Shared, ScriptRole::Apply, script.as_bytes());
        assert_eq!(faults, [], "{script}");
    }
    for alone in ["VACUUM", "VACUUM;", "-- x\nPRAGMA journal_mode = WAL;", "ANALYZE"] {
        assert_eq!(check_script(Sqlite, TransactionMode::None, ScriptRole::Apply, alone.as_bytes()), []);
    }
    assert_eq!(check_script(Sqlite, TransactionMode::None, ScriptRole::Verify, b"SELECT 1; SELECT 2"), []);
    assert_eq!(check_script(Sqlite, TransactionMode::Shared, ScriptRole::Rollback, b""), []);
}
