//! What a confined command sees of the file systems: a root of its own that holds what it was granted and
//! nothing else. It vanishes with its last process, with all that was written to its temporary directory.

use std::{
    fmt::Display,
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Component, Path, PathBuf},
};

use nix::sched::{CloneFlags, unshare};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, mkdirat, mknodat, open, openat, symlinkat},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
        OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change,
        mount_remount, move_mount, open_tree, unmount,
    },
    process::{chdir, pivot_root},
};
use tmp_core::plan::{Confinement, Network};

use super::Cell;

/// What every command may read and run, where it exists.
pub(super) const SYSTEM: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc"];

/// The devices of every command.
pub(super) const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Where its own temporary directory is.
pub(crate) const TEMPORARY: &str = "/tmp";

/// Where the new root is put together, in the command's own mount namespace. Whatever lies there is opened
/// before.
const STAGE: &str = "/proc";

/// Something that is seen, at the same path as outside.
struct Shown {
    path: PathBuf,
    what: What,
}

enum What {
    /// A mount of what lies there.
    Tree { mount: OwnedFd, directory: bool, writable: bool },
    /// A symlink of the machine's layout.
    Link(PathBuf),
    /// Nothing: what TMP keeps there is not to be seen.
    Hidden,
}

/// Puts the calling thread into namespaces of its own, with a root that holds what is granted alone.
///
/// # Errors
/// In words. The thread must end: it may be half-way.
pub(super) fn enter(cell: &Cell<'_>) -> Result<(), String> {
    let mut flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC;
    if cell.confinement.network == Network::None {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    unshare(flags).map_err(|error| {
        format!("no namespaces can be made ({error}): this takes root, or the capability CAP_SYS_ADMIN")
    })?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(said("its mounts cannot be kept apart"))?;
    let shown = shown(cell)?;
    build(cell.confinement, shown)
        .map_err(|(path, error)| format!("{} cannot be shown: {error}", path.display()))
}

fn said<E: Display>(what: impl Display) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}

/// Everything that is seen, parents before what lies in them.
fn shown(cell: &Cell<'_>) -> Result<Vec<Shown>, String> {
    let mut all = Vec::new();
    for path in SYSTEM.map(Path::new) {
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(said(path.display())(error)),
            Ok(there) if there.is_symlink() => {
                let target = path.read_link().map_err(said(path.display()))?;
                all.push(Shown { path: path.to_owned(), what: What::Link(target) });
            }
            Ok(_) => all.push(tree(path.to_owned(), false)?),
        }
    }
    for path in DEVICES {
        all.push(tree(path.into(), true)?);
    }
    let within = |path: &Path| SYSTEM.iter().any(|system| path.starts_with(system));
    for path in &cell.confinement.read {
        if !within(path.as_std_path()) {
            all.push(tree(path.into(), false)?);
        }
    }
    let writable = cell.confinement.write.iter().map(|path| path.as_std_path());
    for path in writable.chain([cell.root.as_std_path()]) {
        all.push(tree(path.to_owned(), true)?);
    }
    for (path, writable) in cell.own {
        all.push(tree(path.clone(), *writable)?);
    }
    let hidden: Vec<_> = all.iter().map(|shown| hidden(shown, cell)).collect::<Result<_, _>>()?;
    all.extend(hidden.into_iter().flatten());
    // Stable: of two at one path the one that may be written to is last, and so on top.
    all.sort_by_key(|shown| shown.path.components().count());
    Ok(all)
}

