//! Commands that only a client program knows. They are refused by name: a server or library cannot run
//! them, and what they stand for is TMP's business.

use sqlparser::tokenizer::Token;
use tmp_core::enhancement::DatabaseEngine;

use crate::{split::Statement, tokens::Lexeme};

/// A client command and its place.
#[derive(Debug)]
pub(crate) struct Command<'a> {
    pub(crate) at: &'a Lexeme<'a>,
    /// The command, named.
    pub(crate) what: String,
    /// What to do instead.
    pub(crate) help: &'static str,
}

/// The client command in a statement, if there is one.
pub(crate) fn command<'a>(engine: DatabaseEngine, statement: &'a Statement<'a>) -> Option<Command<'a>> {
    let lexemes = statement.lexemes.as_slice();
    match engine {
        DatabaseEngine::Sqlite => sqlite(lexemes),
        DatabaseEngine::Postgresql => backslash(lexemes, "psql").or_else(|| copy_from_stdin(lexemes)),
        DatabaseEngine::Mysql | DatabaseEngine::Mariadb => {
            backslash(lexemes, "mysql").or_else(|| mysql(lexemes))
        }
    }
}

fn found<'a>(at: &'a Lexeme<'a>, name: &str, client: &str, help: &'static str) -> Command<'a> {
    Command { at, what: format!("{name} is a command of the {client} client, not SQL"), help }
}

fn sqlite<'a>(lexemes: &'a [Lexeme<'a>]) -> Option<Command<'a>> {
    let [first, rest @ ..] = lexemes else { return None };
    let name = match &first.token {
        Token::Period => rest.first().map_or("", |next| next.text),
        Token::Number(..) => first.text.strip_prefix('.')?,
        _ => return None,
    };
    Some(found(first, &format!(".{name}"), "sqlite3", "write SQL only; TMP opens the database itself"))
}

fn backslash<'a>(lexemes: &'a [Lexeme<'a>], client: &str) -> Option<Command<'a>> {
    let at = lexemes.iter().position(|lexeme| lexeme.token == Token::Backslash)?;
    let name = lexemes.get(at + 1).map_or("", |next| next.text);
    let first = lexemes.get(at)?;
    Some(found(first, &format!("\\{name}"), client, "write SQL only"))
}

fn copy_from_stdin<'a>(lexemes: &'a [Lexeme<'a>]) -> Option<Command<'a>> {
    let first = lexemes.first().filter(|first| first.is_word("COPY"))?;
    let reads = lexemes
        .windows(2)
        .any(|pair| matches!(pair, [from, stdin] if from.is_word("FROM") && stdin.is_word("STDIN")));
    reads.then(|| found(first, "COPY … FROM stdin", "psql", "write the rows as INSERT statements"))
}

fn mysql<'a>(lexemes: &'a [Lexeme<'a>]) -> Option<Command<'a>> {
    let first = lexemes.first()?;
    let name =
        ["DELIMITER", "SOURCE", "SYSTEM", "TEE", "PAGER"].into_iter().find(|word| first.is_word(word))?;
    Some(found(first, name, "mysql", "leave it out: statements are told apart by their tokens"))
}
