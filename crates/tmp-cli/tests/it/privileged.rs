//! Modules that take another identity when they run: refused unless policy allows them, and never dropped unseen.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::Command,
};

use tmp_testkit::walk;

use crate::support::{Place, settings};

/// `cap_net_bind_service=ep`, as `setcap(8)` writes it.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const RUN: [&str; 4] = ["run", "fee.trigger", "--now", "--reason=test"];

fn place(modules: &str, policy: &str) -> Place {
    let place = Place::billing();
    let config = place.read("tmp.yaml").replace("commands: allowed", &format!("commands: allowed{policy}"));
    place.write("tmp.yaml", &config);
    let head = "schema: tmp/enhancement/v1\nid: late-fee\nrevision: 1\ntitle: t\nsystem: billing\nmodules:\n";
    place.enhancement("fee", &format!("{head}{modules}"));
    place.package("fee");
    place
}

fn mode(place: &Place, path: &str) -> u32 {
    fs::metadata(place.path(path)).unwrap().mode() & 0o7777
}

#[test]
fn a_module_that_takes_another_identity_is_refused_unless_policy_allows_it() {
    let modules = "  - {put: bin/billing, from: files/bin/billing, mode: \"4755\"}
  - {put: bin/fee, from: files/bin/fee, mode: \"2755\"}
  - {put: etc/fee.conf, from: files/fee.conf, mode: \"6644\"}\n";
    let refused = place(modules, "");
    let before = refused.model();
    let failed = refused.ends(5, &RUN);
    settings(&refused).bind(|| insta::assert_snapshot!("privileged_refused", failed.err));
    assert_eq!(refused.model(), before);
    let allowed = place(modules, ", privileged_modules: allowed");
    let plan = allowed.ends(0, &["plan", "fee.trigger"]).out;
    assert_eq!(plan.matches("runs with another identity (set-user-id or set-group-id)").count(), 3, "{plan}");
    allowed.ends(0, &RUN);
    assert_eq!(mode(&allowed, "model/bin/billing"), 0o4755);
    assert_eq!(mode(&allowed, "model/bin/fee"), 0o2755);
}

#[test]
fn the_mode_alone_of_a_module_is_refused_too() {
    let place = place("  - {put: bin/billing, from: files/bin/billing}\n", "");
    place.ends(0, &RUN);
    let text = place.read("fee/enhancement.yaml").replace("revision: 1", "revision: 2");
    place.enhancement("fee", &text.replace("files/bin/billing}", "files/bin/billing, mode: \"4755\"}"));
    place.package("fee");
    let failed = place.ends(5, &RUN).err;
    assert!(failed.contains("privileged-module"), "{failed}");
    assert_eq!(mode(&place, "model/bin/billing"), 0o755);
}

#[test]
fn what_a_replacement_takes_from_a_module_is_told_and_a_reversal_gives_it_back() {
    let place = place("  - {put: bin/billing, from: files/bin/billing}\n", "");
    let module = place.path("model/bin/billing");
    fs::set_permissions(&module, fs::Permissions::from_mode(0o4755)).unwrap();
    if let Err(error) = walk::set_xattr(&module, b"security.capability", CAPABILITY) {
        assert!(std::env::var_os("CI").is_none(), "file capabilities cannot be proven here: {error}");
        return;
    }
    place.package("fee");
    let seen = || place.model().0.entries.get(b"bin/billing".as_slice()).cloned().unwrap();
    let before = seen();
    let plan = place.ends(0, &["plan", "fee.trigger"]).out;
    let warnings: Vec<_> = plan.lines().filter(|line| line.contains("bin/billing ")).collect();
    settings(&place).bind(|| insta::assert_snapshot!("privileges_lost", warnings.join("\n")));
    place.ends(0, &RUN);
    assert_eq!(mode(&place, "model/bin/billing"), 0o755);
    place.ends(0, &["reverse", "late-fee", "--site", "model-1", "--reason", "test", "--yes"]);
    assert_eq!(mode(&place, "model/bin/billing"), 0o4755);
    assert_eq!(seen(), before);
}

#[test]
fn a_device_is_never_replaced() {
    let place = place("  - {put: bin/billing, from: files/bin/billing}\n", ", privileged_modules: allowed");
    let module = place.path("model/bin/billing");
    fs::remove_file(&module).unwrap();
    let made = Command::new("mknod").arg(&module).args(["c", "1", "3"]).status().unwrap();
    if !made.success() {
        assert!(std::env::var_os("CI").is_none(), "devices cannot be proven here");
        return;
    }
    let failed = place.ends(5, &RUN).err;
    assert!(failed.contains("bin/billing"), "{failed}");
}
