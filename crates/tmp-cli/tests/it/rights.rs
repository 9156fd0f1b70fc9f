//! TMP without the rights of root: what it may not do is said before anything is touched.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::PathBuf,
    process::Command,
};

use crate::support::{Place, Ran, ran};

/// The user and group that root becomes.
const NOBODY: u32 = 65534;

const ENHANCEMENT: &str = "schema: tmp/enhancement/v1
id: late-fee
revision: 1
title: Charge a late fee
system: billing
modules:
  - {put: bin/billing, from: files/bin/billing}
  - {put: bin/fee, from: files/bin/fee}
  - {put: etc/fee.conf, from: files/fee.conf}
  - {remove: lib/old.sh}
";

/// A place of somebody who is not root, and how that user runs TMP in it.
struct Unprivileged {
    place: Place,
    program: PathBuf,
    is_root: bool,
}

impl Unprivileged {
    fn new() -> Self {
        let place = Place::billing();
        place.enhancement("fee", ENHANCEMENT);
        place.package("fee");
        place.enhancement("given", &ENHANCEMENT.replace("files/bin/fee}", "files/bin/fee, owner: root}"));
        place.package("given");
        place.enhancement(
            "unknown",
            &ENHANCEMENT.replace("files/bin/fee}", "files/bin/fee, owner: no-such-user}"),
        );
        place.package("unknown");
        // Nobody need be able to reach the folder that the program was built in.
        let home = place.dir().parent().unwrap().to_owned();
        let program = home.join("program");
        fs::copy(env!("CARGO_BIN_EXE_tmp"), &program).unwrap();
        let is_root = fs::metadata(place.dir()).unwrap().uid() == 0;
        if is_root {
            let owner = format!("{NOBODY}:{NOBODY}");
            assert!(Command::new("chown").args(["-R", &owner]).arg(&home).status().unwrap().success());
        }
        Self { place, program, is_root }
    }

    fn run(&self, file: &str) -> Ran {
        let mut command = if self.is_root {
            let mut command = Command::new("setpriv");
            let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
            command.args([&user, &group, "--clear-groups"]).arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.args(["run", file, "--now", "--reason", "end-to-end test", "--json"]);
        ran(command.current_dir(self.place.dir()))
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.place.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Rule and subject of everything that stands in the way; nothing was made.
    fn refused(&self, file: &str) -> BTreeSet<(String, String)> {
        let ran = self.run(file);
        assert_eq!(ran.code, Some(5), "{}{}", ran.out, ran.err);
        assert!(!self.place.path("state").exists());
        let report: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
        let text = |value: &serde_json::Value| {
            value.as_str().unwrap().replace(self.place.dir().to_str().unwrap(), "[DIR]")
        };
        let faults = report["faults"].as_array().unwrap().iter();
        faults.map(|fault| (text(&fault["rule"]), text(&fault["subject"]))).collect()
    }
}

fn faults(faults: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    faults.iter().map(|(rule, subject)| ((*rule).to_owned(), (*subject).to_owned())).collect()
}

#[test]
fn every_right_that_is_missing_is_said_at_once_and_nothing_is_touched() {
    let user = Unprivileged::new();
    // Looked at while all can be read: who runs the test may not be root either.
    let before = user.place.model();
    let mode = |path: &str| fs::metadata(user.place.path(path)).unwrap().mode();
    let (file, etc, lib) = (mode("model/lib/old.sh"), mode("model/etc"), mode("model/lib"));
    user.mode("model/lib/old.sh", 0o000);
    user.mode("model/etc", 0o555);
    user.mode(".", 0o555);
    let lacking = [("rights", "[DIR]"), ("rights", "bin/fee"), ("rights", "etc"), ("rights", "lib/old.sh")];
    assert_eq!(user.refused("given.trigger"), faults(&lacking));
    user.mode(".", 0o755);
    user.mode("model/etc", etc);
    user.mode("model/lib/old.sh", file);
    assert_eq!(user.place.model(), before);
    assert_eq!(user.refused("given.trigger"), faults(&[("rights", "bin/fee")]));
    assert_eq!(user.refused("unknown.trigger"), faults(&[("owner", "bin/fee")]));
    if user.is_root {
        // What only root can bring about: modules and directories of somebody else.
        chown(user.place.path("model/bin/billing"), Some(0), Some(0)).unwrap();
        chown(user.place.path("model/lib"), Some(0), None).unwrap();
        user.mode("model/lib", 0o777);
        let lacking = [("rights", "bin/billing"), ("rights", "lib")];
        assert_eq!(user.refused("fee.trigger"), faults(&lacking));
        chown(user.place.path("model/bin/billing"), Some(NOBODY), Some(NOBODY)).unwrap();
        chown(user.place.path("model/lib"), Some(NOBODY), None).unwrap();
        user.mode("model/lib", lib);
    }
    assert_eq!(user.place.model(), before);
    let done = user.run("fee.trigger");
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    assert_eq!(user.place.read("model/etc/fee.conf"), "rate=5\n");
}
