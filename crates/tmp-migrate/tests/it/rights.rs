//! Every right that a migration or its rollback needs is asked for before anything is touched.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::{common::Lab, disks::Weak};
use tmp_core::{
    Mode,
    module::{Change, Content},
    plan::Switch,
};
use tmp_testkit::walk;

/// Everything that needs a right of any sort.
fn lab() -> Lab {
    let mut lab = Lab::new();
    for path in ["bin/app", "bin/same", "lib/gone", "old/a", "old/deep/b", "etc/conf", "var/index/one"] {
        lab.write(path, "old");
    }
    for (path, mode) in [("bin/same", 0o644), ("etc", 0o755)] {
        fs::set_permissions(lab.root().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    lab.put("bin/app", "new");
    lab.put("bin/added", "new");
    let content = Content::File { digest: lab.payload.add(b"old"), size: 3, mode: Mode::from_bits(0o600) };
    lab.change("bin/same", Change::Put(content));
    lab.put("fresh/dir/file", "new");
    for path in ["lib/gone", "old", "old/a", "old/deep", "old/deep/b"] {
        lab.remove(path);
    }
    lab.change("etc", Change::Put(Content::Directory { mode: Mode::from_bits(0o700) }));
    lab.batch("reindex", "true", None, &["var/index/**"]);
    lab
}

#[test]
fn each_right_that_is_missing_is_said_for_everything_that_needs_it() {
    let mut lab = lab();
    lab.plan().unwrap();
    let before = walk::fingerprint(lab.dir.path()).unwrap();
    for right in ["read", "enter", "change", "adjust", "give"] {
        let text = lab.plan_on(Weak::without_right(right)).unwrap_err().to_string();
        // Who runs the test is whose the modules are.
        let own = format!("{}:{}", rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let text = text.replace(lab.base().as_str(), "/BASE").replace(&own, "[OWN]");
        insta::assert_snapshot!(format!("without_the_right_to_{right}"), text);
    }
    // To exchange the tree takes rights to all of it.
    lab.switch = Switch::Atomic;
    lab.plan().unwrap();
    for right in ["read", "enter", "change", "adjust", "give"] {
        let text = lab.plan_on(Weak::without_right(right)).unwrap_err().to_string();
        let own = format!("{}:{}", rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let text = text.replace(lab.base().as_str(), "/BASE").replace(&own, "[OWN]");
        insta::assert_snapshot!(format!("without_the_right_to_{right}_a_whole_tree"), text);
    }
    let differences = walk::diff(&before, &walk::fingerprint(lab.dir.path()).unwrap());
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn what_is_staged_asks_for_the_owner_that_it_will_get() {
    let mut lab = Lab::new();
    lab.put("fresh/dir/file", "new");
    lab.put("fresh/own", "new");
    lab.enhancement.modules[0].owner = Some("4711:4712".into());
    let text = lab.plan_on(Weak::without_right("give")).unwrap_err().to_string();
    assert!(text.contains("fresh/dir/file: TMP may not make 4711:4712 its owner and group"), "{text}");
    assert_eq!(text.matches("[rights]").count(), 2, "each owner once: {text}");
}

#[test]
fn a_plan_warns_of_every_module_that_more_may_use_than_before() {
    let mut lab = Lab::new();
    for (path, mode) in
        [("key", 0o600), ("same", 0o640), ("narrower", 0o755), ("suid", 0o755), ("dir/x", 0o644)]
    {
        lab.write(path, "old");
        fs::set_permissions(lab.root().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(lab.root().join("dir"), fs::Permissions::from_mode(0o700)).unwrap();
    let mut put = |path: &str, text: &str, mode| {
        let (digest, size) = (lab.payload.add(text.as_bytes()), text.len() as u64);
        lab.change(path, Change::Put(Content::File { digest, size, mode: Mode::from_bits(mode) }));
    };
    put("key", "new", 0o644);
    put("same", "old", 0o644);
    put("narrower", "new", 0o644);
    put("suid", "new", 0o4755);
    put("added", "new", 0o644);
    lab.change("dir", Change::Put(Content::Directory { mode: Mode::DIRECTORY }));
    let warnings = lab.plan().unwrap().warnings;
    // Who runs the test may be a reason for one more.
    let of_modes: Vec<_> = warnings.iter().filter(|warning| !warning.contains("as root")).cloned().collect();
    insta::assert_snapshot!("warnings_of_wider_modes", of_modes.join("\n"));
}
