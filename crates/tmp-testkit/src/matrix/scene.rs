//! A reference system that can be migrated again and again.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use super::{Package, Recovery, State, copy_tree, remove, systems::System};
use crate::{
    context::Context,
    stepper::{Action, Stepper},
    trees,
};

/// The magic number of tmpfs (statfs(2)).
const TMPFS: i64 = 0x0102_1994;

/// A reference system, its enhancement and everything that TMP makes of them, all below one directory.
/// `original` is never migrated; `copy` is what each point starts from anew, always at the same path.
#[derive(Debug)]
pub struct Scene {
    tmp: PathBuf,
    scratch: PathBuf,
    package: Package,
}

impl Scene {
    /// Builds the system and its enhancement below `scratch`, on whatever file system that is, and packages it
    /// with the program `tmp`.
    ///
    /// # Errors
    /// `scratch` is not empty or cannot be written, or packaging fails.
    pub fn build(tmp: &Path, scratch: &Path, package: Package) -> io::Result<Self> {
        let scene = Self {
            tmp: tmp.canonicalize().context("find", tmp.display())?,
            scratch: scratch.canonicalize()?,
            package,
        };
        let system = System::of(package);
        let original = scene.original();
        fs::create_dir_all(original.join("billing")).context("make", original.display())?;
        trees::build(&system.tree, &original.join("billing"))?;
        if !system.database.is_empty() {
            let connection =
                rusqlite::Connection::open(original.join("billing.db")).map_err(io::Error::other)?;
            connection.execute_batch(system.database).map_err(io::Error::other)?;
        }
        if !system.registry.is_empty() {
            fs::create_dir(original.join("registry"))?;
        }
        for (name, text) in system.registry {
            fs::write(original.join("registry").join(name), text)?;
        }
        let ephemeral = rustix::fs::statfs(&scene.scratch)?.f_type == TMPFS;
        let configuration = system.configuration.replace("ROOT_IS_EPHEMERAL", &ephemeral.to_string());
        fs::write(original.join("tmp.yaml"), configuration)?;
        scene.write_enhancement(&system)?;
        scene.reset()?;
        let package = scene.tmp().arg("package").arg(scene.enhancement()).arg("--base").arg(scene.root());
        package.arg("-o").arg(scene.trigger()).count()?;
        Ok(scene)
    }

    /// Which package it is.
    pub const fn package(&self) -> Package {
        self.package
    }

    fn original(&self) -> PathBuf {
        self.scratch.join("original")
    }

    /// The directory that holds the system: its root, its database, `tmp.yaml`, the state directory `state` and the
    /// work directory `.tmp-work`.
    pub fn copy(&self) -> PathBuf {
        self.scratch.join("copy")
    }

    /// The directory of `enhancement.yaml`.
    pub fn enhancement(&self) -> PathBuf {
        self.scratch.join("enhancement")
    }

    /// The trigger file.
    pub fn trigger(&self) -> PathBuf {
        self.scratch.join("fee.trigger")
    }

    /// The tree of modules that is migrated.
    pub fn root(&self) -> PathBuf {
        self.copy().join("billing")
    }

    /// The database that is migrated, where the package has one.
    pub fn database(&self) -> Option<PathBuf> {
        Some(self.copy().join("billing.db")).filter(|file| file.exists())
    }

    /// What commands of the enhancement change beside the root, where the package has any.
    pub fn registry(&self) -> Option<PathBuf> {
        Some(self.copy().join("registry")).filter(|folder| folder.exists())
    }

    /// Starts anew from the original.
    ///
    /// # Errors
    /// The copy cannot be removed or made.
    pub fn reset(&self) -> io::Result<()> {
        remove(&self.copy())?;
        copy_tree(&self.original(), &self.copy())
    }

    /// Makes the system as it stands what every reset starts from.
    ///
    /// # Errors
    /// The original cannot be removed or made.
    pub fn keep(&self) -> io::Result<()> {
        remove(&self.original())?;
        copy_tree(&self.copy(), &self.original())
    }

    /// The program `tmp`, in the directory that holds the system.
    pub fn tmp(&self) -> Stepper {
        Stepper::new(&self.tmp).current_dir(self.copy()).env("HOME", &self.scratch)
    }

    /// `tmp run`, at once.
    pub fn run(&self) -> Stepper {
        self.tmp().arg("run").arg(self.trigger()).args(["--now", "--reason", "crash matrix"])
    }

    /// `tmp recover`.
    pub fn recover(&self) -> Stepper {
        self.tmp().arg("recover")
    }

    /// Lets `tmp recover` run undisturbed and looks at what it leaves.
    ///
    /// # Errors
    /// It cannot be started, or the system cannot be read.
    pub fn recovered(&self) -> io::Result<Recovery> {
        let outcome = self.recover().run(Action::Count)?;
        Ok(Recovery { outcome, state: State::of(self)?, leftovers: self.leftovers()? })
    }

    /// What lies about in the work directory, or beside the system, and must not: one line each.
    ///
    /// # Errors
    /// The directories cannot be read.
    pub fn leftovers(&self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        let work = self.copy().join(".tmp-work");
        if work.exists() {
            for found in walkdir::WalkDir::new(&work).min_depth(1) {
                let found = found?;
                let kept =
                    found.depth() == 1 && ["lock", "ballast"].iter().any(|name| found.file_name() == *name);
                let folder = found.depth() == 1 && found.file_type().is_dir();
                if !(kept || folder) {
                    lines.push(format!("left in the work directory: {}", found.path().display()));
                }
            }
        }
        let known = ["billing", "billing.db", "registry", ".tmp-work", "state", "tmp.yaml"];
        for found in fs::read_dir(self.copy())? {
            let name = found?.file_name();
            if !known.iter().any(|known| name == *known) {
                lines.push(format!("left beside the system: {}", name.display()));
            }
        }
        Ok(lines)
    }

    fn write_enhancement(&self, system: &System) -> io::Result<()> {
        let folder = self.enhancement();
        for (path, bytes, mode) in &system.enhancement {
            let at = folder.join(path);
            fs::create_dir_all(at.parent().unwrap_or(&folder))?;
            fs::write(&at, bytes).context("write", at.display())?;
            fs::set_permissions(&at, fs::Permissions::from_mode(*mode))?;
        }
        system.links.iter().try_for_each(|(path, text)| symlink(text, folder.join(path)))
    }
}
