//! Stages all new content in the work directory, on the root's own mount, before anything is switched.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    io,
};

use tmp_core::{
    Digest, Mode, ModulePath,
    contents::Contents,
    event::Work,
    module::{Attributes, Content, Kind, Timestamp},
    mutant,
    plan::{Action, Operation},
};
use tmp_disk::{
    At, Barrier, Dir, DiskError, FileReader, OpenFile, create_dir_durably, digest_of, set_attributes,
    write_new,
};

use super::{
    attributes::{staged_attributes, surroundings},
    error::{EngineError, Trouble, mismatch},
    run::Run,
    sight::Sight,
    site::slots,
};

/// File handles kept for the barrier: from this many on it syncs the whole file system anyway.
pub(super) const HANDLES: usize = 32;

/// The mode of a file while it is staged.
pub(super) const STAGED: Mode = Mode::from_bits(0o600);

/// Where a module is staged.
#[derive(Clone)]
struct Slot {
    dir: Dir,
    name: String,
    /// The module it will be, for messages.
    module: ModulePath,
}

impl Slot {
    fn at(&self) -> At<'_> {
        At::new(&self.dir, &self.name)
    }

    /// The same error, told of the module.
    fn told(&self, error: DiskError) -> DiskError {
        DiskError { path: self.module.to_string(), ..error }
    }
}

/// Everything staging holds on to until the barrier.
#[derive(Default)]
struct Staging {
    files: BTreeMap<Digest, Vec<Slot>>,
    /// Attributes to be set once everything is written, children before parents.
    attributes: Vec<(Slot, Kind, Attributes)>,
    dirs: Vec<Dir>,
    handles: Vec<OpenFile>,
    bytes: u64,
    count: u64,
}

impl Run<'_, '_> {
    /// Stages every module of the plan, and the next tree where the whole tree is exchanged, and makes that
    /// durable. `archived` is what was seen before that was archived; answers what was seen of the whole tree
    /// where that is exchanged.
    pub(super) fn stage(
        &mut self,
        contents: &dyn Contents,
        archived: &Sight,
    ) -> Result<Option<Sight>, Trouble> {
        let since = self.site.clock().elapsed();
        let private = Mode::from_bits(0o700);
        let slots = create_dir_durably(self.disk(), &self.site.work, &slots(self.migration()), private)?;
        let barrier = Barrier::open(self.site.tree.disk(), &slots)?;
        let mut staging = Staging { dirs: vec![slots.clone()], ..Staging::default() };
        for (index, operation) in self.plan.operations.iter().enumerate() {
            self.outline(&slots, index, operation, &mut staging)?;
        }
        self.write(contents, &mut staging)?;
        for (slot, kind, attributes) in staging.attributes.iter().rev() {
            set_attributes(self.disk(), slot.at(), *kind, attributes).map_err(|error| slot.told(error))?;
        }
        let mut seen = None;
        if self.home.is_some() {
            let next = self.next_tree(&slots, archived)?;
            staging.handles.extend(next.files);
            staging.dirs.extend(next.dirs);
            (staging.count, staging.bytes) = (staging.count + next.count, staging.bytes + next.bytes);
            seen = Some(next.sight);
        }
        if !mutant::is("stage-barrier") {
            barrier.settle(&staging.handles, &staging.dirs).map_err(|source| EngineError::Sync { source })?;
        }
        self.done(Work::Stage, staging.count, staging.bytes, since);
        self.unless_stopped()?;
        Ok(seen)
    }

