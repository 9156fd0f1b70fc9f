//! Fetches releases by name, once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Done, shell};

/// Where releases are found, and in what form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registry {
    /// The Python Package Index, sources.
    Sources,
    /// The Python Package Index, a wheel for any Linux on x86-64.
    Wheel,
    /// The npm registry.
    Npm,
    /// Debian, sources inside a package such as linux-source-6.1.
    Debian,
}

impl Registry {
    /// What people call it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Sources => "PyPI, sources",
            Self::Wheel => "PyPI, wheel",
            Self::Npm => "npm",
            Self::Debian => "Debian",
        }
    }
}

/// The unpacked release of a package below `folder`; what is there already is used again.
pub(crate) fn release(folder: &Path, registry: Registry, name: &str, version: &str) -> Done<PathBuf> {
    once(folder, &format!("{name}-{version}"), |into| {
        let unpacked = into.join("unpacked");
        let file = match registry {
            Registry::Sources => pip(into, &["--no-binary", ":all:"], name, version)?,
            Registry::Wheel => {
                let platforms = ["--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64"];
                let which =
                    [&["--only-binary", ":all:", "--python-version", "3.11"][..], &platforms].concat();
                pip(into, &which, name, version)?
            }
            Registry::Npm => {
                let mut npm = Command::new("npm");
                npm.args(["pack", "--silent", &format!("{name}@{version}"), "--pack-destination"]).arg(into);
                shell::read(&mut npm)?;
                downloaded(into)?
            }
            Registry::Debian => {
                let apt = ["--quiet=2", "download", &format!("{name}={version}")];
                shell::run(Command::new("apt-get").args(apt).current_dir(into))?;
                let package = downloaded(into)?;
                let sources = into.join("package");
                shell::run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&sources))?;
                fs::remove_file(package)?;
                downloaded(&sources.join("usr/src"))?
            }
        };
        if registry == Registry::Wheel {
            let unpack = ["-m", "zipfile", "-e"];
            return shell::run(Command::new("python3").args(unpack).arg(&file).arg(&unpacked));
        }
        fs::create_dir(&unpacked)?;
        let mut tar = Command::new("tar");
        tar.args(["--strip-components", "1", "--no-same-owner", "-xf"]).arg(&file).arg("-C").arg(&unpacked);
        shell::run(&mut tar)?;
        Ok(fs::remove_file(file)?)
    })
}

/// Makes `folder/release/unpacked` unless it is there: beside it first, so that a half one is never used.
fn once(folder: &Path, release: &str, make: impl Fn(&Path) -> Done) -> Done<PathBuf> {
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
fn pip(into: &Path, which: &[&str], name: &str, version: &str) -> Done<PathBuf> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"]).arg(into).args(which);
    shell::run(pip.arg(format!("{name}=={version}")))?;
    downloaded(into)
}

fn downloaded(into: &Path) -> Done<PathBuf> {
    let file = fs::read_dir(into)?.next().ok_or("nothing was downloaded")?;
    Ok(file?.path())
}
