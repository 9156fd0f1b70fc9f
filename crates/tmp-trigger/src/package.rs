//! Packages an enhancement as a trigger file.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tmp_core::{Digest, EnvironmentName, Mode};
use tmp_disk::{At, Dir, Disk, DiskError, OpenFile, Rename};

use crate::{
    assemble::{Checked, ScriptCheck, assemble},
    directory::shown,
    envelope::PAYLOAD,
    header::{Counts, PayloadEntry, TriggerHeader, TriggerVersion},
    limits, manifest,
    mistake::{Mistake, Mistakes},
    payload::{Extent, size_of},
    tree::SourceTree,
    writer::Writer,
};

/// How to package.
#[derive(Debug, Clone)]
pub struct PackageOptions {
    /// The environment the trigger is meant for.
    pub environment: EnvironmentName,
    /// Where the trigger file goes.
    pub output: Output,
    /// The trees it is compared with or computed from.
    pub trees: Trees,
}

/// Where a trigger file goes.
#[derive(Debug, Clone)]
pub enum Output {
    /// Into this directory, by the name that says what it is.
    Directory(PathBuf),
    /// To this path.
    File(PathBuf),
}

/// Trees of the system as it was or is to be.
#[derive(Debug, Clone)]
pub enum Trees {
    /// None: what is replaced is only known where `replaces` says it.
    None,
    /// The system as it was when the enhancement was developed: what it has at the path of each module
    /// is recorded as what must be replaced.
    Base(PathBuf),
    /// The modules are whatever turns one tree into the other.
    FromTo {
        /// The system before.
        from: PathBuf,
        /// The system after.
        to: PathBuf,
    },
}

/// A trigger file that was written.
#[derive(Debug)]
pub struct Packaged {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// The digest of its `trigger.yaml`.
    pub digest: Digest,
    /// Its `trigger.yaml`.
    pub header: TriggerHeader,
    /// What is allowed and should be known.
    pub warnings: Vec<Mistake>,
}

/// Why nothing was packaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The enhancement is not right.
    #[error("{source}")]
    Mistakes {
        /// Everything that is wrong.
        source: Mistakes,
    },
    /// A file was changed while it was packaged.
    #[error("{file} was changed while it was packaged; package again")]
    Changed {
        /// Which file.
        file: String,
    },
    /// A file cannot be read.
    #[error("{file} cannot be read: {source}")]
    Read {
        /// Which file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It would be larger than what is accepted at a site.
    #[error("{what} takes {size} bytes; a trigger file may have {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// How large it may be.
        limit: u64,
    },
    /// Its manifest would list more than is accepted at a site.
    #[error("manifest.json has {count} commas; a trigger file may have {limit}")]
    TooMany {
        /// How many commas it has.
        count: u64,
        /// How many it may have.
        limit: u64,
    },
    /// The description cannot be written as YAML.
    #[error("trigger.yaml cannot be written: {message}")]
    Description {
        /// Why.
        message: String,
    },
    /// The path names no file.
    #[error("{path} is not the path of a file")]
    Output {
        /// The path.
        path: String,
    },
    /// The trigger file cannot be written.
    #[error("{source}: {}", source.source)]
    Write {
        /// Why.
        source: DiskError,
    },
}

