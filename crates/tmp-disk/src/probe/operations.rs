//! The operations of a migration, each carried out once and its effect looked at.

use std::{ffi::OsStr, io};

use tmp_core::{
    Mode,
    module::{Kind, Timestamp},
};

use crate::disk::{At, Dir, Disk, Identity, Rename, Stat};

// What a file system is said to be unable to do, after "it cannot".
const REFUSE: &str = "refuse a rename onto a name that is taken (RENAME_NOREPLACE)";
const STABLE: &str = "keep a file's inode number over a rename";
const SUB: &str = "rename a file from one directory to another";
const REPLACE: &str = "replace a file by a rename";
const LINK: &str = "give a file a second name (hard links)";
const SYMLINK: &str = "keep symlinks";
const MODE: &str = "keep permission bits";
const TIME: &str = "keep modification times";
const KEEP: &str = "keep the extended attributes that it takes";

const XATTR: &[u8] = b"user.tmp-probe";
const OLD: Timestamp = Timestamp { seconds: 1_000_000_000, nanoseconds: 0 };

/// A disk and an empty directory on it.
pub(super) struct Operations<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) dir: &'a Dir,
}

/// What is possible beyond what must be.
pub(super) struct Found {
    pub(super) exchange: bool,
    pub(super) xattrs: bool,
    pub(super) birth_times: bool,
}

/// What must be possible and is not.
pub(super) struct Lack {
    pub(super) what: &'static str,
    pub(super) source: Option<io::Error>,
}

impl Lack {
    fn because(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { what, source: Some(source) }
    }
}

/// That something is so; what cannot be done, if it is not.
fn ensure(so: bool, what: &'static str) -> Result<(), Lack> {
    if so { Ok(()) } else { Err(Lack { what, source: None }) }
}

impl Operations<'_> {
    /// Carries out all of them.
    pub(super) fn all(&self) -> Result<Found, Lack> {
        let a = self.file("a").map_err(Lack::because("create and write a file"))?;
        let b = self.file("b").map_err(Lack::because("create and write a file"))?;
        ensure(a.identity != b.identity, "tell two files apart")?;
        self.renames(a.identity, b.identity)?;
        self.links()?;
        self.attributes()?;
        self.syncs()?;
        Ok(Found {
            exchange: self.exchange()?,
            xattrs: self.xattrs()?,
            birth_times: a.identity.born.is_some(),
        })
    }

    fn at<'a>(&'a self, name: &'a str) -> At<'a> {
        At::new(self.dir, name)
    }

    fn stat(&self, name: &str) -> io::Result<Stat> {
        self.disk.stat(self.at(name))?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn identity(&self, name: &str) -> Option<Identity> {
        self.stat(name).ok().map(|stat| stat.identity)
    }

    fn file(&self, name: &str) -> io::Result<Stat> {
        let file = self.disk.create_file(self.at(name), Mode::from_bits(0o600))?;
        self.disk.write_at(&file, 0, name.as_bytes())?;
        self.disk.sync_file(&file)?;
        self.stat(name)
    }

    /// Leaves `a` and `b` as they were.
    fn renames(&self, a: Identity, b: Identity) -> Result<(), Lack> {
        match self.disk.rename(self.at("a"), self.at("b"), Rename::NoReplace) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Lack::because(REFUSE)(error)),
            Ok(()) => return ensure(false, REFUSE),
        }
        self.disk.rename(self.at("a"), self.at("c"), Rename::NoReplace).map_err(Lack::because(REFUSE))?;
        ensure(self.identity("a").is_none() && self.identity("c") == Some(a), STABLE)?;

        self.disk.create_dir(self.at("sub"), Mode::from_bits(0o700)).map_err(Lack::because(SUB))?;
        let sub = self.disk.open_dir(self.dir, OsStr::new("sub")).map_err(Lack::because(SUB))?;
        let inside = At::new(&sub, "c");
        self.disk.rename(self.at("c"), inside, Rename::NoReplace).map_err(Lack::because(SUB))?;
        let moved = self.disk.stat(inside).map_err(Lack::because(SUB))?;
        ensure(moved.is_some_and(|stat| stat.identity == a), STABLE)?;

        self.disk.create_file(self.at("a"), Mode::FILE).map_err(Lack::because(REPLACE))?;
        self.disk.rename(inside, self.at("a"), Rename::Replace).map_err(Lack::because(REPLACE))?;
        ensure(self.identity("a") == Some(a) && self.identity("b") == Some(b), REPLACE)
    }

    fn links(&self) -> Result<(), Lack> {
        self.disk.create_link(self.at("a"), self.at("hard")).map_err(Lack::because(LINK))?;
        let stat = self.stat("hard").map_err(Lack::because(LINK))?;
        ensure(Some(stat.identity) == self.identity("a") && stat.links == 2, LINK)?;

        self.disk.create_symlink(self.at("soft"), b"a/../b").map_err(Lack::because(SYMLINK))?;
        let text = self.disk.read_link(self.at("soft")).map_err(Lack::because(SYMLINK))?;
        let stat = self.stat("soft").map_err(Lack::because(SYMLINK))?;
        ensure(text == b"a/../b" && stat.kind == Kind::Symlink, SYMLINK)
    }

    fn attributes(&self) -> Result<(), Lack> {
        let mode = Mode::from_bits(0o640);
        self.disk.set_mode(self.at("b"), mode).map_err(Lack::because(MODE))?;
        ensure(self.stat("b").map_err(Lack::because(MODE))?.mode == mode, MODE)?;

        self.disk.set_mtime(self.at("b"), OLD).map_err(Lack::because(TIME))?;
        ensure(self.stat("b").map_err(Lack::because(TIME))?.mtime == OLD, TIME)
    }

    fn syncs(&self) -> Result<(), Lack> {
        self.disk.sync_dir(self.dir).map_err(Lack::because("sync a directory"))?;
        let handle = self.disk.open_dir(self.dir, OsStr::new(""));
        let handle = handle.map_err(Lack::because("open a directory a second time"))?;
        self.disk.sync_all(&handle).map_err(Lack::because("sync itself as a whole (syncfs)"))
    }

    /// Exchanges `a` and `b`. Some file systems say that they cannot; any other error, or a wrong effect,
    /// is a fault.
    fn exchange(&self) -> Result<bool, Lack> {
        let (a, b) = (self.identity("a"), self.identity("b"));
        match self.disk.rename(self.at("a"), self.at("b"), Rename::Exchange) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) =>
            {
                return Ok(false);
            }
            exchanged => exchanged.map_err(Lack::because("exchange two names"))?,
        }
        ensure(self.identity("a") == b && self.identity("b") == a, "exchange two names")?;
        Ok(true)
    }

    fn xattrs(&self) -> Result<bool, Lack> {
        if self.disk.set_xattr(self.at("a"), XATTR, b"\0value").is_err() {
            return Ok(false);
        }
        let found = self.disk.xattrs(self.at("a")).map_err(Lack::because(KEEP))?;
        ensure(found.get(XATTR).map(Vec::as_slice) == Some(b"\0value"), KEEP)?;
        self.disk.remove_xattr(self.at("a"), XATTR).map_err(Lack::because(KEEP))?;
        Ok(true)
    }
}
