//! Packaging straight from a label of source control.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use crate::support::{Place, Ran, ran, settings};

/// Git without anybody's settings.
pub(crate) fn git(dir: &Path, arguments: &[&str]) -> Ran {
    let ran = ran(git_command(dir).args(arguments));
    assert_eq!(ran.code, Some(0), "git {}\n{}{}", arguments.join(" "), ran.out, ran.err);
    ran
}

pub(crate) fn git_command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, value) in [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_AUTHOR_NAME", "a"),
        ("GIT_AUTHOR_EMAIL", "a@example.org"),
        ("GIT_COMMITTER_NAME", "a"),
        ("GIT_COMMITTER_EMAIL", "a@example.org"),
        ("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z"),
        ("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z"),
    ] {
        command.env(name, value);
    }
    command
}

/// Commits everything in `dir` and answers the id.
pub(crate) fn commit(dir: &Path) -> String {
    git(dir, &["add", "-A", "-f"]);
    git(dir, &["commit", "-q", "--allow-empty", "-m", "x"]);
    git(dir, &["rev-parse", "HEAD"]).out.trim().to_owned()
}

/// The billing system beside a repository `repo` whose tag `v1` has the good enhancement in `fee`, with a
/// symlink and names that are not plain.
fn repository() -> (Place, String) {
    let place = Place::billing();
    fs::create_dir(place.path("repo")).unwrap();
    fs::rename(place.path("fee"), place.path("repo/fee")).unwrap();
    place.write("repo/fee/files/bin/a \"b\"\u{fc}\n".trim_end(), "odd\n");
    place.write("repo/fee/files/bin/empty", "");
    symlink("fee", place.path("repo/fee/files/bin/late")).unwrap();
    git(&place.path("repo"), &["init", "-q", "-b", "main"]);
    let id = commit(&place.path("repo"));
    git(&place.path("repo"), &["tag", "v1"]);
    (place, id)
}

fn payload(place: &Place, arguments: &[&str]) -> serde_json::Value {
    let made = place.json(&[&["package", "-o", "x.trigger"], arguments].concat());
    assert!(made["payload"].is_string(), "{made}");
    made["payload"].clone()
}

#[test]
fn a_label_gives_the_payload_of_a_clean_checkout_and_is_recorded() {
    let (place, id) = repository();
    let clean = payload(&place, &["repo/fee"]);
    // A working copy that is dirty, on another branch, or not there plays no part.
    place.write("repo/fee/files/bin/fee", "changed\n");
    place.write("repo/fee/files/bin/more", "more\n");
    place.write("repo/fee/enhancement.yaml", "nonsense");
    assert_eq!(payload(&place, &["repo/fee", "--from-git", "v1"]), clean);
    commit(&place.path("repo"));
    fs::remove_dir_all(place.path("repo/fee")).unwrap();
    for label in ["v1", &id, &id[..9], "main~1", "refs/tags/v1"] {
        assert_eq!(payload(&place, &["repo/fee", "--from-git", label]), clean, "{label}");
    }
    let told = place.ends(0, &["package", "repo/fee", "--from-git", "v1", "-o", "v1.trigger"]).out;
    assert!(told.contains(&format!("label    repo, v1, {id}, clean")), "{told}");
    let shown = place.ends(0, &["inspect", "v1.trigger"]).out;
    assert!(shown.contains(&format!("repo, v1, {id}, clean")), "{shown}");
    // What stands before the host of its origin is not its name.
    git(&place.path("repo"), &["remote", "add", "origin", "https://user:hunter2@host"]);
    let told = place.ends(0, &["package", "repo/fee", "--from-git", "v1", "-o", "host.trigger"]).out;
    assert!(told.contains("label    host, v1") && !told.contains("hunter2"), "{told}");
    git(&place.path("repo"), &["remote", "remove", "origin"]);
    // Elsewhere: a bare clone, whose name is that of where it comes from, and no work tree at all.
    git(place.dir(), &["clone", "-q", "--bare", "repo", "bare.git"]);
    let made = place.json(&["package", "bare.git/fee", "--from-git", "v1", "-o", "b.trigger"]);
    assert_eq!(made["payload"], clean);
    assert_eq!(fs::read(place.path("b.trigger")).unwrap(), fs::read(place.path("v1.trigger")).unwrap());
}

#[test]
fn nothing_of_the_environment_or_of_replacements_changes_the_answer() {
    let (place, id) = repository();
    let clean = payload(&place, &["repo/fee", "--from-git", "v1"]);
    place.write("repo/fee/files/bin/fee", "another\n");
    let other = commit(&place.path("repo"));
    git(&place.path("repo"), &["replace", &id, &other]);
    let mut command =
        place.command(&["package", "repo/fee", "--from-git", "v1", "-o", "x.trigger", "--json"]);
    command.env("GIT_DIR", place.path("nowhere")).env("GIT_INDEX_FILE", "/nowhere").env("GIT_TRACE", "1");
    let ran = ran(&mut command);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let made: serde_json::Value = serde_json::from_str(ran.out.trim()).unwrap();
    assert_eq!(made["payload"], clean);
    assert_eq!(made["label"]["commit"], id.as_str());
}