/// Packages the enhancement in `tree`. The same inputs give the same bytes on any machine.
///
/// The trigger file is whole and durable when this returns, and replaces one of the same name; nothing
/// is at its path before. Until then the bytes are in a hidden file beside it that holds the number of
/// this process in its name; an error removes it.
///
/// # Errors
/// Everything that is wrong with the enhancement, or the first thing that could not be read or written.
pub fn package(
    tree: &Arc<dyn SourceTree>,
    options: &PackageOptions,
    scripts: &dyn ScriptCheck,
    disk: &dyn Disk,
) -> Result<Packaged, PackageError> {
    let checked =
        assemble(tree, &options.trees, scripts).map_err(|source| PackageError::Mistakes { source })?;
    let manifest = Extent::of(&checked.enhancement)
        .map_err(|error| PackageError::Description { message: error.to_string() })?;
    within("manifest.json", manifest.size, limits::MANIFEST)?;
    if manifest.commas > limits::COMMAS {
        return Err(PackageError::TooMany { count: manifest.commas, limit: limits::COMMAS });
    }
    let members = manifest::members(&checked.enhancement);
    let size = size_of(manifest.size, &members);
    let draft = header(&checked, options.environment, size);
    let (parent, name) = split(&options.output, &draft)?;
    let writer = Writer { checked: &checked, manifest: manifest.size, members, header: draft };
    let dir = disk.open_root(&parent).map_err(DiskError::at("open", &parent)).map_err(write_error)?;
    let part = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
    let begun = begin(disk, &dir, &part).map_err(write_error);
    let written = begun.and_then(|file| writer.write(disk, &file)).and_then(|(header, digest, size)| {
        publish(disk, &dir, &part, &name).map_err(write_error)?;
        Ok((header, digest, size))
    });
    match written {
        Ok((header, digest, size)) => {
            Ok(Packaged { path: parent.join(name), size, digest, header, warnings: checked.warnings })
        }
        Err(error) => {
            // What went wrong first is what is told; a part that cannot be removed stays hidden.
            let _ = disk.remove_file(At::new(&dir, &part));
            Err(error)
        }
    }
}

pub(crate) fn write_error(source: DiskError) -> PackageError {
    PackageError::Write { source }
}

pub(crate) fn within(what: &'static str, size: u64, limit: u64) -> Result<(), PackageError> {
    if size <= limit { Ok(()) } else { Err(PackageError::TooLarge { what, size, limit }) }
}

fn split(output: &Output, header: &TriggerHeader) -> Result<(PathBuf, OsString), PackageError> {
    let (parent, name) = match output {
        Output::Directory(directory) => (directory.clone(), header.file_name().into()),
        Output::File(path) => {
            let name = path.file_name().ok_or_else(|| PackageError::Output { path: shown(path) })?;
            (path.parent().unwrap_or(Path::new("")).to_owned(), name.to_owned())
        }
    };
    let absolute = std::path::absolute(if parent.as_os_str().is_empty() { Path::new(".") } else { &parent });
    let parent = absolute.map_err(|_| PackageError::Output { path: shown(&parent) })?;
    Ok((parent, name))
}

/// Makes the empty part. One that a killed process of the same number left goes first.
fn begin(disk: &dyn Disk, dir: &Dir, part: &str) -> Result<OpenFile, DiskError> {
    if disk.stat(At::new(dir, part)).map_err(DiskError::at("look at", part))?.is_some() {
        disk.remove_file(At::new(dir, part)).map_err(DiskError::at("remove", part))?;
    }
    disk.create_file(At::new(dir, part), Mode::FILE).map_err(DiskError::at("create", part))
}

fn publish(disk: &dyn Disk, dir: &Dir, part: &str, name: &OsStr) -> Result<(), DiskError> {
    disk.rename(At::new(dir, part), At::new(dir, name), Rename::Replace)
        .map_err(DiskError::at("name", name))?;
    disk.sync_dir(dir).map_err(DiskError::at("sync the directory of", name))
}

/// The description, but for the two digests that are known at the end.
fn header(checked: &Checked, environment: EnvironmentName, size: u64) -> TriggerHeader {
    let source = checked.source.clone();
    let unknown = Digest::of(b"");
    TriggerHeader {
        schema: TriggerVersion::V1,
        enhancement: source.id,
        revision: source.revision,
        title: source.title,
        system: source.system,
        environment,
        developer: source.developer,
        label: source.label,
        rfs: source.rfs,
        change_document: source.change_document,
        instructions: source.instructions,
        schedule: source.schedule,
        distribution: source.distribution,
        testing: source.testing,
        activation: source.activation,
        outputs: source.outputs,
        requires: source.requires,
        together_with: source.together_with,
        conflicts_with: source.conflicts_with,
        affects: source.affects,
        max_duration: source.max_duration,
        attachments: checked.attachments.clone(),
        contents: Counts::of(&checked.enhancement),
        payloads: vec![PayloadEntry { file: PAYLOAD.to_owned(), digest: unknown, payload: unknown, size }],
    }
}
