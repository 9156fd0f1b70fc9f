//! W6: 200 SQL changes up, then down, on SQLite.

mod changes;
mod formats;

use super::{
    case::Case,
    measure::measure,
    setting::Setting,
    table::{Goal, Section, best, median, wall},
};
use crate::Done;

const ONE: &str = "tmp, one enhancement";
const MANY: &str = "tmp, one enhancement each, one run";
const MANY_PROCESSES: &str = "tmp, one enhancement each, one process each";
const CLIENT: &str = "sqlite3, one transaction";
/// Tools that record each change.
const RECORDING: [&str; 6] = ["sqitch", "alembic", "yoyo", "sqlx", "refinery", "dbmate"];

/// W6.
pub(super) fn run(setting: &Setting) -> Done<Section> {
    let prepared = setting.prepared()?;
    let count = if setting.small { 20 } else { 200 };
    formats::write(&prepared, &changes::changes(count))?;
    setting.script(
        "cd $R; $TMP package one -o one.trigger; for dir in each/*; do $TMP package $dir -o $dir.trigger; done",
    )?;
    let mut cases = Vec::new();
    for (needs, name, up, down) in tools() {
        let case = if needs == "true" {
            Case::ours
        } else {
            |name: &str, script: &str| Case::peer("true", name, script)
        };
        let many = matches!(name, MANY | MANY_PROCESSES | "sqitch" | "dbmate" | EACH_PROCESS);
        let most = if many { 3 } else { usize::MAX };
        let named = |direction: &str| format!("{name}, {direction}");
        let before = "printf 'schema: tmp/v1\nstate: state\nsystems: {real: {model: {sites: {here: {root: target, work: .tmp-work, \
                      databases: {main: {sqlite: m.db}}}}}}}\n' > $M/tmp.yaml; mkdir $M/target; sqlite3 $M/m.db 'VACUUM'; export DB=$M/m.db";
        let there = format!("[ $(sqlite3 $M/m.db \"{COUNT}\") = {} ]", count * 2 / 5);
        let gone = format!("[ $(sqlite3 $M/m.db \"{COUNT}\") = 0 ]");
        let script = |text: &str| format!("export DB=$M/m.db; {text}");
        cases.push(Case { needs, ..case(&named("up"), &script(up)) }.before(before).after(&there).most(most));
        if let Some(down) = down {
            let before = format!("{before}; {{ {up}; }} > /dev/null 2>&1");
            cases.push(
                Case { needs, ..case(&named("down"), &script(down)) }.before(&before).after(&gone).most(most),
            );
        }
    }
    let cases: Vec<_> = cases.into_iter().map(Case::fresh).collect();
    let rows = measure(setting, &cases, |_| Ok(()))?;
    let mut goals = Vec::new();
    for direction in ["up", "down"] {
        let of = |name: &str| median(&rows, &format!("{name}, {direction}"), wall);
        let peers: Vec<_> = RECORDING.iter().map(|name| format!("{name}, {direction}")).collect();
        let peers: Vec<_> = peers.iter().map(String::as_str).collect();
        goals.push(Goal::ratio(&format!("(a) {direction}, of the bare client"), of(ONE), of(CLIENT), 1.2));
        goals.push(Goal::ratio(
            &format!("(b) {direction}, of the fastest that records each change"),
            of(MANY),
            best(&rows, &peers, wall),
            1.0,
        ));
    }
    let note = format!(
        "Fresh, warm, {count} small changes (a table, columns, an index, twenty rows, a view) with their roll-backs, default durability \
         of SQLite. TMP reverses by `tmp reverse`: of the first enhancement, and so of all that build on it, newest first.\n"
    );
    Ok(Section { title: "W6: SQL changes on SQLite".into(), note, rows, goals })
}

const EACH_PROCESS: &str = "sqlite3, one process each";
const COUNT: &str =
    "SELECT count(*) FROM sqlite_master WHERE name LIKE '%account_%' AND type IN ('table', 'view')";

/// Program, name, the way up and the way down.
fn tools() -> Vec<(&'static str, &'static str, &'static str, Option<&'static str>)> {
    vec![
        (
            "true",
            ONE,
            "$TMP --config $M/tmp.yaml run $R/one.trigger --now --reason bench",
            Some("$TMP --config $M/tmp.yaml reverse one --reason bench --confirm one"),
        ),
        (
            "true",
            MANY,
            "$TMP --config $M/tmp.yaml run $R/each/*.trigger --now --reason bench",
            Some("id=e0001-create; $TMP --config $M/tmp.yaml reverse $id --reason bench --confirm $id"),
        ),
        (
            "true",
            MANY_PROCESSES,
            "for file in $R/each/*.trigger; do $TMP --config $M/tmp.yaml run $file --now --reason bench; done",
            None,
        ),
        (
            "sqlite3",
            CLIENT,
            "(echo 'BEGIN;'; cat $R/plain/*.up.sql; echo 'COMMIT;') | sqlite3 -bail $DB",
            Some("(echo 'BEGIN;'; cat $(ls -r $R/plain/*.down.sql); echo 'COMMIT;') | sqlite3 -bail $DB"),
        ),
        (
            "sqlite3",
            "sqlite3, one transaction each",
            "for file in $R/plain/*.up.sql; do echo 'BEGIN;'; cat $file; echo 'COMMIT;'; done | sqlite3 -bail $DB",
            Some(
                "for file in $(ls -r $R/plain/*.down.sql); do echo 'BEGIN;'; cat $file; echo 'COMMIT;'; done | sqlite3 -bail $DB",
            ),
        ),
        (
            "sqlite3",
            EACH_PROCESS,
            "for file in $R/plain/*.up.sql; do (echo 'BEGIN;'; cat $file; echo 'COMMIT;') | sqlite3 -bail $DB; done",
            Some(
                "for file in $(ls -r $R/plain/*.down.sql); do (echo 'BEGIN;'; cat $file; echo 'COMMIT;') | sqlite3 -bail $DB; done",
            ),
        ),
        (
            "sqitch",
            "sqitch",
            "cd $R/sqitch; sqitch deploy db:sqlite:$DB",
            Some("cd $R/sqitch; sqitch revert -y db:sqlite:$DB"),
        ),
        (
            "alembic",
            "alembic",
            "cd $R; DBURL=sqlite:///$DB alembic upgrade head",
            Some("cd $R; DBURL=sqlite:///$DB alembic downgrade base"),
        ),
        (
            "yoyo",
            "yoyo",
            "yoyo apply --no-config-file --batch --database sqlite:///$DB $R/yoyo",
            Some("yoyo rollback --all --no-config-file --batch --database sqlite:///$DB $R/yoyo"),
        ),
        (
            "sqlx",
            "sqlx",
            "sqlx migrate run --source $R/sqlx -D sqlite://$DB",
            Some("sqlx migrate revert --target-version 0 --source $R/sqlx -D sqlite://$DB"),
        ),
        ("refinery", "refinery", "U=sqlite://$DB refinery migrate -e U -p $R/refinery", None),
        (
            "dbmate",
            "dbmate",
            "dbmate -u sqlite:$DB -d $R/dbmate --no-dump-schema up",
            Some("for file in $R/dbmate/*; do dbmate -u sqlite:$DB -d $R/dbmate --no-dump-schema down; done"),
        ),
    ]
}
