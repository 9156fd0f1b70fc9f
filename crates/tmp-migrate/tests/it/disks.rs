//! A disk with a weakness: it dies with its process, or it cannot do something.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use time::OffsetDateTime;
use tmp_core::{Mode, clock::Clock, module::Timestamp};
use tmp_disk::{
    At, Dir, Disk, Extent, FileSystem, Identity, Lock, OpenFile, RealDisk, Rename, Right, Sharing, Stat,
};

type Refuses = dyn Fn(&str, Option<Rename>) -> Option<io::Error> + Send + Sync;

/// Another disk that refuses some calls.
pub(crate) struct Weak {
    inner: Arc<dyn Disk>,
    refuses: Box<Refuses>,
    /// The inode of a directory that is told of as a mount.
    mount: Option<Identity>,
    /// Whether nothing is synced.
    hasty: bool,
}

impl fmt::Debug for Weak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Weak")
    }
}

impl Weak {
    /// A disk that fails for good once the flag is set, as after a kill.
    pub(crate) fn mortal() -> (Arc<Self>, Arc<AtomicBool>) {
        let dead = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&dead);
        let refuses = move |_: &str, _| seen.load(Ordering::SeqCst).then(|| io::Error::other("killed"));
        (
            Arc::new(Self {
                inner: Arc::new(RealDisk),
                refuses: Box::new(refuses),
                mount: None,
                hasty: false,
            }),
            dead,
        )
    }

    /// A disk that cannot exchange names.
    pub(crate) fn without_exchange(inner: Arc<dyn Disk>) -> Arc<Self> {
        let refuses =
            |_: &str, how| (how == Some(Rename::Exchange)).then(|| io::ErrorKind::Unsupported.into());
        Arc::new(Self { inner, refuses: Box::new(refuses), mount: None, hasty: false })
    }

    /// A disk on which another file system seems to be mounted at this directory.
    pub(crate) fn with_a_mount(place: &Path) -> Arc<Self> {
        let dir = RealDisk.open_root(place).unwrap();
        let mount = Some(RealDisk.stat(At::itself(&dir)).unwrap().unwrap().identity);
        Arc::new(Self { inner: Arc::new(RealDisk), refuses: Box::new(|_, _| None), mount, hasty: false })
    }

    /// A disk on which nothing new finds room until something was removed.
    pub(crate) fn full() -> Arc<Self> {
        let room = AtomicBool::new(false);
        let refuses = move |call: &str, _| {
            if call == "remove_file" {
                room.store(true, Ordering::SeqCst);
            }
            let needs_room = ["create_file", "create_dir", "create_symlink", "allocate"].contains(&call);
            (needs_room && !room.load(Ordering::SeqCst)).then(|| io::ErrorKind::StorageFull.into())
        };
        Arc::new(Self { inner: Arc::new(RealDisk), refuses: Box::new(refuses), mount: None, hasty: false })
    }

    /// A disk with not one inode left, whatever is removed; and no room to write over a file until something is.
    pub(crate) fn stuffed() -> Arc<Self> {
        let room = AtomicBool::new(false);
        let refuses = move |call: &str, _| {
            if call == "remove_file" {
                room.store(true, Ordering::SeqCst);
            }
            let is_new = ["create_file", "create_symlink", "allocate"].contains(&call);
            let is_over = call == "try_lock" && !room.load(Ordering::SeqCst);
            (is_new || is_over).then(|| io::ErrorKind::StorageFull.into())
        };
        Arc::new(Self { inner: Arc::new(RealDisk), refuses: Box::new(refuses), mount: None, hasty: false })
    }

    /// A disk on which this process lacks one right: `read`, `enter`, `change`, `adjust` or `give`.
    pub(crate) fn without_right(right: &'static str) -> Arc<Self> {
        let refuses = move |call: &str, _| (call == right).then(|| io::ErrorKind::PermissionDenied.into());
        Arc::new(Self { inner: Arc::new(RealDisk), refuses: Box::new(refuses), mount: None, hasty: false })
    }

    /// A disk that refuses one call once the flag is set.
    pub(crate) fn refusing(call: &'static str) -> (Arc<Self>, Arc<AtomicBool>) {
        let now = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&now);
        let refuses = move |asked: &str, _| {
            (asked == call && seen.load(Ordering::SeqCst)).then(|| io::ErrorKind::PermissionDenied.into())
        };
        (
            Arc::new(Self {
                inner: Arc::new(RealDisk),
                refuses: Box::new(refuses),
                mount: None,
                hasty: false,
            }),
            now,
        )
    }

    /// A disk that counts the calls whose names begin so.
    pub(crate) fn counting(begins: &'static str, count: Arc<AtomicU64>) -> Arc<Self> {
        let refuses = move |call: &str, _| {
            count.fetch_add(u64::from(call.starts_with(begins)), Ordering::SeqCst);
            None
        };
        Arc::new(Self { inner: Arc::new(RealDisk), refuses: Box::new(refuses), mount: None, hasty: false })
    }

    /// A disk that syncs nothing, for what is about no loss of power.
    pub(crate) fn hasty() -> Arc<Self> {
        Arc::new(Self { inner: Arc::new(RealDisk), refuses: Box::new(|_, _| None), mount: None, hasty: true })
    }

    fn syncs(&self, call: &str, sync: impl FnOnce(&dyn Disk) -> io::Result<()>) -> io::Result<()> {
        let disk = self.asks(call, None)?;
        if self.hasty { Ok(()) } else { sync(disk) }
    }

    /// A disk that does something before every call that changes it or makes it durable.
    pub(crate) fn before_effects(does: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        let refuses = move |call: &str, _| {
            let effects = ["create_", "write_", "allocate", "set_", "clone_", "remove_", "sync_", "rename"];
            if effects.iter().any(|begins| call.starts_with(begins)) {
                does();
            }
            None
        };
        Arc::new(Self { inner: Arc::new(RealDisk), refuses: Box::new(refuses), mount: None, hasty: false })
    }

    /// A disk on which a rename takes a microsecond and everything else a second, and the clock that says so.
    pub(crate) fn timed() -> (Arc<Self>, Arc<dyn Clock>) {
        let passed = Arc::new(AtomicU64::new(0));
        let clock = Arc::new(Counting(Arc::clone(&passed)));
        let refuses = move |call: &str, _| {
            passed.fetch_add(if call == "rename" { 1 } else { 1_000_000 }, Ordering::SeqCst);
            None
        };
        (
            Arc::new(Self {
                inner: Arc::new(RealDisk),
                refuses: Box::new(refuses),
                mount: None,
                hasty: false,
            }),
            clock,
        )
    }

    fn asks(&self, call: &str, how: Option<Rename>) -> io::Result<&dyn Disk> {
        (self.refuses)(call, how).map_or(Ok(&*self.inner), Err)
    }
}

