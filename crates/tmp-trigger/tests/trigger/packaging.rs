//! Packaging: the formats, and that the same inputs give the same bytes.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command, sync::Arc};

use tmp_core::{
    Digest,
    module::{Change, Content},
};
use tmp_disk::{Fault, FaultDisk, RealDisk};
use tmp_trigger::{
    PackageError, ScriptCheck, ScriptMistake, ScriptRole, Trees, Trigger, VerifiedTrigger, package,
};

use crate::common::{Scripts, chmod, directory, late_fee, options, pack, put, small};

pub(crate) fn verified(path: &Path) -> VerifiedTrigger {
    Trigger::open(path).unwrap().verify().unwrap()
}

fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn read(path: &Path) -> String {
    String::from_utf8(fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_trigger_file_opens_with_standard_tools() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let packaged = pack(&late_fee(source.path()), out.path(), Trees::None).unwrap();
    let name = packaged.path.file_name().unwrap().to_str().unwrap();
    assert_eq!(name, "late-fee-r1-model.trigger");
    assert_eq!(fs::metadata(&packaged.path).unwrap().len(), packaged.size);
    assert_eq!(packaged.warnings, []);
    insta::assert_snapshot!("outer_listing", run("tar", &["--full-time", "-tvf", name], out.path()));
    run("tar", &["-xf", name], out.path());
    assert_eq!(
        run("sha256sum", &["-c", "SHA256SUMS"], out.path()),
        "trigger.yaml: OK\npayload/1.tar.zst: OK\n"
    );
    insta::assert_snapshot!(
        "inner_listing",
        run("tar", &["--zstd", "--full-time", "-tvf", "payload/1.tar.zst"], out.path())
    );
    run("tar", &["--zstd", "-xf", "payload/1.tar.zst"], out.path());
    insta::assert_snapshot!("sums", read(&out.path().join("SHA256SUMS")));
    insta::assert_snapshot!("trigger_yaml", read(&out.path().join("trigger.yaml")));
    let manifest = read(&out.path().join("manifest.json"));
    insta::assert_snapshot!("manifest_json", manifest);
    run("zstd", &["-dq", "payload/1.tar.zst"], out.path());
    let payload = Digest::of(&fs::read(out.path().join("payload/1.tar")).unwrap());
    let trigger = verified(&packaged.path);
    assert_eq!(trigger.payload(), payload);
    assert_eq!(trigger.digest(), packaged.digest);
    assert_eq!(trigger.header(), &packaged.header);
    insta::assert_snapshot!("inspection", serde_json::to_string_pretty(&trigger.inspect()).unwrap());
    let left: Vec<_> = fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    late_fee(first.path());
    // The same files made in another order, with other times, owners' bits and a stricter umask.
    for name in ["files/bin/zz", "files/bin/lib/zz", "sql/zz"] {
        put(second.path(), name, b"");
    }
    late_fee(second.path());
    for name in ["files/bin/zz", "files/bin/lib/zz", "sql/zz"] {
        fs::remove_file(second.path().join(name)).unwrap();
    }
    run("find", &[".", "-type", "f", "-exec", "touch", "-d", "2001-02-03", "{}", "+"], second.path());
    run("chmod", &["-R", "go-rwx", "."], second.path());
    let bytes = |source: &Path| {
        let out = tempfile::tempdir().unwrap();
        fs::read(pack(source, out.path(), Trees::None).unwrap().path).unwrap()
    };
    let one = bytes(first.path());
    assert!(one == bytes(second.path()));
    put(second.path(), "files/fee.conf", b"rate = 6\n");
    put(
        second.path(),
        "enhancement.yaml",
        read(&first.path().join("enhancement.yaml")).replace("bytes,", "byte,").as_bytes(),
    );
    assert!(pack(second.path(), second.path(), Trees::None).is_err());
}

#[test]
fn the_same_inputs_give_the_same_bytes_when_several_threads_compress_them() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    late_fee(source.path());
    // Eight times what one thread takes at a time, and no two parts alike.
    let lines = (0..700_000_u32).map(|line| format!("{:08x}\n", line.wrapping_mul(2_654_435_761)));
    put(source.path(), "files/bin/large", lines.collect::<String>().as_bytes());
    let one = fs::read(pack(source.path(), out.path(), Trees::None).unwrap().path).unwrap();
    assert!(one.len() > 1 << 20, "{} bytes", one.len());
    for _ in 0..4 {
        let again = pack(source.path(), out.path(), Trees::None).unwrap().path;
        assert!(one == fs::read(&again).unwrap());
        verified(&again);
    }
}

