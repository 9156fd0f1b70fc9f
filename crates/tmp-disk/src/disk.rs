//! The seam: every change of a file system, at the level of system calls.
//!
//! Directories and files are handles that an implementation makes and only it understands, so a test
//! can be the disk. Names are single components; nothing here follows a symlink, and nothing resolves
//! a path above the directory it starts from.

use std::{
    any::Any,
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, io,
    path::Path,
    sync::Arc,
};

use tmp_core::{
    Mode,
    module::{Kind, Timestamp},
};

/// An open directory. Clones share it; the last one closes it.
#[derive(Clone)]
pub struct Dir(Arc<dyn Any + Send + Sync>);

/// An open regular file. Clones share it; the last one closes it.
#[derive(Clone)]
pub struct OpenFile(Arc<dyn Any + Send + Sync>);

/// A held lock. It ends when this value is dropped or its process dies, however it dies.
#[must_use = "the lock ends when this is dropped"]
pub struct Lock(#[expect(dead_code, reason = "held for its Drop")] Box<dyn Any + Send + Sync>);

macro_rules! handle {
    ($type:ident) => {
        impl $type {
            /// Wraps what the implementation knows the handle by.
            pub fn new<T: Any + Send + Sync>(inner: T) -> Self {
                Self(Arc::new(inner))
            }

            /// What the implementation wrapped.
            ///
            /// # Errors
            /// The handle was made by another implementation.
            pub fn get<T: Any>(&self) -> io::Result<&T> {
                self.0.downcast_ref().ok_or_else(|| io::Error::other("a handle of another disk"))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($type))
            }
        }
    };
}

handle!(Dir);
handle!(OpenFile);

impl OpenFile {
    /// The open file as a place: with an empty name, what is asked about a directory or done to one is asked
    /// about the file and done to it, whatever name it has by now.
    pub fn itself(&self) -> Dir {
        Dir(Arc::clone(&self.0))
    }
}

impl Lock {
    /// Wraps whatever ends the lock when it is dropped.
    pub fn new<T: Any + Send + Sync>(inner: T) -> Self {
        Self(Box::new(inner))
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

/// What stands at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Which inode it is.
    pub identity: Identity,
    /// Permission bits.
    pub mode: Mode,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of a file or of a symlink's text.
    pub size: u64,
    /// Bytes really allocated.
    pub allocated: u64,
    /// Names the inode has.
    pub links: u64,
    /// When the content last changed.
    pub mtime: Timestamp,
    /// When anything of the inode last changed.
    pub ctime: Timestamp,
    /// Whether it is marked immutable or append-only.
    pub immutable: bool,
    /// Which mount it lies on.
    pub mount: u64,
    /// Which device. It may differ below one mount (subvolumes of btrfs), and over a remount.
    pub device: u64,
}

/// Which inode something is. Two things with one identity on one file system are one thing, as long
/// as one of them has stayed linked in between. Device numbers are no part of it: they change over a
/// remount (seen on btrfs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Inode number.
    pub inode: u64,
    /// When the inode was made, where the file system records that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<Timestamp>,
}

/// How a name is given to something that has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rename {
    /// Whatever stands at the new name is replaced.
    Replace,
    /// Nothing may stand at the new name.
    NoReplace,
    /// The two names exchange what they stand for.
    Exchange,
}

