//! A real case: two releases of a real package and a database that nobody here made.
//!
//! The sources of Ansible come from the Python Package Index, because they hold symlinks and hard links
//! and change thousands of files from one feature release to the next; the database is the one of
//! coordinate systems inside pyproj, with tables, views and triggers.

mod inputs;
mod page;
mod scene;

use std::{collections::BTreeSet, path::Path};

use tmp_testkit::walk::{self, Content, TreeFingerprint};

use self::scene::{Scene, Story};
use crate::{Done, arguments::Arguments, shell};

/// What differs between the two releases, by count.
#[derive(Debug, Default, PartialEq, Eq)]
struct Differences {
    added: usize,
    removed: usize,
    changed: usize,
    symlinks: usize,
}

/// What came of one story.
struct Told {
    story: Story,
    code: i32,
    seconds: f64,
    /// What is not as it must be; empty when all is well.
    wrong: Vec<String>,
}

/// Downloads what is missing, runs the three stories and writes docs/cases.md.
pub(crate) fn run(words: &[String]) -> Done {
    Arguments::new(words, &[], &[])?;
    let folder = shell::workspace().join("target/cases");
    let inputs = inputs::inputs(&folder)?;
    let differences = compare(&inputs.old, &inputs.new)?;
    println!("from {} to {}: {differences:?}", inputs::OLD, inputs::NEW);
    if differences.added + differences.removed + differences.changed <= 500 || differences.symlinks == 0 {
        return Err("the two releases do not differ enough for a case".into());
    }
    let tmp = shell::build_tmp()?;
    let scratch = tempfile::tempdir_in(&folder)?;
    let mut told = Vec::new();
    for story in [Story::Forward, Story::BeforeCommit, Story::AfterCommit] {
        let outcome = Scene::build(&tmp, &inputs, &scratch.path().join(story.id()), story)?.tell()?;
        println!(
            "{}: exit {}, {:.1} s, {} complaints",
            story.id(),
            outcome.code,
            outcome.seconds,
            outcome.wrong.len()
        );
        outcome.wrong.iter().take(20).for_each(|line| println!("  {line}"));
        told.push(outcome);
    }
    std::fs::write(shell::workspace().join("docs/cases.md"), page::page(&differences, &told))?;
    if told.iter().all(|told| told.wrong.is_empty()) { Ok(()) } else { Err("a case went wrong".into()) }
}

fn compare(old: &Path, new: &Path) -> Done<Differences> {
    Ok(count(&walk::fingerprint(old)?, &walk::fingerprint(new)?))
}

/// Counts what an enhancement from one tree to the other changes: content, type and whether a file may be run.
/// Times and links between files are no part of it.
fn count(old: &TreeFingerprint, new: &TreeFingerprint) -> Differences {
    let mut found = Differences::default();
    let paths: BTreeSet<_> = old.entries.keys().chain(new.entries.keys()).collect();
    for path in paths {
        let (before, after) = (old.entries.get(path), new.entries.get(path));
        match (before, after) {
            (None, Some(_)) => found.added += 1,
            (Some(_), None) => found.removed += 1,
            (Some(before), Some(after)) if scene::essence(before) != scene::essence(after) => {
                found.changed += 1;
            }
            _ => continue,
        }
        let is_link = |entry: Option<&walk::Entry>| {
            entry.is_some_and(|entry| matches!(entry.content, Content::Symlink(_)))
        };
        found.symlinks += usize::from(is_link(before) || is_link(after));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        for (root, text) in [(&old, "1"), (&new, "2")] {
            std::fs::create_dir(root).unwrap();
            std::fs::write(root.join("changed"), text).unwrap();
            std::fs::write(root.join("same"), "same").unwrap();
        }
        std::fs::write(old.join("gone"), "").unwrap();
        std::os::unix::fs::symlink("same", new.join("link")).unwrap();
        let found = compare(&old, &new).unwrap();
        assert_eq!(found, Differences { added: 1, removed: 1, changed: 1, symlinks: 1 });
    }
}
