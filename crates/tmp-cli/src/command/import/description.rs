//! The `enhancement.yaml` of an imported enhancement.

use tmp_core::{EnhancementId, SystemName, module::Expected};

use super::{
    modules::{Module, What},
    scaffold::FILES,
};
use crate::git::Commit;

/// What it says besides the modules.
#[derive(Debug)]
pub(super) struct Description<'a> {
    pub(super) id: &'a EnhancementId,
    pub(super) system: &'a SystemName,
    pub(super) repository: &'a str,
    pub(super) old: &'a Commit,
    pub(super) new: &'a Commit,
}

impl Description<'_> {
    /// The text, with these entries as its modules.
    pub(super) fn text(&self, entries: &[String]) -> String {
        let title = format!("{} from {} to {}", self.repository, self.old.label, self.new.label);
        let title: String = title.chars().filter(|c| !c.is_control()).take(200).collect();
        let tag = self.new.tag.as_ref().map_or(String::new(), |tag| format!(", tag: {}", scalar(tag)));
        format!(
            "# What turns commit {} into {}.\n\
             # Every field: `tmp schema enhancement`.\n\
             schema: tmp/enhancement/v1\nid: {}\nrevision: 1\ntitle: {}\nsystem: {}\n\
             label: {{repository: {}{tag}, commit: {}, state: clean}}\nmodules:\n{}",
            self.old.id,
            self.new.id,
            scalar(self.id.as_str()),
            scalar(&title),
            scalar(self.system.as_str()),
            scalar(self.repository),
            scalar(&self.new.id),
            entries.concat(),
        )
    }
}

/// The entry of a module.
pub(super) fn entry(module: &Module, replaces: Expected) -> String {
    let slash = if matches!(module.what, What::Tree) { "/" } else { "" };
    let path = scalar(&format!("{}{slash}", module.path));
    let replaces = match replaces {
        Expected::Absent => "nothing".to_owned(),
        Expected::Directory => "directory".to_owned(),
        Expected::File { digest } => digest.to_string(),
        Expected::Symlink { target } => format!("{{symlink: {}}}", scalar(&target)),
    };
    if matches!(module.what, What::Remove) {
        return format!("  - {{remove: {path}, replaces: {replaces}}}\n");
    }
    let from = scalar(&format!("{FILES}/{}{slash}", module.source));
    format!("  - {{put: {path}, from: {from}, replaces: {replaces}}}\n")
}

/// A text as a scalar of YAML that every reader takes for that very text: plain where nobody could read
/// anything else, otherwise in double quotes with all but plain characters escaped.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    if text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.contains(['/', '.'])
        && text.chars().all(plain)
    {
        return text.to_owned();
    }
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ if c.is_alphanumeric() => quoted.push(c),
            _ => push!(quoted, "\\U{:08x}", u32::from(c)),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::scalar;

    #[test]
    fn texts_stay_texts() {
        for (text, written) in [
            ("lib/a.py", "lib/a.py"),
            ("yes", "\"yes\""),
            ("1.10", "\"1.10\""),
            ("a: b/c", "\"a: b/c\""),
            ("über/\"x\"", "\"über/\\\"x\\\"\""),
            ("a\u{2028}b", "\"a\\U00002028b\""),
        ] {
            assert_eq!(scalar(text), written);
        }
    }
}
