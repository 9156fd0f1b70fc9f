//! A store in a directory.

use std::{
    ffi::{OsStr, OsString},
    io::{self, BufWriter, ErrorKind, Write as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tmp_core::{
    Mode,
    module::Kind,
    mutant,
    store::{ArchiveStore, Filler, Hold, StoreLock},
};
use tmp_disk::{At, Dir, Disk, Lock, OpenFile, Rename, Sharing, create_dir_durably, ensure_dirs};

use crate::{ArchiveError, writer::FileWriter};

/// The blob whose lock says who holds the store: the archive's format, which is written once.
const HELD: &str = "format";

/// How many blobs are held open.
const OPEN: usize = 16;

/// How many bytes are written at a time.
const BUFFER: usize = 1 << 20;

/// Keeps each blob as a file of its name below a directory.
///
/// A blob is written beside its place under a temporary name, made durable, and renamed. Temporary
/// names begin with `.tmp-` and the number of a lock that the writing store holds while it lives, so
/// what a killed writer left is known for what it is: the next store that writes removes it. Several
/// stores may be open on one directory, in one process or many; who only reads needs no right to write.
#[derive(Debug)]
pub struct DirectoryStore {
    disk: Arc<dyn Disk>,
    root: Dir,
    /// Blobs that were read lately.
    opened: Mutex<Vec<(String, OpenFile)>>,
    writer: Mutex<Option<Writer>>,
}

/// The right to write under one's own temporary names.
#[derive(Debug)]
struct Writer {
    slot: u64,
    next: u64,
    _lock: Lock,
}

impl DirectoryStore {
    /// Opens the store at an absolute path; a missing directory is made, durably, with mode 0700.
    ///
    /// # Errors
    /// The directory cannot be made or opened.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self, ArchiveError> {
        let root = ensure_dirs(&**disk, path)?;
        Ok(Self { disk: Arc::clone(disk), root, opened: Mutex::default(), writer: Mutex::new(None) })
    }

    /// The folder of a blob, open, and the blob's name in it.
    fn locate<'n>(&self, name: &'n str) -> io::Result<(Dir, &'n OsStr)> {
        check(name)?;
        let (folder, last) = name.rsplit_once('/').unwrap_or(("", name));
        Ok((self.disk.open_dir(&self.root, folder.as_ref())?, last.as_ref()))
    }

    fn file(&self, name: &str) -> io::Result<OpenFile> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, file)) = opened.iter().find(|(found, _)| found == name) {
            return Ok(file.clone());
        }
        let (dir, last) = self.locate(name)?;
        let file = self.disk.open_file(At::new(&dir, last))?;
        if opened.len() >= OPEN {
            opened.remove(0);
        }
        opened.push((name.to_owned(), file.clone()));
        Ok(file)
    }

    fn forget(&self, name: &str) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|(found, _)| found != name);
    }

    /// The folder of a blob, which is made, durably, where it is not there.
    fn folder(&self, name: &str) -> io::Result<Dir> {
        let (folder, _) = name.rsplit_once('/').unwrap_or(("", name));
        folder.split('/').filter(|part| !part.is_empty()).try_fold(self.root.clone(), |dir, part| match self
            .disk
            .open_dir(&dir, part.as_ref())
        {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create_dir_durably(&*self.disk, &dir, part, Mode::from_bits(0o700))
                    .map_err(|error| error.source)
            }
            opened => opened,
        })
    }

    /// A temporary name that nobody else uses.
    fn temporary(&self) -> io::Result<String> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = match &mut *writer {
            Some(writer) => writer,
            none => none.insert(self.become_writer()?),
        };
        writer.next += 1;
        Ok(temporary(writer.slot, writer.next))
    }

    /// Takes the first lock that is free, and removes what dead writers left.
    fn become_writer(&self) -> io::Result<Writer> {
        let mut slots = 0..;
        loop {
            let slot = slots.next().ok_or_else(|| io::Error::other("too many writers"))?;
            if let Some(lock) = self.disk.try_lock(At::new(&self.root, &lock_name(slot)), "")? {
                self.clean(&self.root, Some(slot))?;
                return Ok(Writer { slot, next: 0, _lock: lock });
            }
        }
    }

    /// Removes temporary files whose writers are dead.
    fn clean(&self, dir: &Dir, own: Option<u64>) -> io::Result<()> {
        for name in self.disk.list(dir)? {
            let at = At::new(dir, &name);
            if let Some(slot) = name.to_str().and_then(slot_of) {
                let free = own == Some(slot)
                    || self.disk.try_lock(At::new(&self.root, &lock_name(slot)), "")?.is_some();
                if free {
                    self.disk.remove_file(at)?;
                }
            } else if self.disk.stat(at)?.is_some_and(|stat| stat.kind == Kind::Directory) {
                self.clean(&self.disk.open_dir(dir, &name)?, own)?;
            }
        }
        Ok(())
    }

    fn write_beside(&self, beside: At<'_>, at: At<'_>, fill: &mut Filler<'_>) -> io::Result<()> {
        let file = self.disk.create_file(beside, Mode::from_bits(0o600))?;
        let mut writer = BufWriter::with_capacity(BUFFER, FileWriter::new(&*self.disk, &file));
        fill(&mut writer)?;
        writer.flush()?;
        if !mutant::is("archive-sync") {
            self.disk.sync_file(&file)?;
        }
        self.disk.rename(beside, at, Rename::Replace)
    }

    fn add_names(&self, dir: &Dir, folder: &str, names: &mut Vec<String>) -> io::Result<()> {
        for name in self.disk.list(dir)? {
            let Some(blob) = name.to_str().map(|name| format!("{folder}{name}")) else { continue };
            if check(&blob).is_err() {
                continue;
            }
            match self.disk.stat(At::new(dir, &name))?.map(|stat| stat.kind) {
                Some(Kind::Directory) => {
                    self.add_names(&self.disk.open_dir(dir, &name)?, &format!("{blob}/"), names)?;
                }
                Some(Kind::File) => names.push(blob),
                _ => {}
            }
        }
        Ok(())
    }
}

