//! Watches what SQLite compiles while scripts run.
//!
//! It sees what tokens do not show: what triggers and views reach, and what functions are called.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{
    Connection,
    hooks::{AuthAction, AuthContext, Authorization},
};
use tmp_core::enhancement::TransactionMode;

use crate::{
    MARKER_TABLE,
    rules::{self, Refusal},
};

/// What a guarded statement may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// What the migration's transaction takes back.
    Shared,
    /// What a statement outside of it may do.
    Alone,
    /// What VACUUM does by itself: it attaches a nameless database, opens a transaction and copies every
    /// table, TMP's own too.
    Vacuum,
}

/// An installed authorizer; it remembers the first thing it denied.
pub(super) struct Guard(Arc<Mutex<Option<Refusal>>>);

impl Guard {
    /// Watches everything that is compiled from now on.
    pub(super) fn install(connection: &mut Connection, scope: Scope) -> rusqlite::Result<Self> {
        let denied = Arc::new(Mutex::new(None));
        let record = Arc::clone(&denied);
        connection.authorizer(Some(move |context: AuthContext<'_>| match judge(scope, &context.action) {
            None => Authorization::Allow,
            Some(refusal) => {
                lock(&record).get_or_insert(refusal);
                Authorization::Deny
            }
        }))?;
        Ok(Self(denied))
    }

    /// Watches no longer.
    pub(super) fn remove(connection: &mut Connection) -> rusqlite::Result<()> {
        connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)
    }

    /// What was denied since the last call.
    pub(super) fn denied(&self) -> Option<Refusal> {
        lock(&self.0).take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn judge(scope: Scope, action: &AuthAction<'_>) -> Option<Refusal> {
    match *action {
        AuthAction::Attach { filename: "" } | AuthAction::Transaction { .. } if scope == Scope::Vacuum => {
            None
        }
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
            Some(Refusal::new("another database", "a script changes the one database it names"))
        }
        // FTS3 and FTS4 take a savepoint of this name for their own commands; FTS5 asks whether its index
        // moved.
        AuthAction::Savepoint { savepoint_name: "fts3", .. }
        | AuthAction::Pragma { pragma_name: "data_version", pragma_value: None } => None,
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
            Some(Refusal::new("transaction control", "scripts run in the migration's own transaction"))
        }
        AuthAction::Function { function_name } if function_name.eq_ignore_ascii_case("load_extension") => {
            Some(Refusal::new("load_extension", "it runs code that no archive holds"))
        }
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let mode = if scope == Scope::Shared { TransactionMode::Shared } else { TransactionMode::None };
            rules::pragma_refusal(mode, pragma_name, pragma_value.is_some())
        }
        AuthAction::Unknown { code, .. } => {
            Some(Refusal::new(format!("action {code}"), "this TMP does not know it"))
        }
        _ if scope == Scope::Vacuum => None,
        _ => table(action)
            .filter(|table| table.eq_ignore_ascii_case(MARKER_TABLE))
            .map(|table| Refusal::new(table, "it is TMP's own table")),
    }
}

/// The table or view an action reads or changes. ANALYZE without a name looks at every table and keeps
/// nothing of TMP's own but how many rows it has.
const fn table<'a>(action: &AuthAction<'a>) -> Option<&'a str> {
    match *action {
        AuthAction::CreateIndex { table_name, .. }
        | AuthAction::CreateTable { table_name }
        | AuthAction::CreateTempIndex { table_name, .. }
        | AuthAction::CreateTempTable { table_name }
        | AuthAction::CreateTempTrigger { table_name, .. }
        | AuthAction::CreateTrigger { table_name, .. }
        | AuthAction::CreateVtable { table_name, .. }
        | AuthAction::Delete { table_name }
        | AuthAction::DropIndex { table_name, .. }
        | AuthAction::DropTable { table_name }
        | AuthAction::DropTempIndex { table_name, .. }
        | AuthAction::DropTempTable { table_name }
        | AuthAction::DropTempTrigger { table_name, .. }
        | AuthAction::DropTrigger { table_name, .. }
        | AuthAction::DropVtable { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Read { table_name, .. }
        | AuthAction::Update { table_name, .. }
        | AuthAction::AlterTable { table_name, .. } => Some(table_name),
        AuthAction::CreateView { view_name }
        | AuthAction::CreateTempView { view_name }
        | AuthAction::DropView { view_name }
        | AuthAction::DropTempView { view_name } => Some(view_name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(scope: Scope, sql: &str) -> Option<String> {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t(a); CREATE TABLE tmp_marker(nonce); CREATE VIEW v AS SELECT nonce FROM tmp_marker;
                 CREATE TRIGGER tr AFTER INSERT ON t BEGIN DELETE FROM tmp_marker; END; BEGIN",
            )
            .unwrap();
        let guard = Guard::install(&mut connection, scope).unwrap();
        let result = connection.prepare(sql).map(drop);
        let refusal = guard.denied().map(|refusal| refusal.what);
        assert_eq!(result.is_err(), refusal.is_some(), "{sql}: {result:?}");
        Guard::remove(&mut connection).unwrap();
        assert!(connection.prepare("SELECT nonce FROM tmp_marker").is_ok());
        refusal
    }

    #[test]
    fn sees_what_tokens_do_not_show() {
        for sql in [
            "COMMIT",
            "ROLLBACK",
            "BEGIN",
            "SAVEPOINT x",
            "RELEASE x",
            "ROLLBACK TO x",
            "ATTACH 'x' AS x",
            "ATTACH '' AS x",
            "DETACH main",
            "PRAGMA writable_schema = 1",
            "PRAGMA foreign_keys",
            "SELECT load_extension('x')",
            "SELECT * FROM v",
            "INSERT INTO t VALUES (1)",
            "DELETE FROM tmp_marker",
            "DELETE FROM TMP_MARKER",
            "CREATE INDEX i ON tmp_marker(nonce)",
            "DROP TABLE tmp_marker",
            "ALTER TABLE tmp_marker ADD COLUMN x",
            "CREATE TRIGGER x AFTER INSERT ON tmp_marker BEGIN SELECT 1; END",
            "CREATE TEMP TABLE tmp_marker(x)",
            "CREATE TEMP VIEW tmp_marker AS SELECT 1",
            "CREATE VIRTUAL TABLE temp.tmp_marker USING fts5(x)",
        ] {
            assert!(denied(Scope::Shared, sql).is_some(), "{sql}");
        }
        for sql in [
            "SELECT * FROM t",
            "DELETE FROM t",
            "CREATE TABLE x(y)",
            "DROP TABLE t",
            "ALTER TABLE t ADD COLUMN b",
            "PRAGMA user_version = 3",
            "PRAGMA table_info(t)",
            "SELECT * FROM pragma_table_info('t')",
            "ANALYZE",
        ] {
            assert_eq!(denied(Scope::Shared, sql), None, "{sql}");
        }
        for sql in [
            "ATTACH 'x' AS x",
            "DETACH main",
            "DELETE FROM tmp_marker",
            "PRAGMA writable_schema = 1",
            "SAVEPOINT x",
        ] {
            assert!(denied(Scope::Alone, sql).is_some(), "{sql}");
        }
    }
}
