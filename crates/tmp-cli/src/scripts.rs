//! Lets packaging check SQL without knowing how SQL is read.

use tmp_core::enhancement::{DatabaseEngine, TransactionMode};
use tmp_trigger::{ScriptCheck, ScriptMistake, ScriptRole};

/// Checks scripts with the rules that will hold when they run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SqlScripts;

impl ScriptCheck for SqlScripts {
    fn check(
        &self,
        engine: DatabaseEngine,
        transaction: TransactionMode,
        role: ScriptRole,
        text: &[u8],
    ) -> Vec<ScriptMistake> {
        let role = match role {
            ScriptRole::Apply => tmp_sql::ScriptRole::Apply,
            ScriptRole::Rollback => tmp_sql::ScriptRole::Rollback,
            ScriptRole::Verify => tmp_sql::ScriptRole::Verify,
        };
        tmp_sql::check_script(engine, transaction, role, text)
            .into_iter()
            .map(|fault| ScriptMistake {
                line: fault.line,
                column: fault.column,
                message: fault.what,
                help: fault.help,
            })
            .collect()
    }
}