#[test]
fn every_sort_of_repository_is_read() {
    let (place, _) = repository();
    let clean = payload(&place, &["repo/fee", "--from-git", "v1"]);
    git(&place.path("repo"), &["worktree", "add", "-q", "../linked", "v1"]);
    git(&place.path("repo"), &["pack-refs", "--all"]);
    git(&place.path("repo"), &["gc", "-q"]);
    git(place.dir(), &["clone", "-q", "--shared", "repo", "shared"]);
    for dir in ["repo/fee", "linked/fee", "shared/fee", "shared/../linked/fee"] {
        assert_eq!(payload(&place, &[dir, "--from-git", "v1"]), clean, "{dir}");
    }
    fs::create_dir(place.path("new")).unwrap();
    git(&place.path("new"), &["init", "-q", "--object-format=sha256"]);
    fs::rename(place.path("linked/fee"), place.path("new/fee")).unwrap();
    let id = commit(&place.path("new"));
    assert_eq!(id.len(), 64);
    assert_eq!(payload(&place, &["new/fee", "--from-git", &id]), clean);
    // Without its objects a clone is told to fetch them, and nothing is fetched for it.
    git(&place.path("repo"), &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", place.path("repo").display());
    git(place.dir(), &["clone", "-q", "--no-checkout", "--filter=blob:none", &url, "partial"]);
    let said = place.ends(3, &["package", "partial/fee", "--from-git", "v1"]).err;
    assert!(said.contains("is not in this clone"), "{said}");
}

#[test]
fn a_label_cannot_be_an_option() {
    let (place, id) = repository();
    git(&place.path("repo"), &["update-ref", "refs/tags/--git-dir", &id]);
    git(&place.path("repo"), &["update-ref", "refs/heads/-b", &id]);
    let clean = payload(&place, &["repo/fee", "--from-git", "v1"]);
    for label in ["--from-git=--git-dir", "--from-git=-b", "--from-git=refs/tags/--git-dir"] {
        assert_eq!(payload(&place, &["repo/fee", label]), clean, "{label}");
    }
    for label in ["--from-git=--all", "--from-git=--output=/nowhere", "--from-git=-h", "--from-git="] {
        let refused = place.ends(2, &["package", "repo/fee", label]).err;
        assert!(refused.contains("git-label"), "{label}: {refused}");
    }
}

#[test]
fn what_cannot_be_packaged_from_a_label_is_said() {
    let (place, first) = repository();
    let repo = place.path("repo");
    place.write(
        "repo/fee/files/fee.conf",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
    );
    let head = commit(&repo);
    git(&repo, &["update-index", "--add", "--cacheinfo", &format!("160000,{head},fee/files/bin/module")]);
    git(&repo, &["commit", "-q", "-m", "submodule"]);
    git(&repo, &["tag", "bad"]);
    git(&repo, &["branch", "v1", "bad"]);
    place.write(
        "repo/fee/enhancement.yaml",
        &crate::support::ENHANCEMENT
            .replace("system:", "label: {repository: books, tag: v0, commit: abc, state: dirty}\nsystem:"),
    );
    git(&repo, &["rm", "-q", "--cached", "fee/files/bin/module"]);
    git(&repo, &["checkout", "-q", &first, "--", "fee/files/fee.conf"]);
    commit(&repo);
    git(&repo, &["tag", "said"]);
    git(&repo, &["tag", "blob", "HEAD:fee/files/fee.conf"]);
    git(place.dir(), &["clone", "-q", "--depth=1", &format!("file://{}", repo.display()), "shallow"]);
    place.write("apart/enhancement.yaml", "x");
    let tell = |code: i32, arguments: &[&str]| {
        let said = place.ends(code, &[&["package"], arguments].concat()).err;
        format!("$ tmp package {}\n{said}\n", arguments.join(" "))
    };
    let mut said = tell(3, &["repo/fee", "--from-git", "bad"]);
    said += &tell(3, &["repo/fee", "--from-git", "said"]);
    said += &tell(2, &["repo/fee", "--from-git", "v1"]);
    said += &tell(2, &["repo/fee", "--from-git", "v2"]);
    said += &tell(2, &["repo/fee", "--from-git", "blob"]);
    said += &tell(3, &["repo/none", "--from-git", "said"]);
    said += &tell(3, &["repo/fee/files", "--from-git", "said"]);
    said += &tell(3, &["repo/fee/enhancement.yaml", "--from-git", "said"]);
    said += &tell(3, &["shallow/fee", "--from-git", "said~1"]);
    said += &tell(2, &["apart", "--from-git", "said"]);
    let mut settings = settings(&place);
    settings.add_filter("[0-9a-f]{40}", "[COMMIT]");
    settings.bind(|| insta::assert_snapshot!("refused_from_git", said));
    let none = ran(place.command(&["package", "repo/fee", "--from-git", "v1"]).env("PATH", "/nowhere"));
    assert!(none.code == Some(1) && none.err.contains("git cannot be started"), "{}", none.err);
}
