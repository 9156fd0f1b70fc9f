//! Fetches the inputs by name, once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Done, shell};

/// The older release.
pub(super) const OLD: &str = "ansible==2.4.0.0";
/// The feature release after it.
pub(super) const NEW: &str = "ansible==2.5.0";
/// What holds the database.
pub(super) const DATABASE: &str = "pyproj==3.6.1";
const DATABASE_INSIDE: &str = "pyproj/proj_dir/share/proj/proj.db";

/// Unpacked inputs, not to be changed.
pub(super) struct Inputs {
    pub(super) old: PathBuf,
    pub(super) new: PathBuf,
    pub(super) database: PathBuf,
}

/// The inputs below `folder`; what is there already is used again.
pub(super) fn inputs(folder: &Path) -> Done<Inputs> {
    fs::create_dir_all(folder)?;
    Ok(Inputs {
        old: source(folder, OLD)?,
        new: source(folder, NEW)?,
        database: wheel(folder, DATABASE)?.join(DATABASE_INSIDE),
    })
}

/// The unpacked sources of a release.
fn source(folder: &Path, release: &str) -> Done<PathBuf> {
    once(folder, release, |into| {
        let archive = download(into, &["--no-binary", ":all:", release])?;
        let unpacked = into.join("unpacked");
        fs::create_dir(&unpacked)?;
        let mut tar = Command::new("tar");
        tar.args(["--strip-components", "1", "--no-same-owner", "-xzf"])
            .arg(&archive)
            .arg("-C")
            .arg(&unpacked);
        shell::run(&mut tar)
    })
}

/// The unpacked wheel of a release for any Linux on x86-64; the Python that runs does not matter.
fn wheel(folder: &Path, release: &str) -> Done<PathBuf> {
    once(folder, release, |into| {
        let which = [
            "--only-binary",
            ":all:",
            "--platform",
            "manylinux2014_x86_64",
            "--python-version",
            "3.11",
            release,
        ];
        let archive = download(into, &which)?;
        let unpack = ["-m", "zipfile", "-e"];
        shell::run(Command::new("python3").args(unpack).arg(&archive).arg(into.join("unpacked")))
    })
}

/// Makes `folder/release/unpacked` unless it is there: beside it first, so that a half one is never used.
fn once(folder: &Path, release: &str, make: impl Fn(&Path) -> Done) -> Done<PathBuf> {
    let done = folder.join(release);
    if !done.exists() {
        let beside = folder.join(format!("{release}.partial"));
        if beside.exists() {
            fs::remove_dir_all(&beside)?;
        }
        fs::create_dir(&beside)?;
        make(&beside)?;
        fs::rename(&beside, &done)?;
    }
    Ok(done.join("unpacked"))
}

/// Lets pip fetch one file into `into`. For sources pip also asks the package for its metadata.
fn download(into: &Path, which: &[&str]) -> Done<PathBuf> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"]).arg(into).args(which);
    shell::run(&mut pip)?;
    let file = fs::read_dir(into)?.next().ok_or("pip downloaded nothing")?;
    Ok(file?.path())
}
