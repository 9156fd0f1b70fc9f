//! What a directory tree is, seen by nobody but the kernel: its fingerprint.
//!
//! Included: every path, type, SHA-256 of the bytes, mode, owner, group, modification time, symlink text,
//! extended attributes (ACLs and capabilities among them), hard-link groups, holes and device numbers.
//! Excluded: change time, access time, inode numbers, size and order of directories.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
};

use rustix::{
    fs::{SeekFrom, XattrFlags},
    io::Errno,
};
use sha2::{Digest as _, Sha256};

use crate::context::Context;

/// What stands at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its type and content.
    pub content: Content,
    /// Permission bits, `07777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time in seconds and nanoseconds; `None` once it was forgotten.
    pub mtime: Option<(i64, i64)>,
    /// Extended attributes by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The number of names of the inode, in this tree or elsewhere; 1 for a directory.
    pub links: u64,
    /// The first path of the tree with the same inode, where that is not this one.
    pub same_as: Option<Vec<u8>>,
}

/// The type of an entry and what only that type has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A regular file.
    File {
        /// How many bytes.
        size: u64,
        /// SHA-256 of the bytes.
        sha256: [u8; 32],
        /// Where the bytes are that are not a hole: first and one past the last offset.
        data: Vec<(u64, u64)>,
    },
    /// A directory.
    Directory,
    /// A symbolic link and its text.
    Symlink(Vec<u8>),
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
    /// A device: whether it is a block device, and its number.
    Device(bool, u64),
}

/// A whole tree. The root itself stands at the empty path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeFingerprint {
    /// What stands at each path, relative to the root.
    pub entries: BTreeMap<Vec<u8>, Entry>,
}

/// Takes the fingerprint of a tree, without following symlinks.
///
/// # Errors
/// Something below `root` cannot be read; the text says what.
pub fn fingerprint(root: &Path) -> io::Result<TreeFingerprint> {
    let mut entries = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    for found in walkdir::WalkDir::new(root).sort_by_file_name() {
        let found = found.map_err(io::Error::from)?;
        let path = found.path();
        let relative = path.strip_prefix(root).map_err(io::Error::other)?.as_os_str().as_bytes().to_vec();
        let mut entry = entry(path)?;
        let meta = fs::symlink_metadata(path).context("look at", path.display())?;
        if entry.links > 1 {
            let first = inodes.entry((meta.dev(), meta.ino())).or_insert_with(|| relative.clone());
            entry.same_as = (*first != relative).then(|| first.clone());
        }
        entries.insert(relative, entry);
    }
    Ok(TreeFingerprint { entries })
}

fn entry(path: &Path) -> io::Result<Entry> {
    let meta = fs::symlink_metadata(path).context("look at", path.display())?;
    let kind = meta.file_type();
    let content = if kind.is_file() {
        let (sha256, data) = read(path).context("read", path.display())?;
        Content::File { size: meta.len(), sha256, data }
    } else if kind.is_dir() {
        Content::Directory
    } else if kind.is_symlink() {
        let target = fs::read_link(path).context("read the link", path.display())?;
        Content::Symlink(target.as_os_str().as_bytes().to_vec())
    } else if kind.is_fifo() {
        Content::Fifo
    } else if kind.is_socket() {
        Content::Socket
    } else {
        Content::Device(kind.is_block_device(), meta.rdev())
    };
    Ok(Entry {
        content,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: Some((meta.mtime(), meta.mtime_nsec())),
        xattrs: xattrs(path).context("read the extended attributes of", path.display())?,
        links: if kind.is_dir() { 1 } else { meta.nlink() },
        same_as: None,
    })
}

type Extents = Vec<(u64, u64)>;

fn read(path: &Path) -> io::Result<([u8; 32], Extents)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        match buffer.get(..count) {
            Some(bytes) if count > 0 => hasher.update(bytes),
            _ => break,
        }
    }
    Ok((hasher.finalize().into(), extents(&file)?))
}

fn extents(file: &File) -> io::Result<Extents> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(found),
            Err(error) => return Err(error.into()),
        };
        at = rustix::fs::seek(file, SeekFrom::Hole(start))?;
        found.push((start, at));
    }
}

