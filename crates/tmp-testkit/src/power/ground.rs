//! A reference package on a file system of its own.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::whole;
use crate::{
    context::Context,
    device::{FileSystem, Image, Mount, ServedDisk},
    matrix::{Package, Reference, Scene, State, Verdict, copy_tree},
    stepper::StepOutcome,
};

/// The kind of file system a package lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// One on a disk.
    Disk(FileSystem),
    /// One in memory, tmpfs. The site is configured as ephemeral.
    Memory,
}

/// A reference package on a file system of its own, as it was before anything was migrated, again and again.
///
/// It mounts, so it has to be used in [`crate::device::privately`], and by one thread at a time.
#[derive(Debug)]
pub struct Ground {
    pub(super) scene: Scene,
    pub(super) reference: Reference,
    pub(super) place: Place,
    folder: PathBuf,
    base: Base,
    calls: Vec<&'static str>,
}

/// What every point starts from.
#[derive(Debug)]
enum Base {
    Disk(Image),
    /// A copy of the tree.
    Memory(PathBuf),
}

impl Place {
    /// Its name, as `mount -t` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disk(on) => on.name(),
            Self::Memory => "tmpfs",
        }
    }
}

impl Ground {
    /// Makes the file system below `folder`, builds the package's scene on it and lets it migrate once. `options` are
    /// for `mkfs`.
    ///
    /// # Errors
    /// A tool is missing or fails, or as [`Scene::build`] and [`Reference::learn`].
    pub fn prepare(tmp: &Path, folder: &Path, package: Package, place: Place, options: &[&str]) -> io::Result<Self> {
        let (disk, at) = (folder.join("disk"), folder.join("at"));
        fs::create_dir_all(&at).context("make", at.display())?;
        if let Place::Disk(on) = place {
            on.format(&disk, on.small(), options)?;
        }
        let mount = mount(place, folder)?;
        let scene = Scene::build(tmp, &at, package)?;
        scene.reset()?;
        let base = match place {
            Place::Disk(_) => {
                mount.unmount()?;
                Base::Disk(Image::read(&disk)?)
            }
            Place::Memory => {
                let kept = folder.join("kept");
                copy_tree(&at, &kept)?;
                mount.unmount()?;
                Base::Memory(kept)
            }
        };
        let mount = lay(&base, place, folder)?;
        let mut reference = Reference::learn(&scene)?;
        reference.before = {
            scene.reset()?;
            State::of(&scene)?
        };
        let calls = scene.run().ending_with(package.ends_with())?;
        mount.unmount()?;
        Ok(Self { scene, reference, place, folder: folder.to_owned(), base, calls })
    }

    /// The names of the calls of an undisturbed migration, in order.
    pub fn calls(&self) -> &[&'static str] {
        &self.calls
    }

    /// The place.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Where the file system is mounted.
    pub(super) fn at(&self) -> PathBuf {
        self.folder.join("at")
    }

    /// Mounts a file system as it was before anything was migrated.
    pub(super) fn fresh(&self) -> io::Result<Mount> {
        lay(&self.base, self.place, &self.folder)
    }

    /// Mounts the disk as it is.
    pub(super) fn mount(&self) -> io::Result<Mount> {
        mount(self.place, &self.folder)
    }

    /// Lays down the disk as it was before anything was migrated, without mounting it.
    pub(super) fn lay(&self) -> io::Result<fs::File> {
        match &self.base {
            Base::Disk(image) => image.lay(&self.folder.join("disk")),
            Base::Memory(_) => Err(io::Error::other("memory is no disk")),
        }
    }

    /// The same, served and mounted from there.
    pub(super) fn served(&self) -> io::Result<(ServedDisk, Mount)> {
        let Place::Disk(on) = self.place else { return Err(io::Error::other("memory is no disk")) };
        let disk = ServedDisk::serve(self.lay()?, &self.folder.join("served"))?;
        let mount = Mount::disk(&disk.file(), &self.at(), on, &[])?;
        Ok((disk, mount))
    }

    /// Judges what stands on the mounted file system: each path by itself, then two recoveries, one after the other.
    pub(super) fn settle(&self, run: Option<&StepOutcome>) -> io::Result<Verdict> {
        let torn = whole::torn(&self.scene, &self.reference)?;
        let first = self.scene.recovered()?;
        let second = self.scene.recovered()?;
        Ok(with(torn, self.reference.judge(run, &first, &second)))
    }
}

/// The same verdict, and these lines too.
pub(super) fn with(mut wrong: Vec<String>, verdict: Verdict) -> Verdict {
    match verdict {
        verdict if wrong.is_empty() => verdict,
        Verdict::Violation(lines) => {
            wrong.extend(lines);
            Verdict::Violation(wrong)
        }
        Verdict::Before | Verdict::After => Verdict::Violation(wrong),
    }
}

fn mount(place: Place, folder: &Path) -> io::Result<Mount> {
    match place {
        Place::Disk(on) => Mount::disk(&folder.join("disk"), &folder.join("at"), on, &[]),
        Place::Memory => Mount::memory(&folder.join("at"), "size=64m,nr_inodes=2000"),
    }
}

fn lay(base: &Base, place: Place, folder: &Path) -> io::Result<Mount> {
    match base {
        Base::Disk(image) => {
            image.lay(&folder.join("disk"))?;
            mount(place, folder)
        }
        Base::Memory(kept) => {
            let mount = mount(place, folder)?;
            copy_tree(&kept.join("."), &folder.join("at"))?;
            Ok(mount)
        }
    }
}
