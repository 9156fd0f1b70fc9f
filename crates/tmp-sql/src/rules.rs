//! What no script may do, as far as its tokens show it. What they do not show is refused while it runs.

use sqlparser::tokenizer::Token;
use tmp_core::enhancement::{DatabaseEngine, TransactionMode};

use crate::{MARKER_TABLE, split::Statement, tokens::Lexeme};

/// Why a statement is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The statement, named.
    pub(crate) what: String,
    /// Why, and what to do instead.
    pub(crate) why: String,
}

impl Refusal {
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

const TRANSACTION: &str = "scripts run in the migration's own transaction; leave transaction control out";
const ONE_DATABASE: &str =
    "a script changes the one database it names; declare another change for another database";
const OWN_TABLE: &str = "it is TMP's own table";

/// What a statement may not do in this mode, if anything.
pub(crate) fn refusal(
    engine: DatabaseEngine,
    mode: TransactionMode,
    statement: &Statement<'_>,
) -> Option<Refusal> {
    let lexemes = without_explain(&statement.lexemes);
    leading_word(engine, mode, lexemes)
        .or_else(|| pragma(engine, mode, lexemes))
        .or_else(|| extension(lexemes))
        .or_else(|| own_table(lexemes))
}

fn without_explain<'a, 'b>(lexemes: &'a [Lexeme<'b>]) -> &'a [Lexeme<'b>] {
    match lexemes {
        [explain, query, plan, rest @ ..]
            if explain.is_word("EXPLAIN") && query.is_word("QUERY") && plan.is_word("PLAN") =>
        {
            rest
        }
        [explain, rest @ ..] if explain.is_word("EXPLAIN") => rest,
        all => all,
    }
}

fn leading_word(engine: DatabaseEngine, mode: TransactionMode, lexemes: &[Lexeme<'_>]) -> Option<Refusal> {
    let word = lexemes.first()?.word()?.to_ascii_uppercase();
    let second = lexemes.get(1);
    let why = match word.as_str() {
        "BEGIN" | "COMMIT" | "END" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "START" | "ABORT" => TRANSACTION,
        "PREPARE" if second.is_some_and(|next| next.is_word("TRANSACTION")) => TRANSACTION,
        "ATTACH" | "DETACH" if engine == DatabaseEngine::Sqlite => ONE_DATABASE,
        "VACUUM" if lexemes.iter().any(|lexeme| lexeme.is_word("INTO")) => {
            "it writes a file that TMP does not know of"
        }
        "VACUUM" if mode == TransactionMode::Shared => {
            "it cannot run in a transaction; give the change `transaction: none`"
        }
        _ => return None,
    };
    Some(Refusal::new(word, why))
}

/// Pragmas that only answer.
const PRAGMA_READS: &[&str] = &[
    "collation_list",
    "compile_options",
    "encoding",
    "foreign_key_check",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "module_list",
    "page_count",
    "page_size",
    "quick_check",
    "schema_version",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Pragmas that write what the transaction takes back.
const PRAGMA_WRITES: &[&str] = &["application_id", "defer_foreign_keys", "user_version"];

/// Pragmas of `transaction: none`.
const PRAGMA_ALONE: &[&str] = &["incremental_vacuum", "journal_mode", "optimize", "wal_checkpoint"];

/// Pragmas that answer and, given a value, set something.
const PRAGMA_WITHOUT_VALUE: &[&str] = &["encoding", "page_size", "schema_version"];

/// Why a pragma is refused, if it is. `name` in any case; `has_value` tells `= x` and `(x)`.
pub(crate) fn pragma_refusal(mode: TransactionMode, name: &str, has_value: bool) -> Option<Refusal> {
    let name = name.to_ascii_lowercase();
    let known = |list: &[&str]| list.contains(&name.as_str());
    let allowed = (known(PRAGMA_READS) && !(has_value && known(PRAGMA_WITHOUT_VALUE)))
        || known(PRAGMA_WRITES)
        || (mode == TransactionMode::None && known(PRAGMA_ALONE));
    if allowed {
        return None;
    }
    let why = match name.as_str() {
        "foreign_keys" => {
            "it does nothing inside a transaction; TMP keeps foreign keys off while scripts run and checks them \
             before COMMIT"
        }
        _ if known(PRAGMA_ALONE) => "it cannot be rolled back; give the change `transaction: none`",
        _ => "it is not on the list of pragmas that a migration can take back",
    };
    Some(Refusal::new(format!("PRAGMA {name}"), why))
}

fn pragma(engine: DatabaseEngine, mode: TransactionMode, lexemes: &[Lexeme<'_>]) -> Option<Refusal> {
    let [pragma, rest @ ..] = lexemes else { return None };
    if engine != DatabaseEngine::Sqlite || !pragma.is_word("PRAGMA") {
        return None;
    }
    let rest = match rest {
        [_, period, rest @ ..] if period.token == Token::Period => rest,
        rest => rest,
    };
    let name = rest.first().and_then(Lexeme::name).unwrap_or_default();
    pragma_refusal(mode, name, rest.len() > 1)
}

fn extension(lexemes: &[Lexeme<'_>]) -> Option<Refusal> {
    let calls = lexemes.windows(2).any(|pair| {
        matches!(pair, [name, paren] if paren.token == Token::LParen
            && name.name().is_some_and(|name| name.eq_ignore_ascii_case("load_extension")))
    });
    calls.then(|| Refusal::new("load_extension", "it runs code that no archive holds"))
}

fn own_table(lexemes: &[Lexeme<'_>]) -> Option<Refusal> {
    let names =
        |lexeme: &Lexeme<'_>| lexeme.name().is_some_and(|name| name.eq_ignore_ascii_case(MARKER_TABLE));
    lexemes.iter().any(names).then(|| Refusal::new(MARKER_TABLE, OWN_TABLE))
}
