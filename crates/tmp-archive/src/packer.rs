//! Writing packs beside the work that fills them: while one is made durable, the next is filled.

use std::{
    collections::VecDeque,
    io,
    sync::mpsc::{SyncSender, sync_channel},
    thread::{Scope, ScopedJoinHandle},
};

use tmp_core::store::ArchiveStore;

use crate::{
    ArchiveError,
    block::Block,
    pack::{PACK, PackWriter},
    threads,
};

/// How many blocks wait to be written at most.
const WAITING: usize = 16;

/// How many packs are made durable at a time, at most.
const SETTLING: usize = 2;

/// Puts blocks into packs, each written by a thread of its own.
pub(crate) struct Packer<'s, 'e> {
    scope: &'s Scope<'s, 'e>,
    store: &'e dyn ArchiveStore,
    names: Box<dyn Iterator<Item = String> + 's>,
    filling: Option<Filling<'s>>,
    settling: VecDeque<Handle<'s>>,
    written: Vec<String>,
}

/// A pack that takes more.
struct Filling<'s> {
    blocks: SyncSender<Word>,
    length: u64,
    handle: Handle<'s>,
}

/// What a pack's thread is told. Where that ends without an end, the pack is given up.
enum Word {
    Block(Block),
    End,
}

/// The thread that writes a pack.
type Handle<'s> = ScopedJoinHandle<'s, Result<String, ArchiveError>>;

impl<'s, 'e> Packer<'s, 'e> {
    /// A packer that takes the names of packs from `names`.
    pub(crate) fn new(
        scope: &'s Scope<'s, 'e>,
        store: &'e dyn ArchiveStore,
        names: Box<dyn Iterator<Item = String> + 's>,
    ) -> Self {
        Self { scope, store, names, filling: None, settling: VecDeque::new(), written: Vec::new() }
    }

    /// Puts a block into the pack that is being filled.
    ///
    /// # Errors
    /// A pack could not be written, possibly one before.
    pub(crate) fn put(&mut self, block: Block) -> Result<(), ArchiveError> {
        let mut filling = match self.filling.take() {
            Some(filling) => filling,
            None => self.begin()?,
        };
        filling.length += block.length();
        if filling.blocks.send(Word::Block(block)).is_err() {
            return settle(filling.handle).and(Err(died()));
        }
        if filling.length < PACK {
            self.filling = Some(filling);
            return Ok(());
        }
        self.end(filling);
        while self.settling.len() >= SETTLING {
            self.settle_one()?;
        }
        Ok(())
    }

    /// Answers the names of all packs once they are durable.
    ///
    /// # Errors
    /// One could not be written.
    pub(crate) fn finish(mut self) -> Result<Vec<String>, ArchiveError> {
        if let Some(filling) = self.filling.take() {
            self.end(filling);
        }
        while !self.settling.is_empty() {
            self.settle_one()?;
        }
        Ok(self.written)
    }

    fn begin(&mut self) -> Result<Filling<'s>, ArchiveError> {
        let (name, store) = (self.names.next().unwrap_or_default(), self.store);
        let (blocks, words) = sync_channel(WAITING);
        let handle = threads::start(self.scope, move || {
            let written = store.write(&name, &mut |out| {
                let mut pack = PackWriter::new(out)?;
                loop {
                    match words.recv() {
                        Ok(Word::Block(block)) => pack.put(&block)?,
                        Ok(Word::End) => return pack.finish(),
                        Err(_) => return Err(io::Error::other("the capture failed")),
                    }
                }
            });
            written.map_err(ArchiveError::store("write", &name))?;
            Ok(name)
        })?;
        Ok(Filling { blocks, length: 0, handle })
    }

    fn end(&mut self, filling: Filling<'s>) {
        // Where the thread has ended already, waiting for it says why.
        let _ = filling.blocks.send(Word::End);
        self.settling.push_back(filling.handle);
    }

    fn settle_one(&mut self) -> Result<(), ArchiveError> {
        if let Some(handle) = self.settling.pop_front() {
            self.written.push(settle(handle)?);
        }
        Ok(())
    }
}

fn settle(handle: Handle<'_>) -> Result<String, ArchiveError> {
    handle.join().map_err(|_| died())?
}

fn died() -> ArchiveError {
    ArchiveError::store("write", "packs")(io::Error::other("a thread died"))
}
