//! The files beside `enhancement.yaml`, and nothing outside of its directory.

use std::path::{Path, PathBuf};

use tmp_core::ModulePath;

use crate::{mistake::Rule, rules};

/// The directory of an enhancement.
#[derive(Debug)]
pub(crate) struct Sources {
    root: PathBuf,
}

/// A name that does not lead to a usable file.
#[derive(Debug)]
pub(crate) struct SourceFault {
    pub rule: &'static Rule,
    pub message: String,
    pub help: &'static str,
}

impl Sources {
    /// The sources in `directory`.
    pub(crate) fn open(directory: &Path) -> std::io::Result<Self> {
        Ok(Self { root: directory.canonicalize()? })
    }

    /// What the name `text` stands for; a symlink at its end is not followed.
    pub(crate) fn entry(&self, text: &str) -> Result<PathBuf, SourceFault> {
        let path = self.inside(text)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(missing(text));
        };
        Ok(self.resolve(parent, text)?.join(name))
    }

    /// The regular file that the name `text` stands for; a symlink is followed inside the directory.
    pub(crate) fn file(&self, text: &str) -> Result<PathBuf, SourceFault> {
        let path = self.resolve(&self.inside(text)?, text)?;
        if path.is_file() {
            return Ok(path);
        }
        let message = format!("{text:?} is not a regular file");
        Err(SourceFault { rule: &rules::FILE, message, help: "" })
    }

    fn inside(&self, text: &str) -> Result<PathBuf, SourceFault> {
        let plain = text.strip_suffix('/').unwrap_or(text);
        let name: ModulePath = plain.parse().map_err(|error: tmp_core::path::PathError| SourceFault {
            rule: &rules::PATH,
            message: format!("{text:?} cannot be a source: {}", error.fault),
            help: "sources are named relative to the directory of enhancement.yaml",
        })?;
        Ok(self.root.join(name.as_str()))
    }

    fn resolve(&self, path: &Path, text: &str) -> Result<PathBuf, SourceFault> {
        let real = path.canonicalize().map_err(|_| missing(text))?;
        if real.starts_with(&self.root) {
            return Ok(real);
        }
        Err(SourceFault {
            rule: &rules::FILE,
            message: format!("{text:?} leads out of the enhancement's directory, to {}", real.display()),
            help: "copy it into the directory",
        })
    }
}

fn missing(text: &str) -> SourceFault {
    SourceFault {
        rule: &rules::FILE,
        message: format!("{text:?} does not exist or cannot be read"),
        help: "",
    }
}
