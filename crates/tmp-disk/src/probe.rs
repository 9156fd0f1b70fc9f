//! Whether a file system can be relied on, found out by doing.
//!
//! Everything is done in a directory of its own inside the work directory, which is TMP's. Nothing is
//! made or renamed in the root: even a name that is there for a moment only could be seen, and would
//! change the root's modification time. That a rename leads from the one to the other is concluded from
//! their mount and device: Linux refuses a rename between two mounts of one file system (bind mounts),
//! hence the mount; btrfs refuses one between two subvolumes of one mount, hence the device.

mod operations;

use std::{
    io::{self, ErrorKind::NotFound},
    path::{Path, PathBuf},
};

use tmp_core::Mode;

use self::operations::{Found, Lack, Operations};
use crate::{
    dirs::create_dir_durably,
    disk::{At, Dir, Disk, Durability, FileSystem},
    error::DiskError,
    remove::remove_tree,
    tree::Tree,
};

/// The probe's own directory in the work directory.
const NAME: &str = "probe";

/// What a file system can do beyond what every one must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The file system.
    pub file_system: FileSystem,
    /// Whether two names can be exchanged in one step. Where they cannot, regular files alone can be
    /// replaced: by a second name for the old and a rename over the first.
    pub exchange: bool,
    /// Whether it keeps extended attributes of users.
    pub xattrs: bool,
    /// Whether it records when an inode was made.
    pub birth_times: bool,
}

impl Capabilities {
    /// The least that every file system has which is not refused for its kind: what is known of one on which there is
    /// no room to try anything. `ephemeral` as for [`probe`].
    ///
    /// # Errors
    /// The file system is refused for its kind.
    pub fn least(tree: &Tree, work: &Dir, ephemeral: bool) -> Result<Self, ProbeError> {
        let disk = &**tree.disk();
        keeps(disk, (tree.root(), tree.path()), ephemeral)?;
        let file_system = keeps(disk, (work, tree.path()), ephemeral)?;
        Ok(Self { file_system, exchange: false, xattrs: false, birth_times: false })
    }
}

/// Why a file system is refused. The work directory is as it was; the root was not touched.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It is kept by another machine or by a program.
    #[error(
        "{path} is on {name}, where a sync means whatever another machine or program takes it to mean; run TMP \
         on the machine that has the disk"
    )]
    Remote {
        /// Where.
        path: PathBuf,
        /// The type of file system.
        name: String,
    },
    /// It is gone with the power, and nobody said that this is meant.
    #[error("{path} is on {name}, which a power loss empties; say `ephemeral: true` where that is meant")]
    Ephemeral {
        /// Where.
        path: PathBuf,
        /// The type of file system.
        name: String,
    },
    /// The work directory lies on another mount than the root, or in another subvolume.
    #[error(
        "the work directory is not on the mount (and subvolume) of {root}, so nothing can be renamed from one \
         to the other; leave `work:` out, or set it to a directory that is, such as {root}/.tmp-work"
    )]
    OtherMount {
        /// The root.
        root: PathBuf,
    },
    /// An operation that every migration needs fails or does something else.
    #[error("{name} cannot {what}, which every migration needs; move {path} to ext4, XFS or btrfs")]
    Lacks {
        /// Where.
        path: PathBuf,
        /// The type of file system.
        name: String,
        /// What it cannot do.
        what: &'static str,
        /// The operating system's answer; `None` where it said yes and did something else.
        source: Option<io::Error>,
    },
    /// The probe itself could not be carried out.
    #[error("the file system cannot be probed")]
    Disk(#[from] DiskError),
}

/// Finds out whether migrations of `tree` by way of `work` can be relied on, by doing everything that they
/// do, and what is possible beyond that. `ephemeral` allows a file system that a power loss empties.
/// Leaves nothing behind, and removes what an earlier probe left that was killed.
///
/// # Errors
/// The file system is refused; each variant says how to mend it.
pub fn probe(tree: &Tree, work: &Dir, ephemeral: bool) -> Result<Capabilities, ProbeError> {
    let disk = &**tree.disk();
    keeps(disk, (tree.root(), tree.path()), ephemeral)?;
    let file_system = keeps(disk, (work, tree.path()), ephemeral)?;
    let place = |dir| {
        let stat = disk.stat(At::itself(dir)).and_then(|stat| stat.ok_or_else(|| NotFound.into()));
        stat.map(|stat| (stat.mount, stat.device)).map_err(DiskError::at("look at", tree.path()))
    };
    if place(tree.root())? != place(work)? {
        return Err(ProbeError::OtherMount { root: tree.path().to_owned() });
    }
    let at = At::new(work, NAME);
    remove_tree(disk, at)?;
    let dir = create_dir_durably(disk, work, NAME, Mode::from_bits(0o700))?;
    let found = Operations { disk, dir: &dir }.all();
    remove_tree(disk, at)?;
    disk.sync_dir(work).map_err(DiskError::at("make durable", "the work directory"))?;
    match found {
        Ok(Found { exchange, xattrs, birth_times }) => {
            Ok(Capabilities { file_system, exchange, xattrs, birth_times })
        }
        Err(Lack { what, source }) => {
            Err(ProbeError::Lacks { path: tree.path().to_owned(), name: file_system.name, what, source })
        }
    }
}

/// The file system of a directory, if its kind is one that keeps what it is given: TMP relies on it for all that
/// it writes. `ephemeral` allows one that a power loss empties.
///
/// # Errors
/// [`ProbeError::Remote`], [`ProbeError::Ephemeral`], or it cannot be asked.
pub fn keeps(disk: &dyn Disk, (dir, path): (&Dir, &Path), ephemeral: bool) -> Result<FileSystem, ProbeError> {
    let found = disk.file_system(dir);
    let found = found.map_err(DiskError::at("ask about the file system of", path))?;
    match refusal(&found, path, ephemeral) {
        Some(refusal) => Err(refusal),
        None => Ok(found),
    }
}

fn refusal(found: &FileSystem, path: &Path, ephemeral: bool) -> Option<ProbeError> {
    let (path, name) = (path.to_owned(), found.name.clone());
    match found.durability {
        Durability::Remote => Some(ProbeError::Remote { path, name }),
        Durability::Ephemeral if !ephemeral => Some(ProbeError::Ephemeral { path, name }),
        Durability::Ephemeral | Durability::Local => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_does_not_keep_what_it_is_given() {
        let refused = |durability, ephemeral| {
            let name = "nfs".to_owned();
            let found = FileSystem { name, free_bytes: 1, free_inodes: None, durability };
            refusal(&found, Path::new("/srv"), ephemeral)
        };
        for ephemeral in [false, true] {
            assert!(matches!(refused(Durability::Remote, ephemeral), Some(ProbeError::Remote { .. })));
            assert!(refused(Durability::Local, ephemeral).is_none());
        }
        assert!(matches!(refused(Durability::Ephemeral, false), Some(ProbeError::Ephemeral { .. })));
        assert!(refused(Durability::Ephemeral, true).is_none());
    }
}
