//! One inode: what everybody sees of it, and what is durable.

use std::collections::{BTreeMap, BTreeSet};

use rustix::io::Errno;
use tmp_core::{
    Mode,
    module::{Kind, Timestamp},
};

use super::{content::Content, dice::Dice, log::Entries};

/// Attributes.
#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub(super) mode: Mode,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Timestamp,
    pub(super) ctime: Timestamp,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// How many earlier attributes are remembered: enough for any of a handful of calls to be the last that
/// arrived.
const EARLIER: usize = 8;

/// What it holds. The text of a symlink never changes and is durable with its name.
#[derive(Debug, Clone)]
pub(super) enum Body {
    File(Content),
    Directory(Entries),
    Symlink(Vec<u8>),
}

#[derive(Debug, Clone)]
pub(super) struct Inode {
    pub(super) born: Timestamp,
    pub(super) meta: Meta,
    pub(super) body: Body,
    /// Attributes since the last sync, or since it was made, oldest first and without those it has.
    pub(super) earlier: Vec<Meta>,
    /// A file's content at the last sync; empty before.
    pub(super) durable_content: Content,
    /// How many names it has.
    pub(super) names: u64,
    /// How many handles are open on it.
    pub(super) handles: u64,
    /// Whether its space was given back. It is kept while a power loss could bring it back.
    pub(super) freed: bool,
}

impl Inode {
    pub(super) fn new(now: Timestamp, mode: Mode, body: Body) -> Self {
        let meta = Meta { mode, uid: 0, gid: 0, mtime: now, ctime: now, xattrs: BTreeMap::new() };
        Self {
            born: now,
            earlier: Vec::new(),
            durable_content: Content::default(),
            meta,
            body,
            names: 0,
            handles: 0,
            freed: false,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.body {
            Body::File(_) => Kind::File,
            Body::Directory(_) => Kind::Directory,
            Body::Symlink(_) => Kind::Symlink,
        }
    }

    /// How many pages it takes.
    pub(super) fn pages(&self) -> u64 {
        match &self.body {
            Body::File(content) => content.pages(),
            Body::Directory(_) | Body::Symlink(_) => 0,
        }
    }

    /// Whether it may have an extended attribute of this name: xattr(7).
    pub(super) fn may_have(&self, xattr: &[u8]) -> Result<(), Errno> {
        const SPACES: [&[u8]; 4] = [b"user.", b"trusted.", b"security.", b"system."];
        if !SPACES.iter().any(|space| xattr.starts_with(space)) {
            return Err(Errno::OPNOTSUPP);
        }
        if xattr.starts_with(b"user.") && self.kind() == Kind::Symlink {
            return Err(Errno::PERM);
        }
        Ok(())
    }

    pub(super) fn sync_content(&mut self) {
        if let Body::File(content) = &self.body {
            self.durable_content = content.clone();
        }
    }

    pub(super) fn sync_meta(&mut self) {
        self.earlier.clear();
    }

    /// Its attributes, about to change.
    pub(super) fn meta_mut(&mut self) -> &mut Meta {
        if self.earlier.len() == EARLIER {
            // The oldest are those that are durable.
            self.earlier.remove(1);
        }
        self.earlier.push(self.meta.clone());
        &mut self.meta
    }

    /// The inode as a power loss leaves it, without entries.
    pub(super) fn after_power_loss(&self, dice: &mut Dice) -> Self {
        let body = match &self.body {
            Body::File(content) => Body::File(content.after_power_loss(&self.durable_content, dice)),
            Body::Directory(_) => Body::Directory(Entries::new()),
            Body::Symlink(target) => Body::Symlink(target.clone()),
        };
        let mut found = Self {
            born: self.born,
            meta: self.meta_after_power_loss(dice),
            body,
            earlier: Vec::new(),
            durable_content: Content::default(),
            names: 0,
            handles: 0,
            freed: false,
        };
        found.sync_content();
        found
    }

    /// Each attribute on its own as it is or as it once was since the last sync.
    fn meta_after_power_loss(&self, dice: &mut Dice) -> Meta {
        if self.earlier.is_empty() {
            return self.meta.clone();
        }
        let mut any = || {
            let earlier = if dice.one_in(2) { None } else { dice.pick(&self.earlier) };
            earlier.unwrap_or(&self.meta)
        };
        let (mode, owner, mtime) = (any().mode, any(), any().mtime);
        let (uid, gid, ctime) = (owner.uid, owner.gid, self.meta.ctime);
        let all = self.earlier.iter().chain([&self.meta]);
        let names: BTreeSet<&Vec<u8>> = all.flat_map(|meta| meta.xattrs.keys()).collect();
        let xattrs =
            names.into_iter().filter_map(|name| Some((name.clone(), any().xattrs.get(name)?.clone())));
        let xattrs = xattrs.collect();
        Meta { mode, uid, gid, mtime, ctime, xattrs }
    }
}
