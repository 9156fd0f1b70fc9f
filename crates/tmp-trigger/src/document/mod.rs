//! Loads a YAML document of any type that has a JSON Schema and tells everything that is wrong with
//! it at once, with line and column.
//!
//! The text is read within fixed bounds, compared with the schema that schemars derives from the
//! type, and deserialised. What the schema refuses is taken out and the rest is read all the same, so
//! that the caller can go on to check what it means and report those mistakes in the same go.

mod field_path;
mod marks;
mod prune;
mod suggestion;
mod validator;
mod yaml;

use std::cell::OnceCell;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use self::yaml::write;
pub use self::{field_path::FieldPath, yaml::LONGEST};
use self::{
    marks::{Marks, Spot},
    prune::{Pruned, Wrong},
    yaml::Place,
};
use crate::{
    mistake::{Mistake, Mistakes, Rule},
    rules,
};

/// Checks the texts of one schema definition by the parser of their type.
#[derive(Debug, Clone, Copy)]
pub struct TextCheck {
    /// The name of the definition: the type's `schema_name`.
    pub schema: &'static str,
    /// What is wrong with a text, if anything is.
    pub check: fn(&str) -> Result<(), String>,
    /// How to mend it.
    pub help: &'static str,
}

/// What has been read of a document. It is worth nothing until [`Document::finish`] says it has no
/// mistakes.
#[derive(Debug)]
#[must_use = "finish tells whether the document has mistakes"]
pub struct Document<T> {
    /// What it says. Where there are mistakes, without the parts that have them; `None` when too
    /// little remains.
    pub value: Option<T>,
    places: Places,
    mistakes: Vec<Mistake>,
    lost: Vec<String>,
}

impl<T: DeserializeOwned + JsonSchema> Document<T> {
    /// Reads the document `bytes`, which the mistakes call `file`.
    ///
    /// `texts` are the types whose texts have a grammar of their own. `stand_in` has every field that
    /// the type requires: where one of those is missing or wrong, its value is taken for the rest of
    /// the checks.
    pub fn read(file: &str, bytes: &[u8], texts: &[TextCheck], stand_in: &Value) -> Self {
        let mut document =
            Self { value: None, places: Places::of(file, ""), mistakes: Vec::new(), lost: Vec::new() };
        let text = match within_bounds(file, bytes) {
            Ok(text) => text,
            Err(mistake) => {
                document.mistakes.push(*mistake);
                return document;
            }
        };
        document.places = Places::of(file, text);
        match yaml::read(text) {
            Ok((value, faults)) => {
                document.mistakes.extend(faults.into_iter().map(|fault| document.places.of_fault(fault)));
                document.interpret(value, texts, stand_in);
            }
            Err(fault) => document.mistakes.push(document.places.of_fault(fault)),
        }
        document
    }

    fn interpret(&mut self, value: Value, texts: &[TextCheck], stand_in: &Value) {
        let schema = schema_of::<T>();
        let findings = validator::validate(&schema, &value, texts);
        for found in findings.clone() {
            let mistake = self.places.at(found.rule, &found.path, found.spot, found.message, found.help);
            self.mistakes.push(mistake);
        }
        let wrong = findings.into_iter().map(|found| (found.path, how_wrong(found.rule)));
        let Pruned { value, kept, lost } = prune::prune(value, wrong.collect(), stand_in);
        match serde_json::from_value(value) {
            Ok(value) => self.value = Some(value),
            Err(error) if self.mistakes.is_empty() => {
                self.mistakes.push(self.mistake(&rules::BAD_VALUE, &FieldPath::top(), error.to_string(), ""));
            }
            Err(_) => {}
        }
        self.places.kept = kept;
        self.lost = lost;
    }
}

impl<T> Document<T> {
    /// A mistake of the value at `path`, as [`Document::value`] has it.
    pub fn mistake(
        &self,
        rule: &'static Rule,
        path: &FieldPath,
        message: String,
        help: impl Into<String>,
    ) -> Mistake {
        self.places.at(rule, &self.places.kept.original(path), Spot::Value, message, help.into())
    }

    /// Whether a field of the top was left out of [`Document::value`] because of mistakes in it: what
    /// refers to it cannot be judged then.
    pub fn lost(&self, field: &str) -> bool {
        self.lost.iter().any(|lost| lost == field)
    }

    /// The value, if neither reading nor `more`, the caller's own checks, found anything wrong.
    ///
    /// # Errors
    /// Every mistake of both.
    pub fn finish(self, more: Vec<Mistake>) -> Result<T, Mistakes> {
        let mut mistakes = self.mistakes;
        mistakes.extend(more);
        match self.value {
            Some(value) if mistakes.is_empty() => Ok(value),
            _ => Err(Mistakes::new(mistakes)),
        }
    }
}

/// The JSON Schema of a type.
pub fn schema_of<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

fn how_wrong(rule: &Rule) -> Wrong {
    if rule == &rules::UNKNOWN_FIELD {
        Wrong::Unknown
    } else if rule == &rules::MISSING_FIELD {
        Wrong::Incomplete
    } else {
        Wrong::Bad
    }
}

fn within_bounds<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Box<Mistake>> {
    if bytes.len() > LONGEST {
        let message = format!("the document is longer than {LONGEST} bytes");
        return Err(Box::new(Mistake::of_file(&rules::TOO_LARGE, file, message, "write less into it")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count() as u64;
        let mistake =
            Mistake::of_file(&rules::YAML, file, "the text is not UTF-8".to_owned(), "save it as UTF-8");
        Box::new(Mistake { line, ..mistake })
    })?;
    if yaml::may_nest_too_deep(text) {
        let message = "it has too many brackets, or far too many that are not closed".to_owned();
        let help = "close every bracket, and leave out lists in lists";
        return Err(Box::new(Mistake::of_file(&rules::TOO_LARGE, file, message, help)));
    }
    Ok(text)
}

#[derive(Debug)]
struct Places {
    file: String,
    text: String,
    marks: OnceCell<Marks>,
    kept: prune::Kept,
}

impl Places {
    fn of(file: &str, text: &str) -> Self {
        let (file, text) = (file.to_owned(), text.to_owned());
        Self { file, text, marks: OnceCell::new(), kept: prune::Kept::default() }
    }

    fn at(
        &self,
        rule: &'static Rule,
        path: &FieldPath,
        spot: Spot,
        message: String,
        help: String,
    ) -> Mistake {
        let (line, column) = self.marks.get_or_init(|| Marks::of(&self.text)).find(path, spot);
        let file = self.file.clone();
        Mistake { file, line, column, rule: rule.id, path: path.to_string(), message, help }
    }

    fn of_fault(&self, fault: yaml::Fault) -> Mistake {
        match fault.place {
            Place::Field(path) => self.at(fault.rule, &path, Spot::Key, fault.message, fault.help.to_owned()),
            Place::Position(line, column) => {
                let mistake = Mistake::of_file(fault.rule, &self.file, fault.message, fault.help);
                Mistake { line, column, ..mistake }
            }
        }
    }
}

#[cfg(test)]
mod tests;