fn tree(path: PathBuf, writable: bool) -> Result<Shown, String> {
    let there = path.metadata().map_err(said(path.display()))?;
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if writable {
        // What is mounted below a path that is only read cannot be made read-only with it: it is left out.
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let mount = open_tree(CWD, &path, flags).map_err(said(path.display()))?;
    let what = What::Tree { mount, directory: there.is_dir(), writable };
    Ok(Shown { path, what })
}

/// What TMP keeps below something that is shown.
fn hidden(shown: &Shown, cell: &Cell<'_>) -> Result<Vec<Shown>, String> {
    let What::Tree { directory: true, .. } = shown.what else { return Ok(Vec::new()) };
    let real = shown.path.canonicalize().map_err(said(shown.path.display()))?;
    let mut all = Vec::new();
    for hidden in cell.hidden {
        match hidden.canonicalize() {
            Ok(hidden) => {
                let below = hidden.strip_prefix(&real).ok().map(|rest| shown.path.join(rest));
                all.extend(below.filter(|path| *path != shown.path));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(said(hidden.display())(error)),
        }
    }
    Ok(all.into_iter().map(|path| Shown { path, what: What::Hidden }).collect())
}

/// The error, and what it was met at.
type Failed = (PathBuf, io::Error);

fn build(confinement: &Confinement, shown: Vec<Shown>) -> Result<(), Failed> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error: rustix::io::Errno| (path.clone(), io::Error::from(error))
    };
    let stage = Path::new(STAGE);
    let root = memory(64 << 20, "0755").map_err(at(stage))?;
    place(&root, stage).map_err(at(stage))?;
    let base = open(STAGE, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let base = base.map_err(at(stage))?;
    let temporary = Path::new(TEMPORARY);
    directories(&base, temporary).map_err(at(temporary))?;
    let own = memory(confinement.memory, "1777").map_err(at(temporary))?;
    place(&own, &staged(temporary)).map_err(at(temporary))?;
    let mut read_only = vec![stage.to_owned()];
    for one in shown {
        let path = one.path;
        show(&base, &path, &one.what, &mut read_only).map_err(at(&path))?;
    }
    symlinkat(TEMPORARY, &base, "dev/shm").map_err(at(Path::new("/dev/shm")))?;
    for path in read_only.iter().rev() {
        let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        mount_remount(path, flags, "").map_err(at(path))?;
    }
    chdir(STAGE)
        .and_then(|()| pivot_root(".", "."))
        .and_then(|()| unmount(".", UnmountFlags::DETACH))
        .and_then(|()| chdir("/"))
        .map_err(at(stage))
}

fn show(base: &OwnedFd, path: &Path, what: &What, read_only: &mut Vec<PathBuf>) -> rustix::io::Result<()> {
    match what {
        What::Link(target) => {
            directories(base, path.parent().unwrap_or(path))?;
            symlinkat(target, base, relative(path))
        }
        What::Tree { mount, directory, writable } => {
            if *directory {
                directories(base, path)?;
            } else {
                directories(base, path.parent().unwrap_or(path))?;
                // Not opened to be written, not even for a moment: a process that another thread is starting just
                // then would have it too, and what is written to cannot be made read-only.
                match mknodat(base, relative(path), FileType::RegularFile, Mode::from_raw_mode(0o600), 0) {
                    Err(_) if there(base, path) => {}
                    result => result?,
                }
            }
            place(mount, &staged(path))?;
            if !writable {
                read_only.push(staged(path));
            }
            Ok(())
        }
        What::Hidden => {
            let nothing = memory(16 << 20, "0755")?;
            place(&nothing, &staged(path))?;
            read_only.push(staged(path));
            Ok(())
        }
    }
}

fn there(base: &OwnedFd, path: &Path) -> bool {
    openat(base, relative(path), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).is_ok()
}

/// A new file system in memory that belongs to nobody else.
fn memory(bytes: u64, mode: &str) -> rustix::io::Result<OwnedFd> {
    let new = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(new.as_fd(), "size", bytes.to_string())?;
    fsconfig_set_string(new.as_fd(), "mode", mode)?;
    fsconfig_create(new.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(new.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn place(mount: &OwnedFd, at: &Path) -> rustix::io::Result<()> {
    move_mount(mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

fn staged(path: &Path) -> PathBuf {
    Path::new(STAGE).join(relative(path))
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Makes the directories of a path that are not there.
fn directories(base: &OwnedFd, path: &Path) -> rustix::io::Result<()> {
    let mut so_far = PathBuf::new();
    for part in path.components() {
        if let Component::Normal(name) = part {
            so_far.push(name);
            match mkdirat(base, &so_far, Mode::from_raw_mode(0o755)) {
                Err(_) if there(base, &so_far) => {}
                result => result?,
            }
        }
    }
    Ok(())
}
