//! The canonical form of a definition in `sqlite_schema`.
//!
//! SQLite keeps the text of CREATE as it was written, and edits it when a column or name changes. A
//! change and its opposite leave white space and quotation marks that nobody wrote, so these are no part
//! of the form, and neither are comments. Everything else is, letter by letter.

use sqlparser::tokenizer::Token;
use tmp_core::enhancement::DatabaseEngine;

use crate::tokens::{self, Lexeme};

/// The form: for each token its class, its length in 8 bytes and its bytes. A text that has no tokens
/// is taken as it is, under a class of its own.
pub(super) fn definition(sql: &str) -> Vec<u8> {
    let (lexemes, error) = tokens::tokens(DatabaseEngine::Sqlite, sql);
    let mut form = Vec::with_capacity(sql.len() * 2);
    if error.is_some() {
        push(&mut form, b'?', sql);
        return form;
    }
    let mut after_primary = false;
    for lexeme in &lexemes {
        // KEY may name a column, but not after PRIMARY and FOREIGN.
        let key = after_primary && lexeme.is_word("KEY");
        push_token(&mut form, lexeme, key);
        after_primary = lexeme.is_word("PRIMARY") || lexeme.is_word("FOREIGN");
    }
    form
}

fn push_token(form: &mut Vec<u8>, lexeme: &Lexeme<'_>, key: bool) {
    match &lexeme.token {
        Token::Word(word) => {
            let reserved = contains(RESERVED, &word.value);
            let special = reserved || contains(FALLBACK, &word.value);
            match word.quote_style {
                None if reserved || key => push(form, b'k', &word.value.to_ascii_uppercase()),
                // Without quotes it may be a keyword, with them it is a name: two things.
                Some(_) if special => push(form, b'q', &word.value),
                _ => push(form, b'i', &word.value),
            }
        }
        _ => push(form, b't', lexeme.text),
    }
}

fn push(form: &mut Vec<u8>, class: u8, text: &str) {
    form.push(class);
    form.extend_from_slice(&(text.len() as u64).to_be_bytes());
    form.extend_from_slice(text.as_bytes());
}

fn contains(list: &[&str], word: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Keywords that cannot be names without quotes (<https://sqlite.org/lang_keywords.html>, less those for which
/// the grammar has a fallback): their case does not matter.
#[rustfmt::skip]
const RESERVED: &[&str] = &[
    "ADD", "ALL", "ALTER", "AND", "AS", "AUTOINCREMENT", "BETWEEN", "CASE", "CHECK", "COLLATE", "COMMIT",
    "CONSTRAINT", "CREATE", "DEFAULT", "DEFERRABLE", "DELETE", "DISTINCT", "DROP", "ELSE", "ESCAPE",
    "EXISTS", "FOREIGN", "FROM", "GROUP", "HAVING", "IN", "INDEX", "INSERT", "INTO", "IS", "ISNULL", "JOIN",
    "LIMIT", "NOT", "NOTHING", "NOTNULL", "NULL", "ON", "OR", "ORDER", "PRIMARY", "REFERENCES", "RETURNING",
    "SELECT", "SET", "TABLE", "THEN", "TO", "TRANSACTION", "UNION", "UNIQUE", "UPDATE", "USING", "VALUES",
    "WHEN", "WHERE",
];

/// Keywords, and words with a meaning of their own, that can be names without quotes too.
#[rustfmt::skip]
const FALLBACK: &[&str] = &[
    "ABORT", "ACTION", "AFTER", "ALWAYS", "ANALYZE", "ASC", "ATTACH", "BEFORE", "BEGIN", "BY", "CASCADE",
    "CAST", "COLUMN", "CONFLICT", "CROSS", "CURRENT", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP",
    "DATABASE", "DEFERRED", "DESC", "DETACH", "DO", "EACH", "END", "EXCEPT", "EXCLUDE", "EXCLUSIVE",
    "EXPLAIN", "FAIL", "FALSE", "FILTER", "FIRST", "FOLLOWING", "FOR", "FULL", "GENERATED", "GLOB",
    "GROUPS", "IF", "IGNORE", "IMMEDIATE", "INDEXED", "INITIALLY", "INNER", "INSTEAD", "INTERSECT", "KEY",
    "LAST", "LEFT", "LIKE", "MATCH", "MATERIALIZED", "NATURAL", "NO", "NULLS", "OF", "OFFSET", "OTHERS",
    "OUTER", "OVER", "PARTITION", "PLAN", "PRAGMA", "PRECEDING", "QUERY", "RAISE", "RANGE", "RECURSIVE",
    "REGEXP", "REINDEX", "RELEASE", "RENAME", "REPLACE", "RESTRICT", "RIGHT", "ROLLBACK", "ROW", "ROWID",
    "ROWS", "SAVEPOINT", "STORED", "STRICT", "TEMP", "TEMPORARY", "TIES", "TRIGGER", "TRUE", "UNBOUNDED",
    "VACUUM", "VIEW", "VIRTUAL", "WINDOW", "WITH", "WITHIN", "WITHOUT",
];

#[cfg(test)]
mod tests {
    use super::definition;

    #[test]
    fn what_sqlite_adds_by_itself_makes_no_difference() {
        for (a, b) in [
            ("CREATE TABLE t(a, b)", "CREATE TABLE \"t\" ( a,b ) -- note"),
            ("create table T(a INTEGER primary key)", "CREATE TABLE T(a INTEGER PRIMARY KEY)"),
            ("CREATE TABLE t([a b])", "CREATE TABLE t(\"a b\")"),
            ("CREATE INDEX i on t(a)", "CREATE INDEX i ON t(`a`)"),
        ] {
            assert_eq!(definition(a), definition(b), "{a} / {b}");
        }
    }

    #[test]
    fn everything_else_does() {
        for (a, b) in [
            ("CREATE TABLE t(a)", "CREATE TABLE T(a)"),
            ("CREATE TABLE t(a INTEGER)", "CREATE TABLE t(a INT)"),
            ("CREATE TABLE t(a DEFAULT 'x')", "CREATE TABLE t(a DEFAULT 'X')"),
            ("CREATE TABLE t(a DEFAULT 'x y')", "CREATE TABLE t(a DEFAULT 'x  y')"),
            ("CREATE TABLE t(a DEFAULT x'00')", "CREATE TABLE t(a DEFAULT '00')"),
            ("CREATE TABLE t(a DEFAULT true)", "CREATE TABLE t(a DEFAULT \"true\")"),
            ("CREATE TABLE t(key)", "CREATE TABLE t(KEY)"),
            ("CREATE TABLE t(a DEFAULT current_time)", "CREATE TABLE t(a DEFAULT 'current_time')"),
            ("CREATE TABLE t(a, bc)", "CREATE TABLE t(a b, c)"),
            ("CREATE TABLE t(a DEFAULT 1)", "CREATE TABLE t(a DEFAULT 1.0)"),
            ("CREATE TABLE t(a UNIQUE)", "CREATE TABLE t(a \"UNIQUE\")"),
        ] {
            assert_ne!(definition(a), definition(b), "{a} / {b}");
        }
    }
}
