//! Removing snapshots, and what only they needed.
//!
//! Plan first, then perform, in an order that leaves the store whole wherever it ends: new packs are durable
//! before the documents of what goes are removed, and these before old packs. An object may be in two packs
//! then, or in one that nobody needs; the next time that is put right.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use tmp_core::{
    Digest,
    store::{ArchiveStore, Hold},
};

use crate::{
    Archive, ArchiveError, Content, Entry, Listing, Objects, SnapshotId, SnapshotInfo,
    archive::PACKS,
    block::{Block, Encoder, Header},
    manifest,
    pack::{self, Listed, PACK, PackWriter, Place, read_block},
};

/// A pack is written anew when at least one byte in so many is needed no more.
const DEAD: u64 = 4;

/// Packs below this many bytes are put together once there are [`MANY`] of them.
const SMALL: u64 = 4 << 20;

/// How many small packs are let be.
const MANY: usize = 16;

/// What pruning would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrunePlan {
    /// Snapshots that go, oldest first.
    pub remove: Vec<SnapshotId>,
    /// Packs that hold nothing that is needed.
    pub drop: Vec<String>,
    /// Packs of which the needed part goes into new ones.
    pub rewrite: Vec<String>,
    /// Packs whose index is damaged: they are let be.
    pub damaged: Vec<String>,
    /// Bytes that this frees, about.
    pub freed: u64,
    /// Bytes that are written anew for it.
    pub rewritten: u64,
}

/// An archive that nobody else has open: what is needed no more can be removed from it.
#[derive(Debug)]
pub struct Pruner {
    archive: Archive,
}

/// One pack, looked at.
struct Looked {
    name: String,
    /// Blocks of which something is needed.
    live: Vec<Live>,
    live_bytes: u64,
    dead_bytes: u64,
}

/// A block of which something is needed.
struct Live {
    place: Place,
    header: Header,
    /// Of each of its objects, whether it is needed.
    needed: Vec<bool>,
}

impl Archive {
    /// What removing these snapshots would come to. Changes nothing.
    ///
    /// # Errors
    /// One of the snapshots that stay is damaged, or needs what is not there: what else is needed cannot be
    /// known then.
    pub fn plan_prune(&self, remove: &BTreeSet<SnapshotId>) -> Result<PrunePlan, ArchiveError> {
        self.prune_plan(remove).map(|(plan, _)| plan)
    }

