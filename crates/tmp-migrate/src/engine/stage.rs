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
    module::{Attributes, Content, Timestamp},
    plan::{Action, Operation, StagedModule},
};
use tmp_disk::{
    At, Barrier, Dir, DiskError, FileReader, OpenFile, create_dir_durably, digest_of, resolve_owner,
    set_attributes, write_new,
};

use super::{
    attributes::{Model, attributes},
    error::{EngineError, Trouble, mismatch},
    run::Run,
    site::slots,
};

/// File handles kept for the barrier: from this many on it syncs the whole file system anyway.
const HANDLES: usize = 32;

/// The mode of a file while it is staged.
const STAGED: Mode = Mode::from_bits(0o600);

/// One file to be written: which operation's, and where in its slot.
#[derive(Clone)]
struct Wanted {
    dir: Dir,
    name: String,
}

/// Everything staging holds on to until the barrier.
#[derive(Default)]
struct Staging {
    files: BTreeMap<Digest, Vec<Wanted>>,
    /// Attributes to be set once everything is written, children before parents.
    attributes: Vec<(Dir, String, Content, Attributes)>,
    dirs: Vec<Dir>,
    handles: Vec<OpenFile>,
    bytes: u64,
    count: u64,
}

impl Run<'_, '_> {
    /// Stages every module of the plan and makes it durable.
    pub(super) fn stage(&mut self, contents: &dyn Contents) -> Result<(), Trouble> {
        let since = self.site.clock().elapsed();
        let private = Mode::from_bits(0o700);
        let slots = create_dir_durably(self.disk(), &self.site.work, &slots(self.migration()), private)?;
        let barrier = Barrier::open(self.site.tree.disk(), &slots)?;
        let mut staging = Staging { dirs: vec![slots.clone()], ..Staging::default() };
        for (index, operation) in self.plan.operations.iter().enumerate() {
            self.outline(&slots, index, operation, &mut staging)?;
        }
        self.write(contents, &mut staging)?;
        for (dir, name, content, attributes) in staging.attributes.iter().rev() {
            set_attributes(self.disk(), At::new(dir, name), content.kind(), attributes)?;
        }
        barrier.settle(&staging.handles, &staging.dirs).map_err(|source| EngineError::Sync { source })?;
        self.done(Work::Stage, staging.count, staging.bytes, since);
        self.unless_stopped()
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
        let mut made: BTreeMap<&ModulePath, (Dir, Model)> = BTreeMap::new();
        let (mut above, replaced) = self.surroundings(operation)?;
        let now = self.site.clock().now();
        let now: Timestamp = (now.unix_timestamp(), now.nanosecond()).into();
        for module in staged {
            let top = module.path == operation.path;
            let parent_path = module.path.parent();
            let (dir, name, parent) = match parent_path.as_ref().and_then(|parent| made.get(parent)) {
                Some((dir, model)) if !top => (dir.clone(), module.path.name().to_owned(), model.clone()),
                _ => (slots.clone(), index.to_string(), above.clone()),
            };
            let owner = owner(module)?;
            let replaced = replaced.as_ref().filter(|_| top);
            let attributes = module
                .attributes
                .clone()
                .unwrap_or_else(|| attributes(&module.content, replaced, &parent, owner, now));
            match &module.content {
                Content::Directory { mode } => {
                    let writable = Mode::from_bits(mode.bits() | 0o700);
                    disk.create_dir(At::new(&dir, &name), writable).map_err(DiskError::at("stage", &name))?;
                    let below =
                        disk.open_dir(&dir, OsStr::new(&name)).map_err(DiskError::at("stage", &name))?;
                    let model = Model::of(module.content.kind(), &attributes);
                    if top {
                        above = model.clone();
                    }
                    staging.dirs.push(below.clone());
                    made.insert(&module.path, (below, model));
                }
                Content::Symlink { target } => {
                    disk.create_symlink(At::new(&dir, &name), target.as_bytes())
                        .map_err(DiskError::at("stage", &name))?;
                }
                Content::File { digest, .. } => {
                    let wanted = Wanted { dir: dir.clone(), name: name.clone() };
                    staging.files.entry(*digest).or_default().push(wanted);
                }
            }
            staging.count += 1;
            staging.attributes.push((dir, name, module.content.clone(), attributes));
        }
        Ok(())
    }

    /// The directory that the operation's path will stand in, and what stands at the path now.
    fn surroundings(&self, operation: &Operation) -> Result<(Model, Option<Model>), Trouble> {
        let gone = || Trouble::TurnBack(format!("the directory of {} is gone", operation.path));
        let place = self.site.tree.locate(&operation.path)?.ok_or_else(gone)?;
        let parent = Model::at(self.disk(), At::itself(&place.dir))?.ok_or_else(gone)?;
        Ok((parent, Model::at(self.disk(), place.at())?))
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
            let written = write_new(disk.as_ref(), At::new(&first.dir, &first.name), STAGED, reader)
                .map_err(io::Error::other)?;
            if written.digest != *digest {
                wrong = Some(mismatch(&first.name, digest, &written.digest));
                return Err(io::Error::from(io::ErrorKind::InvalidData));
            }
            (done, bytes) = (done + 1, bytes + written.size);
            for place in others {
                let copy = copy(disk.as_ref(), &written.file, place)?;
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

fn keep(handles: &mut Vec<OpenFile>, file: OpenFile) {
    if handles.len() < HANDLES {
        handles.push(file);
    }
}

/// Writes once more what was just written.
fn copy(disk: &dyn tmp_disk::Disk, from: &OpenFile, to: &Wanted) -> io::Result<OpenFile> {
    let at = At::new(&to.dir, &to.name);
    let file = disk.create_file(at, STAGED)?;
    if disk.clone_file(from, &file)? {
        return Ok(file);
    }
    disk.remove_file(at)?;
    let (expected, _) = digest_of(disk, from)?;
    let mut reader = FileReader::new(disk, from);
    let written = write_new(disk, at, STAGED, &mut reader).map_err(io::Error::other)?;
    if written.digest == expected {
        Ok(written.file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, mismatch(&to.name, &expected, &written.digest)))
    }
}

fn owner(module: &StagedModule) -> Result<(Option<u32>, Option<u32>), Trouble> {
    match module.owner.as_deref().map(resolve_owner) {
        None => Ok((None, None)),
        Some(Ok(owner)) => Ok(owner),
        Some(Err(error)) => Err(Trouble::TurnBack(format!("{}: {}", module.path, crate::text(&error)))),
    }
}
