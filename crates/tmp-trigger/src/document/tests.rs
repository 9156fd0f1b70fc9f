use serde::Deserialize;
use serde_json::json;

use super::*;

/// A document of another crate: unions by tag, maps by name.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The sites.
    #[serde(default)]
    sites: std::collections::BTreeMap<tmp_core::SiteName, Site>,
    #[serde(default)]
    names: Vec<tmp_core::SystemName>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Site {
    database: Target,
    #[serde(default)]
    load: Option<f64>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Target {
    Sqlite(String),
    Postgres { url_env: String },
}

fn read(text: &str) -> Document<Settings> {
    Document::read("tmp.yaml", text.as_bytes(), crate::source::TEXTS, &json!({}))
}

#[test]
fn any_type_with_a_schema_can_be_read() {
    let text =
        "sites:\n  hq: {database: {sqlite: a.db}, load: 0.5}\n  east: {database: {postgres: {url_env: X}}}\n";
    let settings = read(text).finish(Vec::new()).unwrap();
    assert_eq!(settings.sites.len(), 2);
    let text = "sites:\n  HQ: {database: {sqlite: 1}}\n  east: {database: {postgre: {}}, loda: 3}\n  west: {database: x.db}\n";
    insta::assert_snapshot!("unions_and_maps", read(text).finish(Vec::new()).unwrap_err());
}

#[test]
fn what_is_left_is_checked_with_the_places_of_the_original() {
    let document = read("names:\n  - a\n  - B\n  - c\n  - d: e\n  - f\n");
    let names = document.value.as_ref().unwrap().names.iter().map(ToString::to_string);
    assert_eq!(names.collect::<Vec<_>>(), ["a", "c", "f"]);
    let place = FieldPath::top().field("names").index(2);
    let own = document.mistake(&rules::BAD_VALUE, &place, "own".to_owned(), "");
    assert_eq!((own.line, own.column, own.path.as_str()), (6, 5, "names[4]"));
    assert!(!document.lost("names"));
    let all = document.finish(vec![own]).unwrap_err();
    assert_eq!(all.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [3, 5, 6]);
}

#[test]
fn what_was_taken_out_is_known() {
    let document = read("sites: 3\nnames: [a]\n");
    assert!(document.lost("sites") && !document.lost("names"));
    assert_eq!(document.value.as_ref().map(|settings| settings.names.len()), Some(1));
    assert!(document.finish(Vec::new()).is_err());
}

/// The validator knows every keyword that our types produce.
#[test]
fn every_keyword_of_our_schemas_is_understood() {
    fn keywords(schema: &Value, found: &mut std::collections::BTreeSet<String>) {
        match schema {
            Value::Object(fields) => {
                for (name, value) in fields {
                    found.insert(name.clone());
                    match name.as_str() {
                        "properties" | "$defs" | "patternProperties" => {
                            value.as_object().unwrap().values().for_each(|value| keywords(value, found));
                        }
                        "default" | "enum" | "const" | "required" => {}
                        _ => keywords(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| keywords(item, found)),
            _ => {}
        }
    }
    let mut found = std::collections::BTreeSet::new();
    for name in crate::SCHEMAS {
        keywords(&crate::schema(name).unwrap(), &mut found);
    }
    let checked = [
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "enum",
        "items",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "oneOf",
        "patternProperties",
        "properties",
        "required",
        "type",
    ];
    // `pattern` is checked by the parser of the type, `format` is what `type` and the range say already.
    let without_meaning = ["$schema", "default", "description", "format", "pattern", "title"];
    found.retain(|name| !checked.contains(&name.as_str()) && !without_meaning.contains(&name.as_str()));
    assert_eq!(found, std::collections::BTreeSet::new());
}

#[test]
fn every_text_with_a_pattern_has_its_parser() {
    for name in crate::SCHEMAS {
        let schema = crate::schema(name).unwrap();
        for (name, definition) in schema["$defs"].as_object().unwrap() {
            let known = crate::source::TEXTS.iter().any(|text| text.schema == name);
            assert!(known || definition.get("pattern").is_none(), "{name}");
        }
    }
}