impl ArchiveStore for DirectoryStore {
    fn write(&self, name: &str, fill: &mut Filler<'_>) -> io::Result<()> {
        check(name)?;
        let beside = self.temporary()?;
        let dir = self.folder(name)?;
        let last = name.rsplit('/').next().unwrap_or(name);
        let (beside, at) = (At::new(&dir, &beside), At::new(&dir, last));
        self.forget(name);
        if let Err(error) = self.write_beside(beside, at, fill) {
            // What cannot be removed now is removed by the next writer.
            let _ = self.disk.remove_file(beside);
            return Err(error);
        }
        if mutant::is("archive-name") {
            return Ok(());
        }
        self.disk.sync_dir(&dir).inspect_err(|_| {
            // A blob that may be gone after a crash must not be relied on before.
            let _ = self.disk.remove_file(at);
        })
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(&self.file(name)?, offset, buffer)
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        let (dir, last) = self.locate(name)?;
        match self.disk.stat(At::new(&dir, last))? {
            Some(stat) if stat.kind == Kind::File => Ok(stat.size),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        match self.disk.open_dir(&self.root, folder.as_ref()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(names),
            Err(error) => return Err(error),
            Ok(dir) => {
                let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                self.add_names(&dir, &folder, &mut names)?;
            }
        }
        names.retain(|name| name.starts_with(prefix));
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.forget(name);
        let (dir, last) = match self.locate(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            located => located?,
        };
        match self.disk.remove_file(At::new(&dir, last)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => self.disk.sync_dir(&dir),
        }
    }

    fn drop_cache(&self, name: &str) -> io::Result<()> {
        self.disk.drop_cache(&self.file(name)?)
    }

    /// A lock on the blob `format`, which who only reads can take too. A store without it is empty.
    fn hold(&self, how: Hold) -> io::Result<Option<StoreLock>> {
        let sharing = match how {
            Hold::Shared => Sharing::Shared,
            Hold::Alone => Sharing::Exclusive,
        };
        let at = At::new(&self.root, HELD);
        Ok(self.disk.try_lock_existing(at, sharing)?.map(StoreLock::new))
    }
}

fn check(name: &str) -> io::Result<()> {
    let letter = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    let part = |part: &str| {
        !part.is_empty() && part.len() <= 128 && !part.starts_with('.') && part.bytes().all(letter)
    };
    if name.split('/').all(part) {
        Ok(())
    } else {
        let text = name.chars().take(80).collect::<String>();
        Err(io::Error::new(ErrorKind::InvalidInput, format!("{text:?} is not the name of a blob")))
    }
}

fn lock_name(slot: u64) -> OsString {
    format!(".lock-{slot}").into()
}

fn temporary(slot: u64, number: u64) -> String {
    format!(".tmp-{slot}-{number}")
}

/// Whose temporary name this is, if it is one.
fn slot_of(name: &str) -> Option<u64> {
    let (slot, number) = name.strip_prefix(".tmp-")?.split_once('-')?;
    number.parse::<u64>().ok()?;
    slot.parse().ok()
}
