//! Secrets in the environment of `tmp` go nowhere. Every test of this binary looks for them in all that is written and
//! said; these show that the look can fail, and go where a secret would be likely to get through.

use crate::support::{CANARY, Place, leaks};

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
