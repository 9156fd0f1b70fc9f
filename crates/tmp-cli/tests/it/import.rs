//! What differs between two commits, imported, packaged and run.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::Path,
};

use proptest::prelude::*;
use tmp_testkit::{
    trees::{self, TreeModel},
    walk::{Content, fingerprint},
};

use crate::{
    git::{commit, git, git_command},
    support::{Place, settings},
};

const CONFIGURATION: &str = "schema: tmp/v1
state: state
systems:
  demo:
    model:
      sites:
        here: {root: root, ephemeral: true}
";

/// What git knows of a tree, seen by an eye of its own: files and whether they may be run, symlinks,
/// directories.
fn seen(root: &Path) -> BTreeMap<Vec<u8>, String> {
    let tree = fingerprint(root).unwrap();
    let look = |entry: &tmp_testkit::walk::Entry| match &entry.content {
        Content::File { sha256, .. } => format!("{sha256:?} {:o}", entry.mode),
        Content::Symlink(target) => format!("-> {target:?}"),
        _ => "directory".to_owned(),
    };
    tree.entries.iter().map(|(path, entry)| (path.clone(), look(entry))).collect()
}

/// Writes what a commit has below `below` into a new directory, with the modes of git.
fn checkout(repo: &Path, id: &str, below: &str, to: &Path) {
    let aside = to.with_extension("aside");
    fs::create_dir_all(&aside).unwrap();
    fs::create_dir_all(to).unwrap();
    let index = aside.join("index");
    for arguments in [vec!["read-tree", &format!("{id}:{below}")], vec!["checkout-index", "-a"]] {
        let mut command = git_command(repo);
        command.env("GIT_INDEX_FILE", &index).arg("--work-tree").arg(to).args(&arguments);
        let ended = command.output().unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    let status = std::process::Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(to).status().unwrap();
    assert!(status.success());
}

/// A place with an empty repository and a configuration.
fn place() -> Place {
    let place = Place::new();
    place.write("tmp.yaml", CONFIGURATION);
    fs::create_dir(place.path("repo")).unwrap();
    git(&place.path("repo"), &["init", "-q"]);
    place
}

/// Makes `model` all that the directory `system` of the repository holds, and commits it.
fn store(place: &Place, model: &TreeModel) -> String {
    let system = place.path("repo/system");
    if system.exists() {
        fs::remove_dir_all(&system).unwrap();
    }
    fs::create_dir(&system).unwrap();
    trees::build(model, &system).unwrap();
    commit(&place.path("repo"))
}

/// Imports, packages and runs on a checkout of `old`, and compares with a checkout of `new`.
fn migrates(place: &Place, old: &str, new: &str) {
    let repo = place.path("repo");
    checkout(&repo, old, "system", &place.path("root"));
    checkout(&repo, new, "system", &place.path("wanted"));
    place.write("repo/system/dirty", "not committed\n");
    let import = ["import", "git-diff", old, new, "--id", "moved", "--system", "demo", "--", "repo/system"];
    place.ends(0, &import);
    place.ends(0, &["package", "moved", "-o", "moved.trigger"]);
    place.ends(0, &["run", "moved.trigger", "--now", "--reason", "test"]);
    assert_eq!(
        seen(&place.path("root")),
        seen(&place.path("wanted")),
        "{}",
        place.read("moved/enhancement.yaml")
    );
}

/// Commits what was imported, and packages it from the commit and from a clean checkout of it.
fn packages_alike(place: &Place) {
    let repo = place.path("repo");
    let text = place.read("moved/enhancement.yaml");
    let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with("label:")).collect();
    fs::rename(place.path("moved"), repo.join("moved")).unwrap();
    fs::write(repo.join("moved/enhancement.yaml"), text).unwrap();
    let id = commit(&repo);
    checkout(&repo, &id, "moved", &place.path("clean"));
    fs::remove_dir_all(repo.join("moved")).unwrap();
    let clean = place.json(&["package", "clean", "-o", "clean.trigger"]);
    let label = place.json(&["package", "repo/moved", "--from-git", &id, "-o", "label.trigger"]);
    assert!(clean["payload"].is_string() && clean["payload"] == label["payload"], "{clean}\n{label}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_difference_leads_from_old_to_new(
        (old, changed) in trees::tree(24).prop_flat_map(|old| {
            let new = trees::changes(old.clone(), 8).prop_map({
                let old = old.clone();
                move |changes| trees::apply(&old, &changes)
            });
            (Just(old), prop_oneof![1 => new, 2 => trees::tree(24)])
        })
    ) {
        let place = place();
        let (old, new) = (store(&place, &old), store(&place, &changed));
        let differ = git(&place.path("repo"), &["diff", "--name-only", &old, &new]).out;
        prop_assume!(!differ.is_empty());
        let tree = |id: &str| git_command(&place.path("repo")).args(["rev-parse", "--verify", &format!("{id}:system")]).output().unwrap();
        prop_assume!(tree(&old).status.success() && tree(&new).status.success());
        migrates(&place, &old, &new);
        packages_alike(&place);
    }
}

