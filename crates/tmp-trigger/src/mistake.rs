//! One thing that is wrong in a file that a person wrote, and how it is told.

use std::fmt;

/// A rule that input can break: what `tmp explain` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Stable identifier, such as `unknown-field`.
    pub id: &'static str,
    /// One line.
    pub title: &'static str,
    /// Why the rule is there and how to keep it.
    pub explanation: &'static str,
}

/// One thing that is wrong, where, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Mistake {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: u64,
    /// The column in characters, from 1; 0 where the line as a whole is meant.
    pub column: u64,
    /// The identifier of the broken [`Rule`].
    pub rule: &'static str,
    /// Where in the document, such as `modules[0].mode`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl Mistake {
    /// A mistake that concerns a file as a whole.
    pub fn of_file(rule: &'static Rule, file: &str, message: String, help: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            rule: rule.id,
            path: String::new(),
            message,
            help: help.into(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file)?,
            (line, 0) => write!(f, "{}:{line}", self.file)?,
            (line, column) => write!(f, "{}:{line}:{column}", self.file)?,
        }
        write!(f, ": {}: ", self.rule)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "\n    help: {}", self.help) }
    }
}

/// How many mistakes are told at once: nobody reads more, and finding and showing each takes time.
pub(crate) const MOST: usize = 100;

/// Everything that is wrong, in the order of the files and of the lines in them; the first hundred where
/// there is more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    first: Vec<Mistake>,
    more: bool,
}

impl Mistakes {
    /// Sorts `mistakes` and drops those that say the same of the same place, and those after the hundredth.
    pub fn new(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort();
        mistakes.dedup();
        let more = mistakes.len() > MOST;
        mistakes.truncate(MOST);
        Self { first: mistakes, more }
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Mistake> {
        self.first.iter()
    }

    /// Whether there are more than these.
    pub const fn has_more(&self) -> bool {
        self.more
    }
}

impl<'a> IntoIterator for &'a Mistakes {
    type Item = &'a Mistake;
    type IntoIter = std::slice::Iter<'a, Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        if self.more { f.write_str("\nand more") } else { Ok(()) }
    }
}

impl std::error::Error for Mistakes {}
