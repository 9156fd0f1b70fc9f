//! YAML text to and from values: the one place that names the YAML library.
//!
//! Reading is bounded whatever the text holds: nodes and bytes are counted while aliases are
//! expanded, so a document that multiplies itself is refused while it is still small.

use std::cell::RefCell;

use serde::{
    Serialize,
    de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use super::field_path::FieldPath;
use crate::{
    mistake::{MOST, Rule},
    rules,
};

/// The longest document, in bytes.
pub const LONGEST: usize = 1 << 20;

const NODES: usize = 200_000;
const BYTES: usize = 8 << 20;
const DEPTH: usize = 32;
const UNCLOSED: usize = 1000;
const BRACKETS: usize = 50_000;

const SPELLING: &str =
    "what stands there or just before it is not YAML: look at indentation, quotes, brackets";

/// What is wrong with a text as YAML.
#[derive(Debug)]
pub(super) struct Fault {
    pub rule: &'static Rule,
    pub message: String,
    pub help: &'static str,
    pub place: Place,
}

#[derive(Debug)]
pub(super) enum Place {
    /// Line and column, from 1; 0 where unknown.
    Position(u64, u64),
    /// The last of several fields of one name.
    Field(FieldPath),
}

/// The value of a document, with the faults that leave one; or the fault that leaves none.
pub(super) fn read(text: &str) -> Result<(Value, Vec<Fault>), Fault> {
    let state = RefCell::new(State::default());
    let node = Node { state: &state, path: FieldPath::top(), depth: 0 };
    match node.deserialize(serde_yaml::Deserializer::from_str(text)) {
        Ok(value) => Ok((value, state.into_inner().faults)),
        Err(error) => {
            let (line, column) = error.location().map_or((0, 0), |at| (at.line() as u64, at.column() as u64));
            let place = Place::Position(line, column);
            Err(match state.into_inner().fatal {
                Some((rule, message, help)) => Fault { rule, message, help, place },
                None => {
                    Fault { rule: &rules::YAML, message: plain(&error.to_string()), help: SPELLING, place }
                }
            })
        }
    }
}

/// Whether a text has so many brackets, or so many that are not closed, that reading it would take long:
/// the library's time grows with the square of the depth. Brackets in texts and comments count too, which
/// is why so many are let pass.
pub(super) fn may_nest_too_deep(text: &str) -> bool {
    let (mut depth, mut opened) = (0_usize, 0_usize);
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => (depth, opened) = (depth + 1, opened + 1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > UNCLOSED || opened > BRACKETS
    })
}

/// `value` as YAML text.
pub(crate) fn write<T: Serialize>(value: &T) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|error| error.to_string())
}

/// The library's message without the position, which is reported on its own.
fn plain(message: &str) -> String {
    if message.contains("more than one document") {
        return "the text holds more than one document".to_owned();
    }
    message.split(" at line ").next().unwrap_or(message).to_owned()
}

#[derive(Default)]
struct State {
    nodes: usize,
    bytes: usize,
    faults: Vec<Fault>,
    fatal: Option<(&'static Rule, String, &'static str)>,
}

struct Node<'a> {
    state: &'a RefCell<State>,
    path: FieldPath,
    depth: usize,
}

impl Node<'_> {
    fn refuse<E: de::Error>(&self, rule: &'static Rule, message: String, help: &'static str) -> E {
        self.state.borrow_mut().fatal = Some((rule, message, help));
        E::custom("refused")
    }

    fn count<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        let (nodes, total) = {
            let mut state = self.state.borrow_mut();
            state.nodes += 1;
            state.bytes += bytes;
            (state.nodes, state.bytes)
        };
        if nodes > NODES || total > BYTES {
            let message = format!("the document holds more than {NODES} values or {BYTES} bytes of text");
            return Err(self.refuse(&rules::TOO_LARGE, message, "aliases count as often as they are used"));
        }
        Ok(())
    }

    fn child(&self, path: FieldPath) -> Self {
        Node { state: self.state, path, depth: self.depth + 1 }
    }

    fn descend<E: de::Error>(&self) -> Result<(), E> {
        self.count(0)?;
        if self.depth >= DEPTH {
            let message = format!("lists and maps are nested more than {DEPTH} deep");
            return Err(self.refuse(&rules::TOO_LARGE, message, "leave out lists in lists and aliases"));
        }
        Ok(())
    }

    fn too_big<E: de::Error>(&self, number: &dyn std::fmt::Display) -> E {
        let message = format!("{number} is not a number that can be kept exactly");
        self.refuse(&rules::WRONG_TYPE, message, "write it in quotes where text is meant")
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.count(0).map(|()| Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.count(0).map(|()| Value::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.count(0).map(|()| Value::from(value))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        Err(self.too_big(&value))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        Err(self.too_big(&value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.count(0)?;
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.too_big(&value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.count(value.len()).map(|()| Value::String(value.to_owned()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.count(0).map(|()| Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.descend()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.child(self.path.index(list.len())))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.descend()?;
        let mut map = Map::new();
        while let Some(key) = fields.next_key_seed(self.child(self.path.clone()))? {
            let Value::String(name) = key else {
                let message = format!("the key {key} is not text");
                return Err(self.refuse(&rules::WRONG_TYPE, message, "write the key in quotes"));
            };
            let path = self.path.field(&name);
            let value = fields.next_value_seed(self.child(path.clone()))?;
            if map.contains_key(&name) && self.state.borrow().faults.len() <= MOST {
                self.state.borrow_mut().faults.push(Fault {
                    rule: &rules::DUPLICATE_FIELD,
                    message: format!("{name:?} is given twice"),
                    help: "keep one of them",
                    place: Place::Field(path),
                });
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(self.refuse(&rules::YAML, "a tag (\"!…\") means nothing here".to_owned(), "leave the tag out"))
    }
}
