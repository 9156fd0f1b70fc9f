//! The reference systems and their enhancements, as data.

mod billing;
mod large;

use super::Package;
use crate::trees::TreeModel;

/// Everything that a scene is built from.
pub(super) struct System {
    /// The tree of modules.
    pub(super) tree: TreeModel,
    /// The script that makes the database; empty where there is none.
    pub(super) database: &'static str,
    /// Files beside the root that commands of the enhancement change.
    pub(super) registry: &'static [(&'static str, &'static str)],
    /// `tmp.yaml`, with `ROOT_IS_EPHEMERAL` for whether the root may vanish with the power.
    pub(super) configuration: String,
    /// The files of the enhancement: path, content, mode.
    pub(super) enhancement: Vec<(String, Vec<u8>, u32)>,
    /// The symlinks of the enhancement: path, text.
    pub(super) links: &'static [(&'static str, &'static str)],
    /// What the enhancement promises.
    pub(super) promise: Promise,
}

/// What must be so after the enhancement, beside being as an undisturbed migration left it.
pub(super) struct Promise {
    /// Paths that are there, and their modes.
    pub(super) present: &'static [(&'static str, u32)],
    /// Paths that are not.
    pub(super) absent: &'static [&'static str],
    /// Words of the database's schema.
    pub(super) schema: &'static [&'static str],
    /// Names in the registry.
    pub(super) registry: &'static [&'static str],
}

impl System {
    pub(super) fn of(package: Package) -> Self {
        match package {
            Package::Large => large::system(),
            other => billing::system(other),
        }
    }
}
