//! Fetches releases by name, once: sources and wheels from the Python Package Index, sources from Debian.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Done, shell};

/// The unpacked sources of a release.
pub(crate) fn source(folder: &Path, release: &str) -> Done<PathBuf> {
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
pub(crate) fn wheel(folder: &Path, release: &str) -> Done<PathBuf> {
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

/// The unpacked sources that a package of Debian holds as a tar file, such as `linux-source-6.1=6.1.172-1`.
pub(crate) fn debian(folder: &Path, release: &str) -> Done<PathBuf> {
    once(folder, release, |into| {
        shell::run(Command::new("apt-get").args(["--quiet=2", "download", release]).current_dir(into))?;
        let script = "dpkg-deb -x *.deb inside && rm *.deb && mkdir unpacked \
            && tar -C unpacked --strip-components=1 --no-same-owner -xf inside/usr/src/*.tar.* && rm -r inside";
        shell::run(Command::new("sh").args(["-ec", script]).current_dir(into))
    })
}

/// Makes `folder/release/unpacked` unless it is there: beside it first, so that a half one is never used.
pub(crate) fn once(folder: &Path, release: &str, make: impl Fn(&Path) -> Done) -> Done<PathBuf> {
    fs::create_dir_all(folder)?;
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
