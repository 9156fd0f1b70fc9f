//! Compares a value with a JSON Schema as schemars derives it and finds everything that differs.
//!
//! Only what our own types produce is understood (decision 0004); what slips through is refused by
//! serde afterwards. Texts with a grammar of their own are checked by the parser of their type, so
//! the message is the type's.

use serde_json::{Map, Value};

use super::{Spot, TextCheck, field_path::FieldPath, suggestion::closest};
use crate::{
    mistake::{MOST, Rule},
    rules,
};

/// Something that differs from the schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub path: FieldPath,
    pub spot: Spot,
    pub rule: &'static Rule,
    pub message: String,
    pub help: String,
}

pub(super) fn validate(schema: &Value, value: &Value, texts: &[TextCheck]) -> Vec<Finding> {
    let mut validator = Validator { definitions: schema.get("$defs"), texts, findings: Vec::new() };
    validator.check(schema, value, &FieldPath::top());
    validator.findings
}

struct Validator<'a> {
    definitions: Option<&'a Value>,
    texts: &'a [TextCheck],
    findings: Vec<Finding>,
}

impl<'a> Validator<'a> {
    fn find(&mut self, path: &FieldPath, rule: &'static Rule, message: String, help: impl Into<String>) {
        let finding = Finding { path: path.clone(), spot: Spot::Value, rule, message, help: help.into() };
        self.findings.push(finding);
    }

    /// Whether more is wrong than is told: the rest would only take time.
    fn is_full(&self) -> bool {
        self.findings.len() > MOST
    }

