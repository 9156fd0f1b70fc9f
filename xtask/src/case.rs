//! Real cases: consecutive releases of real projects, migrated, made to fail, taken back and reversed.
//!
//! Each project is taken by name from a package registry. What must be true after each story is judged by
//! the testkit's walker and database dump alone.

mod page;
mod project;
mod scene;
mod sql;

use std::{collections::BTreeSet, path::Path};

use tmp_testkit::walk::{self, Content, TreeFingerprint};

use self::{
    project::{PROJECTS, Project},
    scene::{Scene, Story},
};
use crate::{Done, arguments::Arguments, shell};

/// What differs between two releases, by count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Differences {
    added: usize,
    removed: usize,
    changed: usize,
    /// Symlinks that appear, disappear, point elsewhere, or become or were something else.
    symlinks: usize,
    /// Of the changed ones, those that change their type.
    retyped: usize,
}

/// What came of one story.
struct Told {
    story: Story,
    /// What was done, and where it failed.
    what: String,
    code: i32,
    seconds: f64,
    /// What is not as it must be; empty when all is well.
    wrong: Vec<String>,
}

/// What came of one project.
struct Case {
    project: &'static Project,
    differences: Differences,
    scripts: usize,
    told: Vec<Told>,
}

/// Downloads what is missing, runs every project's stories and writes docs/cases.md.
pub(crate) fn run(words: &[String]) -> Done {
    let flags = Arguments::new(words, &[], &["--seed"])?;
    let seed = flags.number("--seed").unwrap_or(1);
    let folder = shell::workspace().join("target/cases");
    let tmp = shell::build_tmp()?;
    let mut cases = Vec::new();
    for (number, project) in PROJECTS.iter().enumerate() {
        cases.push(case(project, &tmp, &folder, seed + number as u64)?);
    }
    std::fs::write(shell::workspace().join("docs/cases.md"), page::page(&cases, seed))?;
    let complaints: usize = cases.iter().flat_map(|case| &case.told).map(|told| told.wrong.len()).sum();
    if complaints == 0 { Ok(()) } else { Err(format!("{complaints} complaints").into()) }
}

fn case(project: &'static Project, tmp: &Path, folder: &Path, seed: u64) -> Done<Case> {
    let inputs = project.inputs(folder)?;
    let differences = count(&walk::fingerprint(&inputs.old)?, &walk::fingerprint(&inputs.new)?);
    println!("{} {} -> {}: {differences:?}", project.name, project.old, project.new);
    let scratch = tempfile::tempdir_in(folder)?;
    let scene = Scene::build(tmp, &inputs, scratch.path())?;
    let mut told = Vec::new();
    for story in scene.stories() {
        let one = scene.tell(story, seed)?;
        println!("  {}: exit {}, {:.1} s, {} complaints", one.what, one.code, one.seconds, one.wrong.len());
        one.wrong.iter().take(20).for_each(|line| println!("    {line}"));
        told.push(one);
    }
    Ok(Case { project, differences, scripts: inputs.scripts.len(), told })
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
                found.retyped += usize::from(scene::essence(before).0 != scene::essence(after).0);
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
        std::fs::write(old.join("retyped"), "").unwrap();
        std::os::unix::fs::symlink("same", new.join("retyped")).unwrap();
        std::os::unix::fs::symlink("same", new.join("link")).unwrap();
        let found = count(&walk::fingerprint(&old).unwrap(), &walk::fingerprint(&new).unwrap());
        assert_eq!(found, Differences { added: 1, removed: 1, changed: 2, symlinks: 2, retyped: 1 });
    }
}
