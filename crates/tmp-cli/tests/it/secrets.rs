//! Secrets in the environment of `tmp` go nowhere. Every test of this binary looks for them in all that is written and
//! said; these show that the look can fail, and go where a secret would be likely to get through.

use std::path::Path;

use tmp_testkit::stepper::{Action, Ended, Stepper};

use crate::{
    git::{commit, git},
    support::{CANARY, ENHANCEMENT, Place, holds, leaks},
};

#[test]
fn a_leak_is_seen() {
    let place = Place::new();
    assert!(leaks(place.dir()).is_empty());
    place.write("state/journal", &format!("x{CANARY}y"));
    assert_eq!(leaks(place.dir()), [place.path("state/journal")]);
    std::fs::remove_file(place.path("state/journal")).unwrap();
}

/// Whatever a command of an enhancement can see of its own process and of the one that started it.
const NOSY: &str = "#!/bin/sh
env
tr '\\0' '\\n' < /proc/self/environ
tr '\\0' '\\n' < /proc/self/cmdline
tr '\\0' '\\n' < /proc/$PPID/cmdline
echo core $(ulimit -c)
echo the end
exit 1
";

#[test]
fn what_a_failed_command_says_is_kept_without_them() {
    let place = Place::billing();
    place.write("fee/files/bin/fee", NOSY);
    let file = place.package("fee");
    let ended = place.ends(10, &["run", &file, "--now", "--reason", "a test"]);
    assert!(ended.out.contains("the end") && ended.out.contains("PATH="), "{}", ended.out);
    assert!(ended.out.contains("core 0"), "{}", ended.out);
    let past = &place.json(&["history"])["migrations"][0];
    let log = place.ends(0, &["log", past["id"].as_str().unwrap()]);
    assert!(log.out.contains("the end"), "{}", log.out);
}

/// The arguments of every program that a command starts, itself among them, with the secret in its environment.
fn started(place: &Place, program: &Path, arguments: &[&str]) -> Vec<Vec<u8>> {
    let stepper = Stepper::new(program).args(arguments).current_dir(place.dir()).env("HOME", "/nonexistent");
    let stepper = stepper.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let outcome = stepper.env("BILLING_DATABASE_PASSWORD", CANARY).run(Action::Count).unwrap();
    assert_eq!(outcome.ended, Ended::Exited(0), "{}", outcome.told());
    outcome.commands
}

#[test]
fn no_program_is_started_with_them() {
    let place = Place::billing();
    let tmp = Path::new(env!("CARGO_BIN_EXE_tmp"));
    place.write("fee/files/bin/fee", "#!/bin/sh\nsleep 0\n");
    git(place.dir(), &["init", "-q"]);
    commit(place.dir());
    let runs = [
        ("git", &["package", "fee", "--from-git", "HEAD", "-o", "fee.trigger"][..]),
        ("rehearse", &["rehearse", "fee.trigger"]),
        ("bin/fee", &["run", "fee.trigger", "--now", "--reason", "a test"]),
        ("reverse", &["reverse", "late-fee", "--reason", "a test", "--yes"]),
    ];
    for (program, arguments) in runs {
        let commands = started(&place, tmp, arguments);
        let among = commands.iter().any(|command| String::from_utf8_lossy(command).contains(program));
        assert!(among, "{program} was not started: {commands:?}");
        assert!(!commands.iter().any(|command| holds(command)), "{commands:?}");
    }
    // The look can find something, also of a program that one which was started has started.
    let leak = "sh -c 'sleep 0; true \"$0\"' \"$BILLING_DATABASE_PASSWORD\"; true";
    let commands = started(&place, Path::new("sh"), &["-c", leak]);
    assert!(commands.iter().any(|command| holds(command)), "{commands:?}");
}

/// A password that somebody writes where it would stand in plans and journals.
const PASSWORD: &str = "hunter2-hunter2";

#[test]
fn an_address_with_a_password_is_refused_and_not_repeated() {
    let place = Place::billing();
    let help = "leave out what stands before '@'";
    for address in
        [format!("https://tmp:{PASSWORD}@billing.example/"), format!("{{site.url}}:{PASSWORD}@billing")]
    {
        let check = format!("  - {{name: site, http: '{address}'}}\n");
        place.enhancement("asks", &format!("{ENHANCEMENT}{check}").replace("id: late-fee", "id: asks"));
        for command in
            [&["check", "asks"][..], &["package", "asks", "-o", "asks.trigger"], &["check", "asks", "--json"]]
        {
            let said = place.ends(3, command).err;
            assert!(said.contains("secret-in-address") && said.contains("verify[1].http"), "{said}");
            assert!(said.contains("enhancement.yaml:15:24"), "{said}");
            assert!(said.contains(help) && !said.contains(PASSWORD), "{said}");
        }
        assert!(!place.path("asks.trigger").exists());
    }
    let configuration =
        place.read("tmp.yaml").replace("root: live,", "root: live, url: 'http://PASSWORD@billing',");
    place.write("tmp.yaml", &configuration.replace("PASSWORD", PASSWORD));
    for command in [&["config", "show"][..], &["status"], &["config", "show", "--json"]] {
        let said = place.ends(3, command).err;
        assert!(said.contains("secret-in-address") && said.contains("hq.url"), "{said}");
        assert!(said.contains(help) && !said.contains(PASSWORD), "{said}");
    }
    assert!(place.ends(0, &["explain", "secret-in-address"]).out.contains("journals"));
    // Without the password all of it is fine.
    place.write("tmp.yaml", &configuration.replace("PASSWORD@", ""));
    place.ends(0, &["config", "show"]);
}