    fn check(&mut self, schema: &'a Value, value: &Value, path: &FieldPath) {
        if let Some(name) = reference(schema) {
            if let (Some(text), Value::String(value)) = (self.text_check(name), value) {
                if let Err(message) = (text.check)(value) {
                    self.find(path, &rules::BAD_VALUE, message, text.help);
                }
            } else if let Some(definition) = self.definition(name) {
                self.check(definition, value, path);
            }
            return;
        }
        if let Some(alternatives) = alternatives(schema) {
            return self.check_alternatives(alternatives, value, path);
        }
        if let Some(choices) = choices(schema) {
            return self.check_choice(&choices, value, path);
        }
        let types = types(schema);
        if !types.is_empty() && !types.iter().any(|kind| is_of(kind, value)) {
            return self.wrong_type(&types, value, path);
        }
        match value {
            Value::Object(fields) => self.check_fields(schema, fields, path),
            Value::Array(items) => self.check_items(schema, items, path),
            Value::String(text) => self.check_length(schema, text, path),
            Value::Number(number) => self.check_range(schema, number.as_f64().unwrap_or(f64::NAN), path),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn definition(&self, name: &str) -> Option<&'a Value> {
        self.definitions?.get(name)
    }

    fn text_check(&self, name: &str) -> Option<TextCheck> {
        self.texts.iter().find(|text| text.schema == name).copied()
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        reference(schema).and_then(|name| self.definition(name)).unwrap_or(schema)
    }

    fn wrong_type(&mut self, types: &[&str], value: &Value, path: &FieldPath) {
        let wanted: Vec<_> = types.iter().filter(|kind| **kind != "null").map(|kind| named(kind)).collect();
        let number = matches!(value, Value::Number(_) | Value::Bool(_));
        let help = if types.contains(&"string") && number {
            "write it in quotes, exactly as it is meant: \"0640\", \"1.10\""
        } else if types.contains(&"array") && !value.is_null() {
            "write it as a list: [first, second]"
        } else {
            ""
        };
        let message = format!("{} is wanted here, not {}", wanted.join(" or "), described(value));
        self.find(path, &rules::WRONG_TYPE, message, help);
    }

    fn check_fields(&mut self, schema: &'a Value, fields: &Map<String, Value>, path: &FieldPath) {
        let known = schema.get("properties").and_then(Value::as_object);
        let keyed = schema.get("patternProperties").and_then(Value::as_object);
        let rest = schema.get("additionalProperties");
        for (name, value) in fields {
            if self.is_full() {
                return;
            }
            let place = path.field(name);
            if let Some(field) = known.and_then(|known| known.get(name)) {
                self.check(field, value, &place);
            } else if let Some(entry) = keyed.and_then(|keyed| keyed.values().next()) {
                if let Some(message) = name_fault(name) {
                    self.find(&place, &rules::BAD_VALUE, message, "");
                    self.findings.last_mut().into_iter().for_each(|found| found.spot = Spot::Key);
                }
                self.check(entry, value, &place);
            } else if rest == Some(&Value::Bool(false)) {
                self.unknown_field(name, known, &place);
            } else if let Some(entry) = rest {
                self.check(entry, value, &place);
            }
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let Some(name) = name.as_str() else { continue };
            if !fields.contains_key(name) {
                let about = known.and_then(|known| known.get(name)).and_then(|field| self.description(field));
                let help = about.map_or(String::new(), |about| format!("{name}: {about}"));
                self.find(path, &rules::MISSING_FIELD, format!("{name:?} is missing"), help);
            }
        }
    }

    fn description(&self, field: &'a Value) -> Option<&'a str> {
        let text = field.get("description").or_else(|| self.resolved(field).get("description"))?;
        text.as_str()?.lines().next()
    }

    fn unknown_field(&mut self, name: &str, known: Option<&Map<String, Value>>, place: &FieldPath) {
        let names: Vec<&str> = known.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let help = match closest(name, names.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("the fields here are {}", names.join(", ")),
        };
        let message = format!("{name:?} is not a field here");
        let (path, rule) = (place.clone(), &rules::UNKNOWN_FIELD);
        self.findings.push(Finding { path, spot: Spot::Key, rule, message, help });
    }

    fn check_items(&mut self, schema: &'a Value, items: &[Value], path: &FieldPath) {
        let fewest = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        if (items.len() as u64) < fewest {
            let message = format!("the list has {} item(s), fewer than {fewest}", items.len());
            self.find(path, &rules::BAD_VALUE, message, "");
        }
        if let Some(of_item) = schema.get("items") {
            for (at, item) in items.iter().enumerate() {
                if self.is_full() {
                    return;
                }
                self.check(of_item, item, &path.index(at));
            }
        }
    }

    fn check_length(&mut self, schema: &Value, text: &str, path: &FieldPath) {
        let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
        let length = text.chars().count() as u64;
        if limit("minLength").is_some_and(|least| length < least) {
            self.find(path, &rules::BAD_VALUE, "the text is empty".to_owned(), "");
        }
        if let Some(most) = limit("maxLength").filter(|most| length > *most) {
            self.find(path, &rules::BAD_VALUE, format!("the text is longer than {most} characters"), "");
        }
    }

    fn check_range(&mut self, schema: &Value, number: f64, path: &FieldPath) {
        let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
        let (least, most) = (limit("minimum"), limit("maximum"));
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            let from = least.map(|least| format!(" from {least}")).unwrap_or_default();
            let to = most.map(|most| format!(" to {most}")).unwrap_or_default();
            self.find(path, &rules::BAD_VALUE, format!("{number} is out of range: a number{from}{to}"), "");
        }
    }

    fn check_choice(&mut self, choices: &[&str], value: &Value, path: &FieldPath) {
        let Value::String(text) = value else {
            return self.find(
                path,
                &rules::WRONG_TYPE,
                format!("one of {} is wanted here, not {}", choices.join(", "), described(value)),
                "",
            );
        };
        if choices.contains(&text.as_str()) {
            return;
        }
        if let [only] = choices {
            return self.find(path, &rules::BAD_VALUE, format!("{text:?} is not {only:?}"), "");
        }
        let help = closest(text, choices.iter().copied()).map(|meant| format!("did you mean {meant:?}?"));
        let message = format!("{text:?} is not one of {}", choices.join(", "));
        self.find(path, &rules::BAD_VALUE, message, help.unwrap_or_default());
    }

    /// Passes when one alternative does; otherwise tells what is wrong with the one that was meant.
    fn check_alternatives(&mut self, alternatives: &'a [Value], value: &Value, path: &FieldPath) {
        let attempt = |schema: &'a Value| {
            let (definitions, texts) = (self.definitions, self.texts);
            let mut inner = Validator { definitions, texts, findings: Vec::new() };
            inner.check(schema, value, path);
            inner.findings
        };
        let attempts: Vec<_> = alternatives.iter().map(|schema| (schema, attempt(schema))).collect();
        if attempts.iter().any(|(_, findings)| findings.is_empty()) {
            return;
        }
        let is_null = |schema: &'a Value| types(self.resolved(schema)) == ["null"];
        let typed = |schema: &'a Value| {
            let types = types(self.resolved(schema));
            types.is_empty() || types.iter().any(|kind| is_of(kind, value))
        };
        let shares = |schema: &'a Value| {
            let known = self.resolved(schema).get("properties").and_then(Value::as_object);
            let fields = value.as_object();
            fields
                .zip(known)
                .is_some_and(|(fields, known)| fields.keys().any(|name| known.contains_key(name)))
        };
        let only = |fits: &dyn Fn(&'a Value) -> bool| {
            let mut meant = attempts.iter().filter(|(schema, _)| !is_null(schema) && fits(schema));
            meant.next().filter(|_| meant.next().is_none()).map(|(_, findings)| findings.clone())
        };
        if let Some(findings) = only(&|_| true).or_else(|| only(&typed)).or_else(|| only(&shares)) {
            self.findings.extend(findings);
            return;
        }
        let wanted: Vec<_> = alternatives.iter().map(|schema| self.summary(schema)).collect();
        let wanted: Vec<_> = wanted.into_iter().filter(|text| text != "null").collect();
        let message = format!("{} is wanted here, not {}", wanted.join(" or "), described(value));
        self.find(path, &rules::WRONG_TYPE, message, "");
    }

    fn summary(&self, schema: &'a Value) -> String {
        let schema = self.resolved(schema);
        if let Some(choices) = choices(schema) {
            return choices.join(" or ");
        }
        let required = schema.get("required").and_then(Value::as_array);
        match required.and_then(|names| names.first()?.as_str()) {
            Some(name) => format!("{{{name}: …}}"),
            None => types(schema).iter().map(|kind| named(kind)).collect::<Vec<_>>().join(" or "),
        }
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

/// The alternatives of a union that is more than a list of words.
fn alternatives(schema: &Value) -> Option<&[Value]> {
    let of = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    if choices(schema).is_some() { None } else { Some(of) }
}

/// The words of an enumeration, however the schema writes it.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    if let Some(only) = schema.get("const") {
        return only.as_str().map(|only| vec![only]);
    }
    if let Some(words) = schema.get("enum") {
        return words.as_array()?.iter().map(Value::as_str).collect();
    }
    let words: Vec<_> = schema.get("oneOf")?.as_array()?.iter().map(choices).collect::<Option<_>>()?;
    Some(words.into_iter().flatten().collect())
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        _ => value.is_object(),
    }
}

fn named(kind: &str) -> &str {
    match kind {
        "boolean" => "true or false",
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "array" => "a list",
        "object" => "a map",
        other => other,
    }
}

fn described(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {:?}", text.chars().take(60).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(fields) => match fields.keys().next() {
            Some(name) => format!("a map with {:?}", name.chars().take(60).collect::<String>()),
            None => "an empty map".to_owned(),
        },
    }
}

fn name_fault(name: &str) -> Option<String> {
    let rule =
        "1 to 64 characters, lower-case letters, digits, '-', '_' and '.', beginning with a letter or digit";
    name.parse::<tmp_core::DatabaseName>().is_err().then(|| format!("{name:?} is not a name: {rule}"))
}
