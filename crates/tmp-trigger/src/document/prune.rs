//! Takes what is wrong out of a value, so that the rest can be checked further.

use std::collections::BTreeMap;

use serde_json::Value;

use super::field_path::{FieldPath, Segment};

/// A value without its wrong parts.
pub(super) struct Pruned {
    pub value: Value,
    pub kept: Kept,
    /// The fields of the top that were taken out.
    pub lost: Vec<String>,
}

/// Which items of each list are left, so that paths can be told as the author knows them.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<FieldPath, Vec<usize>>);

impl Kept {
    /// The path in the document of what is now at `path`.
    pub(super) fn original(&self, path: &FieldPath) -> FieldPath {
        path.segments().iter().fold(FieldPath::top(), |so_far, segment| match segment {
            Segment::Field(name) => so_far.field(name),
            Segment::Index(at) => {
                let original = self.0.get(&so_far).and_then(|kept| kept.get(*at)).copied();
                so_far.index(original.unwrap_or(*at))
            }
        })
    }
}

/// In what way a part is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It should not be there.
    Unknown,
    /// Something it should hold is missing.
    Incomplete,
    /// It is not what it should be.
    Bad,
}

/// Takes out each of `wrong`. A field nobody knows goes alone, a bad one where the top holds it;
/// otherwise the innermost list item around it goes. What is then missing at the top comes from
/// `stand_in`.
pub(super) fn prune(mut value: Value, wrong: Vec<(FieldPath, Wrong)>, stand_in: &Value) -> Pruned {
    let mut kept = Kept::default();
    let mut victims: Vec<FieldPath> = wrong
        .into_iter()
        .filter(|(path, _)| !path.segments().is_empty())
        .map(|(path, how)| if how == Wrong::Unknown { path } else { victim(&path) })
        .collect();
    victims.sort();
    victims.dedup();
    let inner = |path: &FieldPath| victims.iter().any(|other| other != path && other.holds(path));
    let outer: Vec<_> = victims.iter().filter(|path| !inner(path)).cloned().collect();
    // From the last to the first, so that indices before a removed item stay true.
    for path in outer.iter().rev() {
        let Some((holder, last)) = path.split_last() else { continue };
        match (lookup(&mut value, &holder), last) {
            (Some(Value::Object(fields)), Segment::Field(name)) => drop(fields.remove(name)),
            (Some(Value::Array(items)), Segment::Index(at)) if *at < items.len() => {
                let kept = kept.0.entry(holder).or_insert_with(|| (0..items.len()).collect());
                items.remove(*at);
                kept.remove(*at);
            }
            _ => {}
        }
    }
    let lost = outer.iter().filter(|path| path.segments().len() == 1).map(ToString::to_string).collect();
    if let (Value::Object(fields), Value::Object(stand_in)) = (&mut value, stand_in) {
        for (name, value) in stand_in {
            fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    Pruned { value, kept, lost }
}

/// What is taken out for the sake of a wrong value at `path`.
fn victim(path: &FieldPath) -> FieldPath {
    let last_index = path.segments().iter().rposition(|segment| matches!(segment, Segment::Index(_)));
    let length = last_index.map_or(1, |at| at + 1);
    path.segments().iter().take(length).fold(FieldPath::top(), |so_far, segment| match segment {
        Segment::Field(name) => so_far.field(name),
        Segment::Index(at) => so_far.index(*at),
    })
}

fn lookup<'a>(value: &'a mut Value, path: &FieldPath) -> Option<&'a mut Value> {
    path.segments().iter().try_fold(value, |value, segment| match segment {
        Segment::Field(name) => value.get_mut(name),
        Segment::Index(at) => value.get_mut(*at),
    })
}
