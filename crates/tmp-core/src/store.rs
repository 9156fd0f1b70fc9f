//! The seam to where archives keep their bytes: a directory first, an object store later.

use std::{any::Any, fmt, io};

/// Named, immutable blobs. Names are relative, separated by `/`, of lower-case letters, digits,
/// `-`, `_` and `.`.
pub trait ArchiveStore: Send + Sync + fmt::Debug {
    /// Stores a new blob: all that `fill` writes. It is durable and whole when this returns, and not
    /// there at all before; a blob of the same name is replaced.
    ///
    /// # Errors
    /// `fill` failed or the blob cannot be made durable; no blob of that name is left by this call.
    fn write(&self, name: &str, fill: &mut Filler<'_>) -> io::Result<()>;

    /// Reads up to `buffer.len()` bytes of a blob at `offset`; 0 at its end.
    ///
    /// # Errors
    /// There is no such blob (`NotFound`), or it cannot be read.
    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// The length of a blob in bytes.
    ///
    /// # Errors
    /// There is no such blob (`NotFound`), or it cannot be read.
    fn size(&self, name: &str) -> io::Result<u64>;

    /// The names that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// The store cannot be listed.
    fn list(&self, prefix: &str) -> io::Result<Vec<String>>;

    /// Removes a blob durably. One that is not there is removed already.
    ///
    /// # Errors
    /// It cannot be removed.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Forgets cached bytes of a blob, so that the next read comes from where it is really kept.
    ///
    /// # Errors
    /// There is no such blob, or the cache cannot be dropped.
    fn drop_cache(&self, name: &str) -> io::Result<()>;

    /// Takes part in the store, or takes it alone where nobody else takes part; `None` when somebody who
    /// excludes that holds it. It holds until what this answers is dropped or its process dies.
    ///
    /// # Errors
    /// Whether somebody holds it cannot be found out.
    fn hold(&self, how: Hold) -> io::Result<Option<StoreLock>>;
}

/// With whom a store is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// With all who read it and add to it.
    Shared,
    /// With nobody, to remove blobs.
    Alone,
}

/// A store that is held.
#[must_use = "the store is held only while this lives"]
pub struct StoreLock(#[expect(dead_code, reason = "held for its Drop")] Box<dyn Any + Send + Sync>);

impl StoreLock {
    /// Wraps whatever lets the store go when it is dropped.
    pub fn new<T: Any + Send + Sync>(inner: T) -> Self {
        Self(Box::new(inner))
    }
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreLock")
    }
}

/// Writes the bytes of a new blob.
pub type Filler<'a> = dyn FnMut(&mut dyn io::Write) -> io::Result<()> + 'a;