/// A clock of microseconds that somebody else counts.
struct Counting(Arc<AtomicU64>);

impl Clock for Counting {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, _: Duration) {}
}

macro_rules! pass {
    ($($call:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(fn $call(&self, $($arg: $type),*) -> io::Result<$answer> {
            self.asks(stringify!($call), None)?.$call($($arg),*)
        })*
    };
}

impl Disk for Weak {
    fn rename(&self, from: At<'_>, to: At<'_>, how: Rename) -> io::Result<()> {
        self.asks("rename", Some(how))?.rename(from, to, how)
    }

    fn stat(&self, at: At<'_>) -> io::Result<Option<Stat>> {
        let stat = self.asks("stat", None)?.stat(at)?;
        let mount = |stat: Stat| if Some(stat.identity) == self.mount { stat.mount + 1 } else { stat.mount };
        Ok(stat.map(|stat| Stat { mount: mount(stat), ..stat }))
    }

    fn sync_data(&self, file: &OpenFile) -> io::Result<()> {
        self.syncs("sync_data", |disk| disk.sync_data(file))
    }

    fn sync_file(&self, file: &OpenFile) -> io::Result<()> {
        self.syncs("sync_file", |disk| disk.sync_file(file))
    }

    fn sync_dir(&self, dir: &Dir) -> io::Result<()> {
        self.syncs("sync_dir", |disk| disk.sync_dir(dir))
    }

    fn sync_all(&self, dir: &Dir) -> io::Result<()> {
        self.syncs("sync_all", |disk| disk.sync_all(dir))
    }

    fn may(&self, right: Right<'_>) -> io::Result<()> {
        let asked = match right {
            Right::Read(_) => "read",
            Right::Enter(_) => "enter",
            Right::Change(_) => "change",
            Right::Adjust(_) => "adjust",
            Right::Give { .. } => "give",
        };
        self.asks(asked, None)?.may(right)
    }

    pass! {
        open_root(path: &Path) -> Dir;
        open_dir(dir: &Dir, path: &OsStr) -> Dir;
        list(dir: &Dir) -> Vec<OsString>;
        open_file(at: At<'_>) -> OpenFile;
        read_at(file: &OpenFile, offset: u64, buffer: &mut [u8]) -> usize;
        extents(file: &OpenFile, size: u64) -> Vec<Extent>;
        drop_cache(file: &OpenFile) -> ();
        read_link(at: At<'_>) -> Vec<u8>;
        xattrs(at: At<'_>) -> BTreeMap<Vec<u8>, Vec<u8>>;
        file_system(dir: &Dir) -> FileSystem;
        create_file(at: At<'_>, mode: Mode) -> OpenFile;
        open_file_to_write(at: At<'_>) -> OpenFile;
        write_at(file: &OpenFile, offset: u64, bytes: &[u8]) -> usize;
        allocate(file: &OpenFile, size: u64) -> ();
        set_len(file: &OpenFile, size: u64) -> ();
        clone_file(from: &OpenFile, to: &OpenFile) -> bool;
        create_dir(at: At<'_>, mode: Mode) -> ();
        create_symlink(at: At<'_>, target: &[u8]) -> ();
        create_link(from: At<'_>, to: At<'_>) -> ();
        remove_file(at: At<'_>) -> ();
        remove_dir(at: At<'_>) -> ();
        set_mode(at: At<'_>, mode: Mode) -> ();
        set_owner(at: At<'_>, uid: u32, gid: u32) -> ();
        set_mtime(at: At<'_>, time: Timestamp) -> ();
        set_xattr(at: At<'_>, name: &[u8], value: &[u8]) -> ();
        remove_xattr(at: At<'_>, name: &[u8]) -> ();
        try_lock(at: At<'_>, note: &str) -> Option<Lock>;
        is_locked(at: At<'_>) -> bool;
        try_lock_existing(at: At<'_>, sharing: Sharing) -> Option<Lock>;
    }
}