#[test]
fn the_payload_digest_does_not_depend_on_schedule_or_target() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = verified(&pack(&late_fee(source.path()), out.path(), Trees::None).unwrap().path);
    let text = read(&source.path().join("enhancement.yaml"));
    put(source.path(), "enhancement.yaml", text.replace("2026-12-20", "2026-12-24").as_bytes());
    let mut options = options(out.path(), Trees::None);
    options.environment = tmp_core::EnvironmentName::Production;
    let packaged = package(&directory(source.path()), &options, &Scripts, &RealDisk).unwrap();
    let other = verified(&packaged.path);
    assert_eq!(one.payload(), other.payload());
    assert_ne!(one.digest(), other.digest());
    assert_eq!(packaged.path.file_name().unwrap(), "late-fee-r1-production.trigger");
}

#[test]
fn a_base_tree_is_what_must_be_replaced() {
    let (source, base, out) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let text = "schema: tmp/enhancement/v1\nid: small\nrevision: 1\ntitle: Small\nsystem: demo\nmodules:\n\
                - {put: bin/, from: bin/}\n- {remove: lib}\n- {put: link, from: a}\n";
    put(source.path(), "enhancement.yaml", text.as_bytes());
    put(source.path(), "bin/new", b"new");
    put(source.path(), "bin/old", b"new");
    put(source.path(), "a", b"a");
    put(base.path(), "bin/old", b"old");
    put(base.path(), "lib/x/y", b"y");
    symlink("elsewhere", base.path().join("link")).unwrap();
    let packaged = pack(source.path(), out.path(), Trees::Base(base.path().to_owned())).unwrap();
    let trigger = verified(&packaged.path);
    insta::assert_snapshot!("base", serde_json::to_string_pretty(&trigger.enhancement().modules).unwrap());
    fs::remove_dir_all(base.path().join("lib")).unwrap();
    let error = pack(source.path(), out.path(), Trees::Base(base.path().to_owned())).unwrap_err();
    assert!(error.to_string().contains("base: modules[1].remove: lib is not in the base tree"), "{error}");
}

/// Gives everything below `root` the modes of a common umask.
fn level(root: &Path) {
    run("chmod", &["-R", "u=rwX,go=rX", "."], root);
}

#[test]
fn two_trees_give_the_modules() {
    let (source, trees) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let text = "schema: tmp/enhancement/v1\nid: small\nrevision: 1\ntitle: Small\nsystem: demo\n";
    put(source.path(), "enhancement.yaml", text.as_bytes());
    let (from, to) = (trees.path().join("from"), trees.path().join("to"));
    for (tree, name, content) in [
        (&from, "same", "same"),
        (&to, "same", "same"),
        (&from, "changed", "old"),
        (&to, "changed", "new"),
        (&from, "mode", "mode"),
        (&to, "mode", "mode"),
        (&from, "before", "renamed"),
        (&to, "after", "renamed"),
        (&from, "file-to-directory", "x"),
        (&to, "file-to-directory/y", "y"),
        (&from, "directory-to-file/y", "y"),
        (&to, "directory-to-file", "x"),
        (&from, "file-to-link", "x"),
        (&from, "emptied/x", "x"),
    ] {
        put(tree, name, content.as_bytes());
    }
    level(trees.path());
    chmod(&to, "mode", 0o755);
    symlink("same", to.join("file-to-link")).unwrap();
    symlink("old", from.join("link")).unwrap();
    symlink("new", to.join("link")).unwrap();
    for empty in [to.join("empty"), to.join("emptied"), to.join("same-dir"), from.join("same-dir")] {
        fs::create_dir_all(&empty).unwrap();
        chmod(&empty, "", 0o755);
    }
    let trees = Trees::FromTo { from: from.clone(), to: to.clone() };
    let packaged = pack(source.path(), source.path(), trees.clone()).unwrap();
    let trigger = verified(&packaged.path);
    let modules: Vec<_> = trigger
        .enhancement()
        .modules
        .iter()
        .map(|module| {
            format!("{} {:?} expects {:?}\n", module.path, module.change, module.expected.as_ref().unwrap())
        })
        .collect();
    insta::assert_snapshot!("difference", modules.concat());
    put(source.path(), "enhancement.yaml", format!("{text}modules: [{{remove: x}}]\n").as_bytes());
    let error = pack(source.path(), source.path(), trees).unwrap_err();
    assert!(error.to_string().contains("computed from two trees and listed as well"), "{error}");
}