    /// Makes the directories and symlinks of an operation and notes its files.
    fn outline(
        &self,
        slots: &Dir,
        index: usize,
        operation: &Operation,
        staging: &mut Staging,
    ) -> Result<(), Trouble> {
        let Action::Put { staged } = &operation.action else { return Ok(()) };
        let disk = self.disk();
        let gone = || Trouble::TurnBack(format!("the directory of {} is gone", operation.path));
        let surroundings =
            surroundings(&self.tree, &self.plan.operations, &operation.path)?.ok_or_else(gone)?;
        let now = self.site.clock().now();
        let now: Timestamp = (now.unix_timestamp(), now.nanosecond()).into();
        let mut made: BTreeMap<&ModulePath, Dir> = BTreeMap::new();
        for (module, attributes) in staged.iter().zip(staged_attributes(staged, &surroundings, now)) {
            let path = &module.path;
            let attributes =
                attributes.map_err(|error| Trouble::TurnBack(format!("{path}: {}", crate::text(&error))))?;
            let place = match path.parent().and_then(|parent| made.get(&parent)) {
                Some(dir) => Slot { dir: dir.clone(), name: path.name().to_owned(), module: path.clone() },
                None => Slot { dir: slots.clone(), name: index.to_string(), module: path.clone() },
            };
            let fault = |source| DiskError::at("stage", path.as_str())(source);
            match &module.content {
                Content::Directory { mode } => {
                    let writable = Mode::from_bits(mode.bits() | 0o700);
                    disk.create_dir(place.at(), writable).map_err(fault)?;
                    let below = disk.open_dir(&place.dir, OsStr::new(&place.name)).map_err(fault)?;
                    staging.dirs.push(below.clone());
                    made.insert(path, below);
                }
                Content::Symlink { target } => {
                    disk.create_symlink(place.at(), target.as_bytes()).map_err(fault)?;
                }
                Content::File { digest, .. } => {
                    staging.files.entry(*digest).or_default().push(place.clone());
                }
            }
            staging.count += 1;
            staging.attributes.push((place, module.content.kind(), attributes));
        }
        Ok(())
    }

    /// Writes every file: each content is read once, and copied where it is needed again.
    fn write(&mut self, contents: &dyn Contents, staging: &mut Staging) -> Result<(), Trouble> {
        let wanted: BTreeSet<Digest> = staging.files.keys().copied().collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let total = staging.files.values().map(|places| places.len() as u64).sum();
        let disk = std::sync::Arc::clone(self.site.tree.disk());
        let (mut done, mut bytes) = (0, 0);
        let mut handles = Vec::new();
        let mut wrong = None;
        let files = &staging.files;
        let visited = contents.visit(&wanted, &mut |digest, _, reader| {
            let Some((first, others)) = files.get(digest).and_then(|places| places.split_first()) else {
                return Ok(());
            };
            let written = write_new(disk.as_ref(), first.at(), STAGED, reader)
                .map_err(|error| io::Error::other(first.told(error)))?;
            if written.digest != *digest {
                wrong = Some(mismatch(first.module.as_str(), digest, &written.digest));
                return Err(io::Error::from(io::ErrorKind::InvalidData));
            }
            (done, bytes) = (done + 1, bytes + written.size);
            for place in others {
                let copy = copy(disk.as_ref(), &written.file, place)
                    .map_err(|error| io::Error::other(place.told(error)))?;
                (done, bytes) = (done + 1, bytes + written.size);
                keep(&mut handles, copy);
            }
            keep(&mut handles, written.file);
            self.progress(Work::Stage, done, total, bytes);
            Ok(())
        });
        if let Err(error) = visited {
            let text = wrong.unwrap_or_else(|| crate::text(&error));
            return Err(Trouble::TurnBack(format!("the contents cannot be staged: {text}")));
        }
        if done != total {
            let text = format!("the contents are not complete: {done} of {total} files");
            return Err(Trouble::TurnBack(text));
        }
        staging.handles = handles;
        staging.bytes = bytes;
        Ok(())
    }
}

pub(crate) fn keep(handles: &mut Vec<OpenFile>, file: OpenFile) {
    if handles.len() < HANDLES {
        handles.push(file);
    }
}

/// Writes once more what was just written.
fn copy(disk: &dyn tmp_disk::Disk, from: &OpenFile, to: &Slot) -> Result<OpenFile, DiskError> {
    let fault = DiskError::at("stage", &to.name);
    let clone = || {
        let file = disk.create_file(to.at(), STAGED)?;
        if disk.clone_file(from, &file)? {
            return Ok(Ok(file));
        }
        disk.remove_file(to.at())?;
        Ok(Err(digest_of(disk, from)?.0))
    };
    let expected = match clone().map_err(fault)? {
        Ok(file) => return Ok(file),
        Err(expected) => expected,
    };
    let mut reader = FileReader::new(disk, from);
    let written = write_new(disk, to.at(), STAGED, &mut reader)?;
    if written.digest == expected {
        Ok(written.file)
    } else {
        let text = mismatch("the copy", &expected, &written.digest);
        Err(DiskError::at("stage", &to.name)(io::Error::new(io::ErrorKind::InvalidData, text)))
    }
}
