//! What stands in a tree, seen without the engine, and how two such views differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use tmp_core::{
    Mode,
    module::{Kind, Timestamp},
};
use tmp_disk::{At, Dir, Disk};

/// What stands at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kind: Kind,
    /// Of a file, or the text of a symlink.
    pub(crate) bytes: Vec<u8>,
    pub(crate) mode: Mode,
    owner: (u32, u32),
    mtime: Timestamp,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    inode: u64,
}

/// Everything in a tree, the topmost directory under the empty path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View(pub(crate) BTreeMap<String, Seen>);

impl View {
    /// Looks at the tree at an absolute path.
    pub(crate) fn of(disk: &dyn Disk, root: &str) -> Self {
        let mut view = Self(BTreeMap::new());
        view.look(disk, &disk.open_root(Path::new(root)).unwrap(), "");
        view
    }

    fn look(&mut self, disk: &dyn Disk, dir: &Dir, path: &str) {
        self.0.insert(path.to_owned(), seen(disk, At::itself(dir)));
        for name in disk.list(dir).unwrap() {
            let at = At::new(dir, &name);
            let name = name.to_str().unwrap();
            let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            let found = seen(disk, at);
            if found.kind == Kind::Directory {
                self.look(disk, &disk.open_dir(dir, at.name).unwrap(), &below);
            } else {
                self.0.insert(below, found);
            }
        }
    }

    /// Without the times of directories: whoever goes forward changes them at another time.
    pub(crate) fn without_times_of_directories(mut self) -> Self {
        for seen in self.0.values_mut().filter(|seen| seen.kind == Kind::Directory) {
            seen.mtime = (0, 0).into();
        }
        self
    }

    /// Type and content of what stands at each path.
    pub(crate) fn contents(&self) -> BTreeMap<&str, (Kind, &[u8])> {
        self.0.iter().map(|(path, seen)| (path.as_str(), (seen.kind, seen.bytes.as_slice()))).collect()
    }

    /// Without inode numbers: what comes from the archive has others.
    pub(crate) fn without_inodes(mut self) -> Self {
        self.0.values_mut().for_each(|seen| seen.inode = 0);
        self
    }

    /// The paths at which these differ, with what there is.
    pub(crate) fn differences(&self, other: &Self) -> String {
        let paths: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let different = paths.into_iter().filter(|path| self.0.get(*path) != other.0.get(*path));
        let shown = different.map(|path| {
            let short = |view: &Self| {
                view.0.get(path).map(|seen| {
                    let bytes = seen.bytes.get(..seen.bytes.len().min(12)).map(<[u8]>::escape_ascii);
                    format!(
                        "{:?} {} bytes {:?} {:?} {:?} {:?} {:?} inode {}",
                        seen.kind,
                        seen.bytes.len(),
                        bytes.map(|bytes| bytes.to_string()),
                        seen.mode,
                        seen.owner,
                        seen.mtime,
                        seen.xattrs.keys().map(|name| name.escape_ascii().to_string()).collect::<Vec<_>>(),
                        seen.inode
                    )
                })
            };
            format!("{path:?}: {:?} against {:?}", short(self), short(other))
        });
        shown.collect::<Vec<_>>().join("\n")
    }

    /// Whether every path holds whole old or whole new content, or nothing where one of them has nothing.
    pub(crate) fn is_whole(&self, before: &Self, after: &Self) -> Result<(), String> {
        let content = |view: &Self, path: &str| view.0.get(path).map(|seen| (seen.kind, seen.bytes.clone()));
        let paths: BTreeSet<&String> = self.0.keys().chain(before.0.keys()).chain(after.0.keys()).collect();
        for path in paths {
            let now = content(self, path);
            if now != content(before, path) && now != content(after, path) {
                let found = now.map(|(kind, bytes)| (kind, bytes.len()));
                return Err(format!("{path:?} is neither whole old nor whole new: {found:?}"));
            }
        }
        Ok(())
    }
}

fn seen(disk: &dyn Disk, at: At<'_>) -> Seen {
    let stat = disk.stat(at).unwrap().unwrap();
    let bytes = match stat.kind {
        Kind::File => {
            let mut bytes = vec![0; usize::try_from(stat.size).unwrap()];
            let read = disk.read_at(&disk.open_file(at).unwrap(), 0, &mut bytes).unwrap();
            assert_eq!(read, bytes.len());
            bytes
        }
        Kind::Symlink => disk.read_link(at).unwrap(),
        _ => Vec::new(),
    };
    Seen {
        kind: stat.kind,
        bytes,
        mode: stat.mode,
        owner: (stat.uid, stat.gid),
        mtime: stat.mtime,
        xattrs: disk.xattrs(at).unwrap(),
        inode: stat.identity.inode,
    }
}
