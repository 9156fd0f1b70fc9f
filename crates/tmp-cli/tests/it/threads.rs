//! A machine that gives few threads, or none beside the first: what cannot be done then is said, and leaves nothing
//! wrong.
//!
//! It takes root to become a user who may have so few. Without, nothing is proven; with the environment variable `CI`
//! set that is a failure.

use std::{fs, path::PathBuf, process::Command};

use crate::{
    git::{commit, git},
    support::{Place, Ran, ran},
};

/// A user and group that nobody else is: their processes and threads would count too.
const USER: u32 = 64_873;

/// More than any command here needs, however many processors there are.
const ENOUGH: u32 = 64;

/// A place of that user with a repository of the enhancement, and a program that the user can reach.
struct Scarce {
    place: Place,
    program: PathBuf,
}

impl Scarce {
    fn new() -> Self {
        let place = Place::billing();
        fs::create_dir(place.path("repo")).unwrap();
        fs::rename(place.path("fee"), place.path("repo/fee")).unwrap();
        git(&place.path("repo"), &["init", "-q"]);
        commit(&place.path("repo"));
        let home = place.dir().parent().unwrap().to_owned();
        let program = home.join("program");
        fs::copy(env!("CARGO_BIN_EXE_tmp"), &program).unwrap();
        let owner = format!("{USER}:{USER}");
        assert!(Command::new("chown").args(["-R", &owner]).arg(&home).status().unwrap().success());
        Self { place, program }
    }

    /// Runs with so many processes and threads in all. It is done, or one error is said.
    fn tmp(&self, limit: u32, arguments: &[&str]) -> Ran {
        let (user, group) = (format!("--reuid={USER}"), format!("--regid={USER}"));
        let mut command = Command::new("setpriv");
        command.args([&user, &group, "--clear-groups", "prlimit", &format!("--nproc={limit}")]);
        command
            .arg(&self.program)
            .args(arguments)
            .current_dir(self.place.dir())
            .env("HOME", self.place.dir());
        let ran = ran(&mut command);
        let said = format!("{limit}: tmp {}\n{}{}", arguments.join(" "), ran.out, ran.err);
        // 3 where a file to be packaged could not be read.
        assert!(matches!(ran.code, Some(0 | 1 | 3)), "{said}{:?}", ran.code);
        assert!(!ran.err.contains("panicked"), "{said}");
        assert_eq!(ran.err.contains("Resource temporarily unavailable"), ran.code != Some(0), "{said}");
        ran
    }
}

#[test]
fn where_the_machine_gives_no_thread_an_error_says_so_and_nothing_is_wrong() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "it takes root to become another user");
        eprintln!("left out: a machine without threads: it takes root to become another user");
        return;
    }
    let scarce = Scarce::new();
    let place = &scarce.place;
    scarce.tmp(ENOUGH, &["archive", "create", "model-1"]);
    let id = place.json(&["archive", "list"])["snapshots"][0]["id"].as_str().unwrap().to_owned();
    // With eight processors, an archive takes eight threads that read and three that write.
    for limit in (1..=12).chain([ENOUGH]) {
        place.write("model/etc/fee.conf", &format!("rate={limit}\n"));
        let (file, to) = (format!("{limit}.trigger"), format!("restored-{limit}"));
        let ended = [
            scarce.tmp(limit, &["package", "repo/fee", "--base", "model", "-o", &file]),
            scarce.tmp(limit, &["package", "repo/fee", "--from-git", "HEAD", "-o", &format!("git-{file}")]),
            scarce.tmp(limit, &["archive", "create", "model-1"]),
            scarce.tmp(limit, &["archive", "restore", &id, "--to", &to]),
        ];
        let codes = ended.map(|ran| ran.code.unwrap_or_default());
        match limit {
            1 => assert_eq!(codes, [0, 1, 1, 1]),
            ENOUGH => assert_eq!(codes, [0; 4]),
            _ => {}
        }
        if codes[3] == 0 {
            assert_eq!(place.read(&format!("{to}/etc/fee.conf")), "rate=0\n");
        }
        place.ends(0, &["archive", "verify", "--read-data"]);
    }
}
