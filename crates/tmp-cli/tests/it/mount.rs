//! A root that is a mount of its own: TMP works inside it, in `.tmp-work`, which nothing else touches.

use std::process::Command;

use crate::support::{Place, settings};

/// Runs a script in a mount namespace of its own, with a file system of its own on `model`.
fn mounted(place: &Place, script: &str) -> (Option<i32>, String) {
    let script = format!(
        "set -e\ncp -a model content\nmount -t tmpfs -o size=64m tmpfs model\ncp -a content/. model/\n{script}"
    );
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let ended = command
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .current_dir(place.dir())
        .env("TMP", env!("CARGO_BIN_EXE_tmp"))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.code(), text(&ended.stdout) + &text(&ended.stderr))
}

#[test]
fn a_root_that_is_a_mount_is_migrated_from_within() {
    let place = Place::billing();
    place.package("fee");
    let text = crate::support::ENHANCEMENT
        .replace("id: late-fee", "id: other")
        .replace("run: [bin/fee]", "run: [bin/false]");
    let text = text.split("sql:").next().unwrap().to_owned()
        + "batch: [{name: fill, run: [/bin/sh, -c, \"echo 1 > var2; exit 1\"], writes: [\"var2\"]}]\n";
    place.enhancement("bad", &text.replace("  - {remove: lib/old.sh}\n", ""));
    let script = "
        $TMP config show --origin | grep work
        $TMP run fee.trigger --now --reason test
        cat model/bin/fee
        ls -A model model/.tmp-work
        $TMP package bad -o bad.trigger > packaged
        before=$(cd model && find . -path ./.tmp-work -prune -o -print0 | sort -z | xargs -0 stat -c '%n %y %a' | sha256sum)
        $TMP run bad.trigger --now --reason test || echo exit code $?
        after=$(cd model && find . -path ./.tmp-work -prune -o -print0 | sort -z | xargs -0 stat -c '%n %y %a' | sha256sum)
        [ \"$before\" = \"$after\" ] && echo IDENTICAL
        mkdir empty
        $TMP package diff --from empty --to model -o diff.trigger > packaged
        $TMP inspect diff.trigger | grep tmp-work || echo no work directory in a package
        for id in state/archive/snapshots/*; do $TMP archive show ${id##*/}; done | grep tmp-work || echo no work directory in an archive
        $TMP doctor | grep operation
    ";
    let head = crate::support::ENHANCEMENT.split("databases:").next().unwrap();
    place.write("diff/enhancement.yaml", head);
    let (code, said) = mounted(&place, script);
    assert_eq!(code, Some(0), "{said}");
    settings(&place).bind(|| insta::assert_snapshot!(said));
}