    fn prune_plan(&self, remove: &BTreeSet<SnapshotId>) -> Result<(PrunePlan, Vec<Looked>), ArchiveError> {
        let Listing { ids, strangers } = self.listing()?;
        if let Some(name) = strangers.first() {
            return Err(ArchiveError::damaged(name, "its name is not a snapshot's id"));
        }
        let mut needed = Needed::default();
        for id in ids.iter().filter(|id| !remove.contains(id)) {
            needed.add(self, &self.info(id)?)?;
        }
        let mut plan = PrunePlan {
            remove: ids.into_iter().filter(|id| remove.contains(id)).collect(),
            ..PrunePlan::default()
        };
        let mut packs = Vec::new();
        for name in self.packs()? {
            match pack::read_index(self.store(), &name) {
                Ok(index) => packs.push(needed.look(name, index)),
                Err(ArchiveError::Damaged { .. } | ArchiveError::UnknownVersion { .. }) => {
                    plan.damaged.push(name);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(digest) = needed.objects.iter().next() {
            let fault = "a snapshot that stays needs it, and no sound pack has it; nothing was removed";
            return Err(ArchiveError::damaged(format!("object {digest}"), fault));
        }
        let is_small = |pack: &Looked| pack.live_bytes + pack.dead_bytes < SMALL;
        let many = packs.iter().filter(|pack| is_small(pack)).count() >= MANY;
        let mut rewritten = Vec::new();
        for pack in packs {
            if pack.live.is_empty() {
                plan.freed += pack.dead_bytes;
                plan.drop.push(pack.name);
            } else if pack.dead_bytes * DEAD >= pack.live_bytes + pack.dead_bytes || (many && is_small(&pack))
            {
                plan.freed += pack.dead_bytes;
                plan.rewritten += pack.live_bytes;
                plan.rewrite.push(pack.name.clone());
                rewritten.push(pack);
            }
        }
        Ok((plan, rewritten))
    }
}

impl Pruner {
    /// Opens the archive in a store for pruning. Nobody else can open it until this is dropped.
    ///
    /// # Errors
    /// As [`Archive::open`]; [`ArchiveError::Held`] also where anybody else has it open.
    pub fn open(store: Arc<dyn ArchiveStore>) -> Result<Self, ArchiveError> {
        Archive::hold(store, Hold::Alone).map(|archive| Self { archive })
    }

    /// The archive, to look at.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Removes these snapshots and what only they needed. `id`, which is new, names the packs that are
    /// written. Snapshots that stay are as they were, whatever happens; may be repeated.
    ///
    /// # Errors
    /// As [`Archive::plan_prune`], and nothing was removed; or the store cannot be changed, and part of it was.
    pub fn prune(
        &self,
        remove: &BTreeSet<SnapshotId>,
        id: SnapshotId,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<PrunePlan, ArchiveError> {
        let (plan, packs) = self.archive.prune_plan(remove)?;
        let mut moves = packs.iter().flat_map(|pack| pack.live.iter().map(move |live| (&*pack.name, live)));
        let mut encoder = Encoder::new().map_err(ArchiveError::store("compress for", "packs"))?;
        let (mut number, mut done) = (0_u64, 0_u64);
        let store = self.archive.store();
        while let Some(first) = moves.next() {
            let name = format!("{PACKS}{id}-{number}");
            number += 1;
            let mut next = Some(first);
            let mut failure = None;
            let written = store.write(&name, &mut |out| {
                let mut pack = PackWriter::new(out)?;
                while let Some((from, live)) = next.take() {
                    let block = fetch(store, from, live, &mut encoder).map_err(|error| {
                        failure = Some(error);
                        std::io::Error::other("a pack cannot be read")
                    })?;
                    pack.put(&block)?;
                    done += block.length();
                    progress(done.min(plan.rewritten), plan.rewritten);
                    next = if pack.length() < PACK { moves.next() } else { None };
                }
                pack.finish()
            });
            match failure {
                Some(error) => return Err(error),
                None => written.map_err(ArchiveError::store("write", &name))?,
            }
        }
        for snapshot in &plan.remove {
            self.archive.remove_info(snapshot)?;
        }
        for name in plan.drop.iter().chain(&plan.rewrite) {
            store.remove(name).map_err(ArchiveError::store("remove", name))?;
        }
        Ok(plan)
    }
}

/// What is needed of a block, checked, as a block of its own.
fn fetch(
    store: &dyn ArchiveStore,
    pack: &str,
    live: &Live,
    encoder: &mut Encoder,
) -> Result<Block, ArchiveError> {
    let mut rest = &*read_block(store, pack, &live.place, &live.header.form)?;
    let (mut objects, mut raw) = (Vec::new(), Vec::with_capacity(rest.len()));
    for ((digest, length), needed) in live.header.objects.iter().zip(&live.needed) {
        let (object, others) = rest.split_at_checked(*length as usize).unwrap_or_default();
        rest = others;
        if *needed {
            if Digest::of(object) != *digest {
                let name = format!("object {digest} in {pack}");
                return Err(ArchiveError::damaged(name, "it has another digest"));
            }
            objects.push((*digest, *length));
            raw.extend_from_slice(object);
        }
    }
    encoder.encode(objects, &raw).map_err(ArchiveError::store("compress", "an object"))
}

/// The objects that snapshots need.
#[derive(Default)]
struct Needed {
    objects: HashSet<Digest>,
    /// Pieces of manifests whose lines were gone through, each of whole lines.
    read: HashSet<Digest>,
}

impl Needed {
    fn add(&mut self, archive: &Archive, info: &SnapshotInfo) -> Result<(), ArchiveError> {
        let objects = archive.objects(info)?;
        for database in &info.databases {
            self.content(&database.content);
        }
        let mut partial = Vec::new();
        for (digest, _) in &info.manifest.pieces {
            self.objects.insert(*digest);
            let between = partial.is_empty();
            if between && self.read.contains(digest) {
                continue;
            }
            self.lines(&objects, digest, &mut partial)?;
            if between && partial.is_empty() {
                self.read.insert(*digest);
            }
        }
        Ok(())
    }

    fn lines(
        &mut self,
        objects: &Objects<'_>,
        digest: &Digest,
        partial: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        for part in (*objects.object(digest)?).split_inclusive(|byte| *byte == b'\n') {
            partial.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let (_, entry) = manifest::parse(partial)
                    .map_err(|fault| ArchiveError::damaged(format!("manifest piece {digest}"), fault))?;
                if let Entry::File(file) = entry {
                    self.content(&file.content);
                }
                partial.clear();
            }
        }
        Ok(())
    }

    fn content(&mut self, content: &Content) {
        self.objects.extend(content.pieces().filter_map(|(digest, _)| digest));
    }

    /// Takes what a pack has from what is needed. What a part of a block takes is reckoned by its share.
    fn look(&mut self, name: String, index: Vec<Listed>) -> Looked {
        let mut looked = Looked { name, live: Vec::new(), live_bytes: 0, dead_bytes: 0 };
        for Listed { header, place } in index {
            let needed: Vec<bool> =
                header.objects.iter().map(|(digest, _)| self.objects.remove(digest)).collect();
            let parts = header.objects.iter().zip(&needed).filter(|(_, needed)| **needed);
            let live: u64 = parts.map(|((_, length), _)| u64::from(*length)).sum();
            let bytes = u64::from(place.header) + u64::from(header.form.stored);
            let share = (bytes * live).div_ceil(u64::from(header.form.raw).max(1));
            looked.live_bytes += share;
            looked.dead_bytes += bytes - share;
            if live > 0 {
                looked.live.push(Live { place, header, needed });
            }
        }
        looked
    }
}