/// A run of bytes in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Extent {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// Something that this process may do, or may not.
#[derive(Debug, Clone, Copy)]
pub enum Right<'a> {
    /// Read a regular file.
    Read(At<'a>),
    /// List a directory and reach what it holds. An empty name means the directory.
    Enter(At<'a>),
    /// Add and remove names in a directory. An empty name means the directory.
    Change(At<'a>),
    /// Set the mode and the times of what stands there. An empty name means the directory.
    Adjust(At<'a>),
    /// Make these the owner and the group of what this process has made.
    Give {
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

/// A file system as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Its type, such as `ext4`; `unknown (0x…)` for one this release does not know by name.
    pub name: String,
    /// Bytes that this process may still write.
    pub free_bytes: u64,
    /// Inodes that may still be made; `None` where they are made on demand.
    pub free_inodes: Option<u64>,
    /// How durable it is.
    pub durability: Durability,
}

/// Whether a file system keeps what was synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On a local disk.
    Local,
    /// Gone with the power.
    Ephemeral,
    /// Kept by another machine or by a program: sync means what that means by it.
    Remote,
}

/// Where something stands: a name in an open directory.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The directory.
    pub dir: &'a Dir,
    /// One component. Empty means the directory itself, where a call says so.
    pub name: &'a OsStr,
}

impl<'a> At<'a> {
    /// `name` in `dir`.
    pub fn new(dir: &'a Dir, name: &'a (impl AsRef<OsStr> + ?Sized)) -> Self {
        Self { dir, name: name.as_ref() }
    }

    /// `dir` itself.
    pub fn itself(dir: &'a Dir) -> Self {
        Self { dir, name: OsStr::new("") }
    }
}

/// A file system: what is asked of it and what is done to it.
///
/// Errors are the operating system's, with its error number. An implementation neither retries nor
/// repairs, except that an interrupted call (`EINTR`) may be made again where that cannot lose an
/// error; a sync is never made again.
#[expect(clippy::missing_errors_doc, reason = "they are said once for all calls, above")]
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens the directory at an absolute path, following symlinks in it: the path is the
    /// operator's own.
    fn open_root(&self, path: &Path) -> io::Result<Dir>;

    /// Opens the directory at `path` below `dir`: no symlink, no `..`, no other mount on the way. An
    /// empty path opens `dir` itself again.
    fn open_dir(&self, dir: &Dir, path: &OsStr) -> io::Result<Dir>;

    /// The names in a directory, in no order, without `.` and `..`.
    fn list(&self, dir: &Dir) -> io::Result<Vec<OsString>>;

    /// What stands at a name; `None` where nothing does. An empty name asks about the directory.
    fn stat(&self, at: At<'_>) -> io::Result<Option<Stat>>;

    /// Opens a regular file for reading.
    fn open_file(&self, at: At<'_>) -> io::Result<OpenFile>;

    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, file: &OpenFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// The runs of a file of `size` bytes that are not holes, in order.
    fn extents(&self, file: &OpenFile, size: u64) -> io::Result<Vec<Extent>>;

    /// Forgets cached bytes of a file, so that the next read comes from the disk where possible.
    fn drop_cache(&self, file: &OpenFile) -> io::Result<()>;

    /// The text of a symlink.
    fn read_link(&self, at: At<'_>) -> io::Result<Vec<u8>>;

    /// Every extended attribute; none where the file system has none. An empty name asks about the
    /// directory.
    fn xattrs(&self, at: At<'_>) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>>;

    /// Asks for a right without making use of it: where this process lacks it, the error that the use
    /// would meet. The answer holds as long as nobody changes modes, owners or the process's own identity.
    fn may(&self, right: Right<'_>) -> io::Result<()>;

    /// The file system a directory lies on.
    fn file_system(&self, dir: &Dir) -> io::Result<FileSystem>;

    /// Makes a new, empty regular file (nothing may stand there) and opens it for writing.
    fn create_file(&self, at: At<'_>, mode: Mode) -> io::Result<OpenFile>;

    /// Opens an existing regular file for reading and writing.
    fn open_file_to_write(&self, at: At<'_>) -> io::Result<OpenFile>;

    /// Writes up to all of `bytes` at `offset`; answers how many were written.
    fn write_at(&self, file: &OpenFile, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Allocates a file's first `size` bytes and makes it at least that long.
    fn allocate(&self, file: &OpenFile, size: u64) -> io::Result<()>;

    /// Makes a file exactly `size` bytes long: a hole at the end, or cut off.
    fn set_len(&self, file: &OpenFile, size: u64) -> io::Result<()>;

    /// Makes `to` share all content of `from`, where the file system can; `false` where it cannot.
    fn clone_file(&self, from: &OpenFile, to: &OpenFile) -> io::Result<bool>;

    /// Makes a new directory.
    fn create_dir(&self, at: At<'_>, mode: Mode) -> io::Result<()>;

    /// Makes a new symlink.
    fn create_symlink(&self, at: At<'_>, target: &[u8]) -> io::Result<()>;

    /// Gives the inode at `from` a second name.
    fn create_link(&self, from: At<'_>, to: At<'_>) -> io::Result<()>;

    /// Gives what stands at `from` the name `to`.
    fn rename(&self, from: At<'_>, to: At<'_>, how: Rename) -> io::Result<()>;

    /// Removes a name that is not a directory's.
    fn remove_file(&self, at: At<'_>) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, at: At<'_>) -> io::Result<()>;

    /// Sets permission bits of a file or directory. An empty name means the directory.
    fn set_mode(&self, at: At<'_>, mode: Mode) -> io::Result<()>;

    /// Sets owner and group, of a symlink itself. An empty name means the directory.
    fn set_owner(&self, at: At<'_>, uid: u32, gid: u32) -> io::Result<()>;

    /// Sets the modification time, of a symlink itself; the access time stays. An empty name means
    /// the directory.
    fn set_mtime(&self, at: At<'_>, time: Timestamp) -> io::Result<()>;

    /// Sets one extended attribute. An empty name means the directory.
    fn set_xattr(&self, at: At<'_>, name: &[u8], value: &[u8]) -> io::Result<()>;

    /// Removes one extended attribute. An empty name means the directory.
    fn remove_xattr(&self, at: At<'_>, name: &[u8]) -> io::Result<()>;

    /// Returns once a file's content and size are durable (`fdatasync`).
    fn sync_data(&self, file: &OpenFile) -> io::Result<()>;

    /// Returns once a file's content and attributes are durable (`fsync`).
    fn sync_file(&self, file: &OpenFile) -> io::Result<()>;

    /// Returns once a directory's entries are durable.
    fn sync_dir(&self, dir: &Dir) -> io::Result<()>;

    /// Returns once everything written to the file system of `dir` is durable. An error since `dir`
    /// was opened is reported here.
    fn sync_all(&self, dir: &Dir) -> io::Result<()>;

    /// Takes the lock of the file at a name, making the file where it is not there; `None` when
    /// somebody else holds it. `note` becomes the content of the file, for people; after an error it may still be
    /// the one before.
    fn try_lock(&self, at: At<'_>, note: &str) -> io::Result<Option<Lock>>;

    /// Whether somebody holds the lock of the file at a name; nobody does where there is no file. Changes
    /// nothing, and keeps nobody from taking the lock.
    fn is_locked(&self, at: At<'_>) -> io::Result<bool>;

    /// Takes a lock on the existing regular file at a name, which need not be writable and stays as it
    /// is; `None` when somebody else holds one that excludes it.
    fn try_lock_existing(&self, at: At<'_>, sharing: Sharing) -> io::Result<Option<Lock>>;
}

/// With whom a lock may be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// With everybody who shares it too.
    Shared,
    /// With nobody.
    Exclusive,
}