/// Every sort of change at once, with names that need quotes.
fn every_sort() -> (Place, String, String) {
    let place = place();
    let system = place.path("repo/system");
    let put = |name: &str, text: &str| place.write(&format!("repo/system/{name}"), text);
    put("kept", "same\n");
    put("changed", "old\n");
    put("run", "text\n");
    put("renamed/from", "a text that is long enough to be found again\n");
    put("gone/deep/x", "x\n");
    put("file-to-directory", "file\n");
    put("file-to-link", "file\n");
    put("directory-to-file/a/b", "b\n");
    put("directory-to-link/a", "a\n");
    for name in ["link-to-file", "link-to-directory", "link"] {
        symlink("kept", system.join(name)).unwrap();
    }
    let old = commit(&place.path("repo"));
    git(&place.path("repo"), &["tag", "v1"]);
    for name in ["link-to-file", "link-to-directory", "link", "file-to-directory", "file-to-link"] {
        fs::remove_file(system.join(name)).unwrap();
    }
    for name in ["gone", "directory-to-file", "directory-to-link"] {
        fs::remove_dir_all(system.join(name)).unwrap();
    }
    put("changed", "new\n");
    put("run", "#!text\n");
    fs::write(system.join("run"), "text\n").unwrap();
    put("empty", "");
    fs::create_dir(system.join("to")).unwrap();
    fs::rename(system.join("renamed/from"), system.join("to/here")).unwrap();
    fs::remove_dir(system.join("renamed")).unwrap();
    put("copy", "same\n");
    put("file-to-directory/a/b", "b\n");
    put("file-to-directory/c", "#!/bin/sh\n");
    symlink("kept", system.join("file-to-link")).unwrap();
    put("directory-to-file", "file\n");
    symlink("kept", system.join("directory-to-link")).unwrap();
    put("link-to-file", "file\n");
    put("link-to-directory/a", "a\n");
    symlink("no: \"where\" # \u{fc}", system.join("link")).unwrap();
    for name in ["-dash", "yes", "1.10", "with space", "ab: c", "#x", "{y}", "q\"uote", "\u{fc}ber/\u{65e5}"]
    {
        put(name, name);
    }
    let new = commit(&place.path("repo"));
    git(&place.path("repo"), &["tag", "v2"]);
    (place, old, new)
}

#[test]
fn every_sort_of_change_is_imported() {
    let (place, old, new) = every_sort();
    migrates(&place, "v1", "v2");
    let mut settings = settings(&place);
    settings.add_filter(&old, "[OLD]");
    settings.add_filter(&new, "[NEW]");
    settings.bind(|| insta::assert_snapshot!("imported", place.read("moved/enhancement.yaml")));
    // On anything else than OLD, such as NEW that TMP knows nothing of, it does nothing.
    fs::remove_dir_all(place.path("state")).unwrap();
    let before = seen(&place.path("root"));
    place.ends(5, &["run", "moved.trigger", "--now", "--reason", "again", "--site", "here"]);
    assert_eq!(seen(&place.path("root")), before);
}

