//! What is no trigger file at all.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::Command,
};

use super::{Victim, packaged};
use crate::support::ran;

#[test]
fn what_is_no_file_is_refused_at_once() {
    let victim = Victim::new();
    let outside = victim.outside.path();
    fs::write(outside.join("empty"), "").unwrap();
    fs::create_dir(outside.join("directory")).unwrap();
    symlink("loop", outside.join("loop")).unwrap();
    symlink("/dev/zero", outside.join("zeros")).unwrap();
    assert!(Command::new("mkfifo").arg(outside.join("fifo")).status().unwrap().success());
    for (name, why) in [
        ("missing", "No such file"),
        ("empty/below", "Not a directory"),
        ("empty", "cut off"),
        ("directory", "not a regular file"),
        ("loop", "symbolic links"),
        ("zeros", "not a regular file"),
        ("fifo", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        ("/dev/null", "not a regular file"),
        ("/proc/self/mem", ""),
        ("/proc/self/maps", ""),
    ] {
        let file = outside.join(name);
        let file = file.to_str().unwrap();
        for command in [&["inspect", file][..], &["plan", file], &["run", file, "--now", "--reason", "x"]] {
            let report = victim.fails(3, name, command).replace('\n', "").replace("  │ ", " ");
            assert!(report.contains(why) && report.contains(name), "{name}: {report}");
        }
    }
}

#[test]
fn a_file_that_may_not_be_read() {
    let victim = Victim::new();
    let file = packaged(&victim.place, victim.outside.path());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o0)).unwrap();
    let binary = victim.outside.path().join("tmp");
    fs::copy(env!("CARGO_BIN_EXE_tmp"), &binary).unwrap();
    fs::set_permissions(victim.outside.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary);
        command
    } else {
        Command::new(&binary)
    };
    let ended = ran(command.args(["inspect", file.to_str().unwrap()]).current_dir("/"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(3), ""), "{}", ended.err);
    assert!(ended.err.contains("Permission denied") && ended.err.contains("help: "), "{}", ended.err);
}
