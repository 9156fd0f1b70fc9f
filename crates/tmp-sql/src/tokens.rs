//! The tokens of a script, each with its place in the text.

use sqlparser::{
    dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect},
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer},
};
use tmp_core::enhancement::DatabaseEngine;

/// A token that is neither white space nor comment.
#[derive(Debug, Clone)]
pub(crate) struct Lexeme<'a> {
    pub(crate) token: Token,
    /// Exactly what stands in the script.
    pub(crate) text: &'a str,
    /// Bytes before it.
    pub(crate) start: usize,
    /// From 1.
    pub(crate) line: u64,
    /// In characters, from 1.
    pub(crate) column: u64,
}

impl Lexeme<'_> {
    /// The first byte behind it.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this word, unquoted, in any case.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.word().is_some_and(|own| own.eq_ignore_ascii_case(word))
    }

    /// The word, where it is an unquoted one.
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.token {
            Token::Word(word) if word.quote_style.is_none() => Some(&word.value),
            _ => None,
        }
    }

    /// What it names if it stands where a name is wanted; SQLite takes strings there too.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.token {
            Token::Word(word) => Some(&word.value),
            Token::SingleQuotedString(text) => Some(text),
            _ => None,
        }
    }
}

/// Where and why no token could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LexError {
    pub(crate) line: u64,
    pub(crate) column: u64,
    pub(crate) message: String,
}

/// Everything up to the end or to the first place that is no token.
pub(crate) fn tokens(engine: DatabaseEngine, text: &str) -> (Vec<Lexeme<'_>>, Option<LexError>) {
    let dialect: &dyn Dialect = match engine {
        DatabaseEngine::Sqlite => &SQLiteDialect {},
        DatabaseEngine::Postgresql => &PostgreSqlDialect {},
        DatabaseEngine::Mysql | DatabaseEngine::Mariadb => &MySqlDialect {},
    };
    let mut found: Vec<TokenWithSpan> = Vec::new();
    let error =
        Tokenizer::new(dialect, text).tokenize_with_location_into_buf(&mut found).err().map(|error| {
            LexError { line: error.location.line, column: error.location.column, message: error.message }
        });
    let mut cursor = Cursor::new(text);
    let lexemes = found
        .into_iter()
        .filter(|found| !matches!(found.token, Token::Whitespace(_) | Token::EOF))
        .map(|found| {
            let start = cursor.advance(found.span.start);
            let end = cursor.advance(found.span.end);
            Lexeme {
                token: found.token,
                text: text.get(start..end).unwrap_or_default(),
                start,
                line: found.span.start.line,
                column: found.span.start.column,
            }
        })
        .collect();
    (lexemes, error)
}

/// Turns lines and columns that only grow into bytes, in one pass.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: u64,
    column: u64,
}

impl<'a> Cursor<'a> {
    const fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1, column: 1 }
    }

    fn advance(&mut self, to: Location) -> usize {
        let rest = self.text.get(self.at..).unwrap_or_default();
        for character in rest.chars() {
            if (self.line, self.column) >= (to.line, to.column) {
                break;
            }
            self.at += character.len_utf8();
            if character == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_a_slice_of_the_script() {
        let text = "sélect 'ü;\n''', \"a\"\"b\" -- c\r\n;\tx'00' /* y */ [z]";
        let (lexemes, error) = tokens(DatabaseEngine::Sqlite, text);
        assert_eq!(error, None);
        let texts: Vec<_> = lexemes.iter().map(|lexeme| lexeme.text).collect();
        assert_eq!(texts, ["sélect", "'ü;\n'''", ",", "\"a\"\"b\"", ";", "x'00'", "[z]"]);
        assert!(lexemes.iter().all(|lexeme| text[lexeme.start..].starts_with(lexeme.text)));
        assert_eq!((lexemes[4].line, lexemes[4].column), (3, 1));
    }

    #[test]
    fn what_is_no_token_is_placed() {
        let (lexemes, error) = tokens(DatabaseEngine::Sqlite, "a;\n 'b");
        assert_eq!(lexemes.len(), 2);
        assert_eq!(error.map(|error| (error.line, error.column)), Some((2, 2)));
    }
}
