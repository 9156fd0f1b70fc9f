//! Scripts: taken apart and checked, for each engine, transaction and role.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tmp_core::enhancement::{DatabaseEngine, TransactionMode};
use tmp_sql::{ScriptRole, check_script, split};

const ENGINES: [DatabaseEngine; 4] =
    [DatabaseEngine::Sqlite, DatabaseEngine::Postgresql, DatabaseEngine::Mysql, DatabaseEngine::Mariadb];

fuzz_target!(|input: &[u8]| {
    let Some((choice, script)) = input.split_first() else { return };
    let engine = ENGINES[usize::from(choice & 3)];
    let mode = if choice & 4 == 0 { TransactionMode::Shared } else { TransactionMode::None };
    let role = match choice >> 3 & 3 {
        0 | 1 => ScriptRole::Apply,
        2 => ScriptRole::Rollback,
        _ => ScriptRole::Verify,
    };
    let faults = check_script(engine, mode, role, script);
    let Ok(text) = std::str::from_utf8(script) else {
        assert!(!faults.is_empty(), "a script that is not UTF-8 was accepted");
        return;
    };
    // Statements are slices of the script, one behind the other, each where it says that it begins.
    let Ok(statements) = split(engine, text) else { return };
    let mut end = 0;
    for statement in statements {
        let begin = statement.text.as_ptr() as usize - text.as_ptr() as usize;
        assert!(begin >= end, "statements overlap");
        end = begin + statement.text.len();
        assert!(end <= text.len(), "a statement ends beyond its script");
        let line = text[..begin].matches('\n').count() as u64 + 1;
        assert_eq!(line, statement.line, "a statement is not where it says");
    }
});