#[test]
fn an_import_overwrites_nothing_and_leaves_nothing_half_done() {
    let (place, _, _) = every_sort();
    let import = |more: &[&'static str]| {
        [&["import", "git-diff", "v1", "v2", "--id", "x", "--system", "demo"], more].concat()
    };
    place.write("x/mine", "mine\n");
    assert!(place.ends(2, &import(&["--", "repo/system"])).err.contains("never-overwritten"));
    assert_eq!(fs::read_dir(place.path("x")).unwrap().count(), 1);
    place.ends(0, &import(&["-o", "y", "--put", "opt/demo", "--", "repo/system"]));
    let text = place.read("y/enhancement.yaml");
    assert!(
        text.contains("{put: \"opt/demo/yes\", from: files/yes, replaces: nothing}")
            || text.contains("{put: opt/demo/yes, from: files/yes, replaces: nothing}"),
        "{text}"
    );
    place.ends(0, &["check", "y"]);
    let again = ["import", "git-diff", "v1", "v1", "--id", "z", "--system", "demo", "--", "repo/system"];
    assert!(place.ends(3, &again).err.contains("git-difference"));
    assert!(place.ends(3, &import(&["-o", "z", "--", "repo/none"])).err.contains("git-path"));
    assert!(place.ends(2, &import(&["-o", "z", "--", "."])).err.contains("git-repository"));
    assert!(!place.path("z").exists());
}

#[test]
fn what_no_module_can_be_is_refused_at_once() {
    let place = place();
    let repo = place.path("repo");
    place.write("repo/system/kept", "kept\n");
    let old = commit(&repo);
    place.write("repo/system/Readme", "a\n");
    place.write("repo/system/README", "b\n");
    place.write("repo/system/back\\slash", "c\n");
    place.write("repo/system/.tmp-work/x", "d\n");
    place.write("repo/system/big", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n");
    let raw = |bytes: &[u8]| repo.join("system").join(std::ffi::OsStr::from_bytes(bytes));
    fs::write(raw(b"na\xffme"), "e\n").unwrap();
    fs::write(raw(b"new\nline"), "f\n").unwrap();
    symlink(std::ffi::OsStr::from_bytes(b"to\xff"), raw(b"link")).unwrap();
    let head = commit(&repo);
    git(&repo, &["update-index", "--add", "--cacheinfo", &format!("160000,{head},system/module")]);
    // Trees that git's own commands do not make.
    let blob = git(&repo, &["rev-parse", "HEAD:system/kept"]).out;
    let id = blob.trim();
    git(&repo, &["commit", "-q", "-m", "submodule"]);
    let import = |new: &str| {
        let arguments =
            ["import", "git-diff", &old, new, "--id", "x", "--system", "demo", "--", "repo/system"];
        let said = place.ends(3, &arguments).err;
        let left: Vec<_> =
            fs::read_dir(place.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        said
    };
    settings(&place).bind(|| insta::assert_snapshot!("refused_imports", import("HEAD")));
    for tree in [format!("100644 blob {id}\t..\n"), format!("100644 blob {id}\ta\n100644 blob {id}\ta\n")] {
        let made = made_tree(&repo, &tree);
        let top = made_tree(&repo, &format!("040000 tree {made}\tsystem\n"));
        let new = git(&repo, &["commit-tree", "-m", "x", &top]).out;
        import(new.trim());
    }
}

/// The id of a tree that `git mktree` makes of these lines.
fn made_tree(repo: &Path, lines: &str) -> String {
    use std::io::Write as _;
    let mut command = git_command(repo);
    command.args(["mktree"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{lines}");
    String::from_utf8(ended.stdout).unwrap().trim().to_owned()
}
