//! A reference package on a file system of its own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::whole;
use crate::{
    context::Context,
    device::{FileSystem, Image, Mount, ServedDisk},
    matrix::{Package, Reference, Scene, Verdict, copy_tree},
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
/// It mounts, so it has to be used in [`crate::device::privately`], and by one thread at a time; a [`Ground::beside`]
/// is for another thread.
#[derive(Debug, Clone)]
pub struct Ground {
    shared: Arc<Shared>,
    /// The number of this one among those that share everything but the disk.
    number: usize,
}

#[derive(Debug)]
struct Shared {
    scene: Scene,
    reference: Reference,
    place: Place,
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
    pub fn prepare(
        tmp: &Path,
        folder: &Path,
        package: Package,
        place: Place,
        options: &[&str],
    ) -> io::Result<Self> {
        let (disk, at) = (folder.join("disk-0"), folder.join("at"));
        fs::create_dir_all(&at).context("make", at.display())?;
        if let Place::Disk(on) = place {
            on.format(&disk, on.small(), options)?;
        }
        let mount = mount(place, &disk, &at)?;
        let scene = Scene::build(tmp, &at, package)?;
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
        let mount = lay(&base, place, &disk, &at)?;
        let reference = Reference::learn(&scene)?;
        scene.reset()?;
        let calls = scene.run().ending_with(package.ends_with())?;
        mount.unmount()?;
        let shared = Shared { scene, reference, place, folder: folder.to_owned(), base, calls };
        let ground = Self { shared: Arc::new(shared), number: 0 };
        ground.clear()?;
        Ok(ground)
    }

    /// The same with a disk of its own. What lies there has the same paths, in another mount namespace.
    #[must_use]
    pub fn beside(&self, number: usize) -> Self {
        Self { shared: Arc::clone(&self.shared), number }
    }

    /// The names of the calls of an undisturbed migration, in order.
    pub fn calls(&self) -> &[&'static str] {
        &self.shared.calls
    }

    /// The place.
    pub fn place(&self) -> Place {
        self.shared.place
    }

    /// Removes the disk; the next point gets a new one.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn clear(&self) -> io::Result<()> {
        match fs::remove_file(self.disk()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn scene(&self) -> &Scene {
        &self.shared.scene
    }

    fn disk(&self) -> PathBuf {
        self.shared.folder.join(format!("disk-{}", self.number))
    }

    /// Where the file system is mounted.
    pub(super) fn at(&self) -> PathBuf {
        self.shared.folder.join("at")
    }

    /// Mounts a file system as it was before anything was migrated.
    pub(super) fn fresh(&self) -> io::Result<Mount> {
        lay(&self.shared.base, self.place(), &self.disk(), &self.at())
    }

    /// Mounts the disk as it is.
    pub(super) fn mount(&self) -> io::Result<Mount> {
        mount(self.place(), &self.disk(), &self.at())
    }

    /// Lays down the disk as it was before anything was migrated, without mounting it.
    pub(super) fn lay(&self) -> io::Result<fs::File> {
        match &self.shared.base {
            Base::Disk(image) => image.lay(&self.disk()),
            Base::Memory(_) => Err(io::Error::other("memory is no disk")),
        }
    }

    /// The same, served and mounted from there.
    pub(super) fn served(&self) -> io::Result<(ServedDisk, Mount)> {
        let Place::Disk(on) = self.place() else { return Err(io::Error::other("memory is no disk")) };
        let folder = self.shared.folder.join(format!("served-{}", self.number));
        let disk = ServedDisk::serve(self.lay()?, &folder)?;
        let mount = Mount::disk(&disk.file(), &self.at(), on, &[])?;
        Ok((disk, mount))
    }

    /// Judges what stands on the mounted file system: each path by itself, then two recoveries, one after the other.
    pub(super) fn settle(&self, run: Option<&StepOutcome>) -> io::Result<Verdict> {
        let torn = whole::torn(self.scene(), &self.shared.reference)?;
        let first = self.scene().recovered()?;
        let second = self.scene().recovered()?;
        Ok(with(torn, self.shared.reference.judge(run, &first, &second)))
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

fn mount(place: Place, disk: &Path, at: &Path) -> io::Result<Mount> {
    match place {
        Place::Disk(on) => Mount::disk(disk, at, on, &[]),
        Place::Memory => Mount::memory(at, "size=64m,nr_inodes=2000"),
    }
}

fn lay(base: &Base, place: Place, disk: &Path, at: &Path) -> io::Result<Mount> {
    match base {
        Base::Disk(image) => {
            image.lay(disk)?;
            mount(place, disk, at)
        }
        Base::Memory(kept) => {
            let mount = mount(place, disk, at)?;
            copy_tree(&kept.join("."), at)?;
            Ok(mount)
        }
    }
}
