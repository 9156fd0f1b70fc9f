//! What a roll-back did wrong, told from what the database was before, after, and after the way back.

use std::collections::BTreeMap;

use tmp_core::database::Fingerprint;

use super::proof::{Class, Finding, How, ObjectDifference, TableDifference};

/// The database in the three states of a rehearsal.
pub(super) struct States<'a> {
    /// Before the change.
    pub(super) before: &'a Fingerprint,
    /// After the change.
    pub(super) up: &'a Fingerprint,
    /// After the way back.
    pub(super) down: &'a Fingerprint,
}

impl States<'_> {
    /// What is wrong with the way back; `None` where it led back exactly.
    pub(super) fn finding(&self) -> Option<Finding> {
        let finding = compared(Class::RestoresSomethingElse, self.before, self.down)?;
        if self.down == self.up {
            let message = "the roll-back changes nothing, and the change changed something";
            return Some(Finding { class: Class::RollBackEmpty, message: message.into(), ..finding });
        }
        let (class, message) = if finding.objects.is_empty() {
            (Class::RestoresSchemaNotData, "the roll-back restores the schema and not the rows")
        } else {
            (Class::RestoresSomethingElse, "the roll-back leads to another schema than before")
        };
        Some(Finding { class, message: message.into(), ..finding })
    }
}

/// What differs from what is expected, under a class; `None` where nothing does.
pub(super) fn compared(class: Class, expected: &Fingerprint, found: &Fingerprint) -> Option<Finding> {
    let differences = expected.differences(found);
    if differences.is_empty() {
        return None;
    }
    let how = |name: &String| match (expected.schema.contains_key(name), found.schema.contains_key(name)) {
        (true, false) => How::Missing,
        (false, true) => How::LeftOver,
        _ => How::Different,
    };
    let objects =
        differences.schema.iter().map(|name| ObjectDifference { name: name.clone(), how: how(name) });
    let rows = |side: &Fingerprint, name: &str| side.data.get(name).map(|table| table.rows);
    let tables = differences.data.iter().map(|name| TableDifference {
        name: name.clone(),
        rows_expected: rows(expected, name),
        rows_found: rows(found, name),
    });
    let (objects, tables) = (objects.collect(), tables.collect());
    Some(Finding { objects, tables, ..Finding::new(class, differences.to_string()) })
}

/// A fingerprint without the rows of some tables.
pub(super) fn without(fingerprint: &Fingerprint, tables: &[String]) -> Fingerprint {
    let kept = fingerprint.data.iter().filter(|(name, _)| !tables.contains(name));
    let data: BTreeMap<_, _> = kept.map(|(name, table)| (name.clone(), *table)).collect();
    Fingerprint { schema: fingerprint.schema.clone(), data }
}

#[cfg(test)]
mod tests {
    use tmp_core::{Digest, database::TableFingerprint};

    use super::*;

    fn state(schema: &[(&str, &str)], data: &[(&str, u64)]) -> Fingerprint {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let table = |rows: u64| TableFingerprint { rows, digest: digest(&rows.to_string()) };
        Fingerprint {
            schema: schema.iter().map(|(name, text)| ((*name).to_owned(), digest(text))).collect(),
            data: data.iter().map(|(name, rows)| ((*name).to_owned(), table(*rows))).collect(),
        }
    }

    #[test]
    fn every_class_that_three_states_tell() {
        let before = state(&[("table a", "1"), ("index i", "1")], &[("a", 3)]);
        let up = state(&[("table a", "2")], &[("a", 3)]);
        let class = |down: &Fingerprint| States { before: &before, up: &up, down }.finding();
        assert_eq!(class(&before), None);
        assert_eq!(class(&up).unwrap().class, Class::RollBackEmpty);
        let rows = class(&state(&[("table a", "1"), ("index i", "1")], &[("a", 2)])).unwrap();
        assert_eq!(rows.class, Class::RestoresSchemaNotData);
        let table = TableDifference { name: "a".into(), rows_expected: Some(3), rows_found: Some(2) };
        assert_eq!(rows.tables, [table]);
        let other = class(&state(&[("table a", "3"), ("view v", "1")], &[("a", 3)])).unwrap();
        assert_eq!(other.class, Class::RestoresSomethingElse);
        let how: Vec<_> = other.objects.iter().map(|object| (object.name.as_str(), object.how)).collect();
        assert_eq!(how, [("index i", How::Missing), ("table a", How::Different), ("view v", How::LeftOver)]);
    }

    #[test]
    fn a_change_that_changes_nothing_needs_no_roll_back() {
        let same = state(&[("table a", "1")], &[("a", 3)]);
        assert_eq!(States { before: &same, up: &same, down: &same }.finding(), None);
    }
}
