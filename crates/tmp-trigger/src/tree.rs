//! Trees of named entries: what an enhancement is packaged from, or compared with.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read},
    panic::resume_unwind,
    sync::Arc,
    thread::{self, Builder, ScopedJoinHandle},
};

use tmp_core::{Digest, ModulePath, digest::Hasher};

use crate::source::Label;

/// Bytes that are read at a time.
pub(crate) const CHUNK: usize = 32 << 10;

/// A tree that an enhancement is packaged from: a directory, or what source control has under a label.
///
/// Names are relative to the top of the tree and separated by `/`; the empty name is the top itself. No
/// symlink is followed, neither at the end of a name nor on the way.
pub trait SourceTree: fmt::Debug + Send + Sync {
    /// A name as people know it: a path, or one with a label before it.
    fn shown(&self, name: &str) -> String;

    /// What stands at `name`; `None` where nothing does.
    ///
    /// # Errors
    /// It cannot be packaged, or not be read. The text names it.
    fn look(&self, name: &str) -> Result<Option<Found>, String>;

    /// Everything below the directory `name`, however many levels. It may stop, with a fault, beyond as
    /// many as an enhancement may have modules.
    fn walk(&self, name: &str) -> Walk;

    /// The bytes of the file at `name`, from the first on.
    ///
    /// # Errors
    /// It cannot be read.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>>;

    /// The label of source control that names exactly this tree; `None` where there is none.
    fn label(&self) -> Option<Label> {
        None
    }
}

/// What stands at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A regular file.
    File {
        /// Its permission bits.
        mode: u32,
    },
    /// A directory.
    Directory {
        /// Whether it holds nothing.
        empty: bool,
        /// Its permission bits.
        mode: u32,
    },
    /// A symlink.
    Symlink {
        /// Its text.
        target: String,
    },
}

/// What a directory holds.
#[derive(Debug, Default)]
pub struct Walk {
    /// Each entry by its name below the directory.
    pub found: BTreeMap<String, Found>,
    /// What cannot be a module, each with its reason.
    pub faults: Vec<String>,
}

/// Digest and size of bytes.
pub(crate) type Digested = (Digest, u64);

/// A name in a tree.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    tree: Arc<dyn SourceTree>,
    name: String,
}

impl Place {
    pub(crate) fn new(tree: &Arc<dyn SourceTree>, name: impl Into<String>) -> Self {
        Self { tree: Arc::clone(tree), name: name.into() }
    }

    /// The place of `name` below this one.
    pub(crate) fn below(&self, name: &str) -> Self {
        let name = if self.name.is_empty() { name.to_owned() } else { format!("{}/{name}", self.name) };
        Self::new(&self.tree, name)
    }

    /// What [`Self::below`] was given to get here from `above`.
    pub(crate) fn name_below(&self, above: &Self) -> &str {
        let below = self.name.strip_prefix(&above.name).unwrap_or(&self.name);
        below.strip_prefix('/').unwrap_or(below)
    }

    pub(crate) fn shown(&self) -> String {
        self.tree.shown(&self.name)
    }

    pub(crate) fn look(&self) -> Result<Option<Found>, String> {
        self.tree.look(&self.name)
    }

    pub(crate) fn walk(&self) -> Walk {
        self.tree.walk(&self.name)
    }

    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        self.tree.open(&self.name)
    }

    /// At most the first `limit` bytes.
    pub(crate) fn read_bounded(&self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open()?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Digest and size of the bytes.
    pub(crate) fn digest(&self) -> io::Result<Digested> {
        let mut file = self.open()?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; CHUNK];
        let mut size = 0;
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok((hasher.finish(), size)),
                Ok(count) => {
                    hasher.update(buffer.get(..count).unwrap_or_default());
                    size += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Digest and size of the bytes at each of `places`, in their order: read on every processor.
pub(crate) fn digests(places: &[&Place]) -> Vec<io::Result<Digested>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = places.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let digest = |places: &[&Place]| places.iter().map(|place| place.digest()).collect::<Vec<_>>();
        let start = |part| Builder::new().spawn_scoped(scope, move || digest(part));
        // What the machine gives no thread for is read here.
        let parts = places.chunks(share).map(|part| start(part).map_err(|_| digest(part)));
        let parts: Vec<_> = parts.collect();
        let digests = parts.into_iter().map(|part| part.map_or_else(Ok, ScopedJoinHandle::join));
        digests.flat_map(|part| part.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// What stands at the path of a module in `tree`, where no directory on the way is a symlink.
pub(crate) fn look_below(tree: &dyn SourceTree, module: &ModulePath) -> Result<Option<Found>, String> {
    let mut above: Vec<_> = module.ancestors().collect();
    above.reverse();
    for directory in above {
        match tree.look(directory.as_str())? {
            Some(Found::Directory { .. }) => {}
            Some(Found::Symlink { .. }) => {
                return Err(format!("{directory} is a symlink in {}", tree.shown("")));
            }
            Some(Found::File { .. }) | None => return Ok(None),
        }
    }
    tree.look(module.as_str())
}