#[test]
fn two_trees_give_their_real_modes() {
    let (source, trees) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let text = "schema: tmp/enhancement/v1\nid: small\nrevision: 1\ntitle: Small\nsystem: demo\n";
    put(source.path(), "enhancement.yaml", text.as_bytes());
    let (from, to) = (trees.path().join("from"), trees.path().join("to"));
    let files: [(&str, u32, u32); 6] = [
        ("opened", 0o600, 0o644),
        ("narrowed", 0o644, 0o640),
        ("no-program", 0o755, 0o644),
        ("same", 0o600, 0o600),
        ("same-identity", 0o4755, 0o4755),
        ("rewritten", 0o600, 0o600),
    ];
    let directories: [(&str, u32, u32); 4] = [
        ("dir-opened", 0o700, 0o755),
        ("dir-sticky", 0o755, 0o1777),
        ("dir-same", 0o700, 0o700),
        ("dir-group", 0o2775, 0o2775),
    ];
    for (name, ..) in files {
        put(&from, name, name.as_bytes());
        put(&to, name, name.as_bytes());
    }
    put(&to, "rewritten", b"otherwise");
    put(&to, "secret", b"secret");
    put(&to, "dir-new/x", b"x");
    for (name, ..) in directories {
        put(&from, &format!("{name}/x"), b"x");
        put(&to, &format!("{name}/x"), b"x");
    }
    level(trees.path());
    for (name, old, new) in files.into_iter().chain(directories) {
        chmod(&from, name, old);
        chmod(&to, name, new);
    }
    chmod(&to, "secret", 0o600);
    chmod(&to, "dir-new", 0o750);
    let both = Trees::FromTo { from, to: to.clone() };
    let packaged = pack(source.path(), source.path(), both.clone()).unwrap();
    assert_eq!(packaged.warnings, []);
    let trigger = verified(&packaged.path);
    let modules: Vec<_> = trigger
        .enhancement()
        .modules
        .iter()
        .map(|module| match &module.change {
            Change::Put(Content::File { mode, .. }) => format!("{} file {mode}", module.path),
            Change::Put(Content::Directory { mode }) => format!("{} directory {mode}", module.path),
            other => format!("{} {other:?}", module.path),
        })
        .collect();
    let expected = [
        "dir-new directory 0750",
        "dir-new/x file 0644",
        "dir-opened directory 0755",
        "dir-sticky directory 1777",
        "narrowed file 0640",
        "no-program file 0644",
        "opened file 0644",
        "rewritten file 0600",
        "secret file 0600",
    ];
    assert_eq!(modules, expected);
    let again = tempfile::tempdir().unwrap();
    let other = pack(source.path(), again.path(), both.clone()).unwrap();
    assert_eq!(fs::read(&other.path).unwrap(), fs::read(&packaged.path).unwrap());
    for (name, bits) in [("opened", 0o4755), ("dir-new", 0o2750)] {
        chmod(&to, name, bits);
        let error = pack(source.path(), again.path(), both.clone()).unwrap_err().to_string();
        assert!(error.contains(&format!("mode: {name} is set-user-id or set-group-id")), "{error}");
    }
}

#[test]
fn a_packaging_that_fails_or_is_killed_leaves_no_half_file() {
    let source = tempfile::tempdir().unwrap();
    small(source.path());
    let at_fault = |fault: Fault| {
        let out = tempfile::tempdir().unwrap();
        let disk = FaultDisk::new(Arc::new(RealDisk), fault);
        let packaged = package(&directory(source.path()), &options(out.path(), Trees::None), &Scripts, &disk);
        let names: Vec<_> = fs::read_dir(out.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        let hidden = fs::read_dir(out.path()).unwrap().count() - names.len();
        for name in &names {
            verified(&out.path().join(name));
        }
        (packaged.is_ok(), names.len(), hidden, disk.effects())
    };
    let (ok, files, hidden, effects) = at_fault(Fault::None);
    assert_eq!((ok, files, hidden), (true, 1, 0));
    assert!(effects > 5, "{effects}");
    for at in 1..=effects {
        let (ok, files, hidden, _) = at_fault(Fault::Error { at, errno: 28, persistent: false });
        // The last call makes the new name durable: the file is there and whole by then.
        assert_eq!((ok, files, hidden), (false, usize::from(at == effects), 0), "error at {at}");
        let (ok, _, _, _) = at_fault(Fault::Stop { at });
        assert!(!ok, "stopped at {at}");
    }
}

#[test]
fn a_file_that_changes_meanwhile_is_not_packaged() {
    struct Meddling<'a>(&'a Path);

    impl ScriptCheck for Meddling<'_> {
        fn check(
            &self,
            _: tmp_core::enhancement::DatabaseEngine,
            _: tmp_core::enhancement::TransactionMode,
            _: ScriptRole,
            _: &[u8],
        ) -> Vec<ScriptMistake> {
            fs::write(self.0.join("files/bin/fee"), "another file of 19").unwrap();
            Vec::new()
        }
    }

    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    late_fee(source.path());
    let error = package(
        &directory(source.path()),
        &options(out.path(), Trees::None),
        &Meddling(source.path()),
        &RealDisk,
    );
    let error = error.unwrap_err();
    assert!(matches!(&error, PackageError::Changed { file } if file.ends_with("files/bin/fee")), "{error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn the_schemas() {
    for name in tmp_trigger::SCHEMAS {
        let schema = tmp_trigger::schema(name).unwrap();
        insta::assert_snapshot!(format!("schema_{name}"), serde_json::to_string_pretty(&schema).unwrap());
    }
    assert_eq!(tmp_trigger::schema("other"), None);
}
