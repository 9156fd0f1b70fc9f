//! The files beside `enhancement.yaml`, and nothing outside of its directory.

use std::sync::Arc;

use tmp_core::ModulePath;

use crate::{
    mistake::Rule,
    rules,
    tree::{Found, Place, SourceTree},
};

/// How many symlinks one name may lead through: as many as Linux allows.
const LINKS: usize = 40;

/// The directory of an enhancement.
#[derive(Debug)]
pub(crate) struct Sources {
    tree: Arc<dyn SourceTree>,
}

/// A name that does not lead to a usable file.
#[derive(Debug)]
pub(crate) struct SourceFault {
    pub rule: &'static Rule,
    pub message: String,
    pub help: &'static str,
}

impl Sources {
    /// The sources in `tree`.
    pub(crate) fn new(tree: &Arc<dyn SourceTree>) -> Self {
        Self { tree: Arc::clone(tree) }
    }

    /// What the name `text` stands for; a symlink at its end is not followed.
    pub(crate) fn entry(&self, text: &str) -> Result<Place, SourceFault> {
        let path = inside(text)?;
        let Some(parent) = path.parent() else { return Ok(Place::new(&self.tree, path.as_str())) };
        Ok(self.resolve(parent.as_str(), text)?.below(path.name()))
    }

    /// The regular file that the name `text` stands for; a symlink is followed inside the directory.
    pub(crate) fn file(&self, text: &str) -> Result<Place, SourceFault> {
        let place = self.resolve(inside(text)?.as_str(), text)?;
        match place.look() {
            Ok(Some(Found::File { .. })) => Ok(place),
            _ => Err(fault(format!("{text:?} is not a regular file"), "")),
        }
    }

    /// Where `path` leads. By names alone, so that it is the same wherever the tree lies: a symlink to an
    /// absolute path leads out, even one that would lead in again.
    fn resolve(&self, path: &str, text: &str) -> Result<Place, SourceFault> {
        let mut rest: Vec<String> = path.rsplit('/').map(ToOwned::to_owned).collect();
        let mut done: Vec<String> = Vec::new();
        let mut links: Vec<String> = Vec::new();
        while let Some(component) = rest.pop() {
            match component.as_str() {
                "" | "." => continue,
                ".." if done.pop().is_some() => continue,
                ".." => return Err(leads_out(text, &links)),
                _ => done.push(component),
            }
            let name = done.join("/");
            match self.tree.look(&name).map_err(|message| fault(message, ""))? {
                Some(Found::Directory { .. }) => {}
                Some(Found::File { .. }) if rest.is_empty() => {}
                Some(Found::Symlink { target }) => {
                    links.push(format!("{name} is a symlink to {target}"));
                    if links.len() > LINKS {
                        return Err(fault(format!("{text:?} leads through more than {LINKS} symlinks"), ""));
                    }
                    if target.starts_with('/') {
                        return Err(leads_out(text, &links));
                    }
                    done.pop();
                    rest.extend(target.rsplit('/').map(ToOwned::to_owned));
                }
                Some(Found::File { .. }) | None => {
                    return Err(fault(format!("{text:?} does not exist or cannot be read"), ""));
                }
            }
        }
        Ok(Place::new(&self.tree, done.join("/")))
    }
}

fn leads_out(text: &str, links: &[String]) -> SourceFault {
    let through = links.last().map_or("", String::as_str);
    let message = format!("{text:?} leads out of the enhancement's directory: {through}");
    fault(message, "copy it into the directory")
}

fn inside(text: &str) -> Result<ModulePath, SourceFault> {
    let plain = text.strip_suffix('/').unwrap_or(text);
    plain.parse().map_err(|error: tmp_core::path::PathError| SourceFault {
        rule: &rules::PATH,
        message: format!("{text:?} cannot be a source: {}", error.fault),
        help: "sources are named relative to the directory of enhancement.yaml",
    })
}

fn fault(message: String, help: &'static str) -> SourceFault {
    SourceFault { rule: &rules::FILE, message, help }
}