fn xattrs(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut names = vec![0; 64 * 1024];
    let length = match rustix::fs::llistxattr(path, &mut names) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    let names = names.get(..length).unwrap_or_default();
    let mut found = BTreeMap::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 64 * 1024];
        let length = rustix::fs::lgetxattr(path, name, &mut value)?;
        value.truncate(length);
        found.insert(name.to_vec(), value);
    }
    Ok(found)
}

/// Sets one extended attribute of the thing at `path` itself.
///
/// # Errors
/// The file system refuses it.
pub fn set_xattr(path: &Path, name: &[u8], value: &[u8]) -> io::Result<()> {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())
        .context("set an attribute of", path.display())
}

impl TreeFingerprint {
    /// The same tree without the modification times of the paths that `which` names.
    #[must_use = "the fingerprint itself stays as it is"]
    pub fn without_mtimes(&self, which: impl Fn(&[u8]) -> bool) -> Self {
        let mut copy = self.clone();
        for (path, entry) in &mut copy.entries {
            if which(path) {
                entry.mtime = None;
            }
        }
        copy
    }

    /// The same tree, where each file has as many names, here and elsewhere, as in the other tree.
    #[must_use = "the fingerprint itself stays as it is"]
    pub fn with_link_counts_of(&self, other: &Self) -> Self {
        let mut copy = self.clone();
        for (path, entry) in &mut copy.entries {
            if let Some(known) = other.entries.get(path) {
                entry.links = known.links;
            }
        }
        copy
    }

    /// The paths whose entries are not the same in both, those that only one has among them.
    pub fn differing_paths(&self, other: &Self) -> Vec<Vec<u8>> {
        let paths: std::collections::BTreeSet<_> = self.entries.keys().chain(other.entries.keys()).collect();
        paths
            .into_iter()
            .filter(|path| self.entries.get(*path) != other.entries.get(*path))
            .cloned()
            .collect()
    }
}

/// What differs, one line each, for people; empty when nothing does.
pub fn diff(before: &TreeFingerprint, after: &TreeFingerprint) -> Vec<String> {
    before
        .differing_paths(after)
        .iter()
        .map(|path| {
            let name = format!("/{}", String::from_utf8_lossy(path));
            match (before.entries.get(path), after.entries.get(path)) {
                (Some(_), None) => format!("{name}: is gone"),
                (None, _) => format!("{name}: is new"),
                (Some(before), Some(after)) => format!("{name}:{}", changed(before, after)),
            }
        })
        .collect()
}

fn changed(before: &Entry, after: &Entry) -> String {
    let mut text = String::new();
    let mut say = |what: &str, before: &dyn std::fmt::Debug, after: &dyn std::fmt::Debug| {
        let (before, after) = (format!("{before:?}"), format!("{after:?}"));
        if before != after {
            // Writing to a String cannot fail.
            let _ = write!(text, " {what} {before} -> {after}");
        }
    };
    say("content", &Brief(&before.content), &Brief(&after.content));
    say("mode", &Octal(before.mode), &Octal(after.mode));
    say("owner", &(before.uid, before.gid), &(after.uid, after.gid));
    say("mtime", &before.mtime, &after.mtime);
    say("xattrs", &Texts(&before.xattrs), &Texts(&after.xattrs));
    say("links", &before.links, &after.links);
    say("same as", &before.same_as.as_deref().map(Text), &after.same_as.as_deref().map(Text));
    text
}

struct Octal(u32);

impl std::fmt::Debug for Octal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

struct Text<'a>(&'a [u8]);

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

struct Texts<'a>(&'a BTreeMap<Vec<u8>, Vec<u8>>);

impl std::fmt::Debug for Texts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, value)| (Text(name), Text(value)))).finish()
    }
}

struct Brief<'a>(&'a Content);

impl std::fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Content::File { size, sha256, data } => {
                write!(f, "file of {size} bytes ")?;
                sha256.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                write!(f, " at {data:?}")
            }
            Content::Symlink(target) => write!(f, "symlink to {:?}", Text(target)),
            Content::Directory | Content::Fifo | Content::Socket | Content::Device(..) => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
