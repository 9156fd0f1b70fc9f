//! Takes a script apart into statements.

use sqlparser::tokenizer::Token;
use tmp_core::enhancement::DatabaseEngine;

use crate::{
    client,
    tokens::{self, Lexeme},
};

/// One statement of a script.
#[derive(Debug, Clone)]
pub struct Statement<'a> {
    /// Its text, as it stands in the script, without the semicolon that ends it.
    pub text: &'a str,
    /// The line it begins on, from 1.
    pub line: u64,
    /// The column it begins in, in characters, from 1.
    pub column: u64,
    /// Its tokens; never empty.
    pub(crate) lexemes: Vec<Lexeme<'a>>,
}

/// A script cannot be taken apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}: {help}")]
pub struct SplitError {
    /// From 1.
    pub line: u64,
    /// In characters, from 1.
    pub column: u64,
    /// The number of the statement that it is in, from 1.
    pub statement: usize,
    /// What stands there.
    pub what: String,
    /// How to mend it.
    pub help: String,
}

/// The statements of a script, by its tokens: a semicolon in a string, a quoted name, a comment, a
/// dollar quote or the body of a trigger or routine ends none. What holds no token is dropped.
///
/// # Errors
/// Text that is no token, such as a string without an end, or a command that only a client knows.
pub fn split(engine: DatabaseEngine, text: &str) -> Result<Vec<Statement<'_>>, SplitError> {
    let (statements, error) = split_until_error(engine, text);
    let command = statements.iter().enumerate().find_map(|(index, statement)| {
        client::command(engine, statement).map(|command| SplitError {
            line: command.at.line,
            column: command.at.column,
            statement: index + 1,
            what: command.what,
            help: command.help.to_owned(),
        })
    });
    match (command, error) {
        (Some(error), _) | (None, Some(error)) => Err(error),
        (None, None) => Ok(statements),
    }
}

/// The statements up to the first place that is no token, and what is wrong there.
pub(crate) fn split_until_error(
    engine: DatabaseEngine,
    text: &str,
) -> (Vec<Statement<'_>>, Option<SplitError>) {
    let (lexemes, error) = tokens::tokens(engine, text);
    let mut statements = Vec::new();
    let mut current = Vec::new();
    let mut nesting = Nesting::new(engine);
    for lexeme in lexemes {
        if lexeme.token == Token::SemiColon && !nesting.holds(&current) {
            statements.extend(statement(text, std::mem::take(&mut current)));
            nesting = Nesting::new(engine);
        } else {
            nesting.feed(&current, &lexeme);
            current.push(lexeme);
        }
    }
    let error = error.map(|error| SplitError {
        line: error.line,
        column: error.column,
        statement: statements.len() + 1,
        what: error.message,
        help: "close what was opened".to_owned(),
    });
    statements.extend(statement(text, current));
    (statements, error)
}

fn statement<'a>(text: &'a str, lexemes: Vec<Lexeme<'a>>) -> Option<Statement<'a>> {
    let (first, last) = (lexemes.first()?, lexemes.last()?);
    let text = text.get(first.start..last.end())?;
    Some(Statement { text, line: first.line, column: first.column, lexemes })
}

/// What is open in the statement at hand, so that a semicolon does not end it.
struct Nesting {
    engine: DatabaseEngine,
    parentheses: usize,
    blocks: usize,
}

impl Nesting {
    const fn new(engine: DatabaseEngine) -> Self {
        Self { engine, parentheses: 0, blocks: 0 }
    }

    fn feed(&mut self, before: &[Lexeme<'_>], next: &Lexeme<'_>) {
        match next.token {
            Token::LParen => self.parentheses += 1,
            Token::RParen => self.parentheses = self.parentheses.saturating_sub(1),
            Token::Word(_) => self.feed_word(before, next),
            _ => {}
        }
    }

    fn feed_word(&mut self, before: &[Lexeme<'_>], next: &Lexeme<'_>) {
        let after = |word: &str| before.last().is_some_and(|last| last.is_word(word));
        match self.engine {
            DatabaseEngine::Postgresql => {
                let atomic = next.is_word("ATOMIC") && after("BEGIN");
                if atomic || (self.blocks > 0 && next.is_word("CASE")) {
                    self.blocks += 1;
                } else if next.is_word("END") {
                    self.blocks = self.blocks.saturating_sub(1);
                }
            }
            DatabaseEngine::Mysql | DatabaseEngine::Mariadb if is_routine(before) => {
                let loops = ["IF", "LOOP", "WHILE", "REPEAT"].iter().any(|word| next.is_word(word));
                let opens = next.is_word("BEGIN") || next.is_word("CASE");
                if (loops && after("END")) || (opens && !after("END")) {
                    self.blocks += 1;
                } else if next.is_word("END") {
                    self.blocks = self.blocks.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    /// Whether a semicolon behind `current` belongs to it.
    fn holds(&self, current: &[Lexeme<'_>]) -> bool {
        match self.engine {
            DatabaseEngine::Sqlite => is_trigger(current) && !ends_trigger(current),
            DatabaseEngine::Postgresql => self.parentheses > 0 || self.blocks > 0,
            DatabaseEngine::Mysql | DatabaseEngine::Mariadb => self.blocks > 0,
        }
    }
}

/// `[EXPLAIN [QUERY PLAN]] CREATE [TEMP | TEMPORARY] TRIGGER`, as `sqlite3_complete` reads it.
fn is_trigger(lexemes: &[Lexeme<'_>]) -> bool {
    let mut words = lexemes
        .iter()
        .map(|lexeme| lexeme.word().unwrap_or_default().to_ascii_uppercase())
        .skip_while(|word| matches!(word.as_str(), "EXPLAIN" | "QUERY" | "PLAN"));
    words.next().as_deref() == Some("CREATE")
        && words.find(|word| !matches!(word.as_str(), "TEMP" | "TEMPORARY")).as_deref() == Some("TRIGGER")
}

/// A trigger ends with `; END ;` and nothing else does, as `sqlite3_complete` reads it.
fn ends_trigger(lexemes: &[Lexeme<'_>]) -> bool {
    matches!(lexemes, [.., semicolon, end] if semicolon.token == Token::SemiColon && end.is_word("END"))
}

/// `CREATE … PROCEDURE | FUNCTION | TRIGGER | EVENT`, with room for OR REPLACE and DEFINER.
fn is_routine(lexemes: &[Lexeme<'_>]) -> bool {
    let kinds = ["PROCEDURE", "FUNCTION", "TRIGGER", "EVENT"];
    lexemes.first().is_some_and(|first| first.is_word("CREATE"))
        && lexemes.iter().take(12).any(|lexeme| kinds.iter().any(|kind| lexeme.is_word(kind)))
}
