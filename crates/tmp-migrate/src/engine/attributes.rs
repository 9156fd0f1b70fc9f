//! The attributes that a new module gets: from what it replaces, else from the parent's rules. The planner
//! asks here whether they can be set, staging sets them.

use std::collections::BTreeMap;

use tmp_core::{
    Mode, ModulePath,
    module::{Attributes, Content, Kind, Timestamp},
    plan::{Action, Operation, StagedModule},
};
use tmp_disk::{At, Disk, DiskError, OwnerError, Stat, Tree, resolve_owner};

/// The extended attributes that belong to the place, not to the content: ACL and security label.
pub(super) const ACCESS: &[u8] = b"system.posix_acl_access";
const DEFAULT: &[u8] = b"system.posix_acl_default";
const LABELS: [&[u8]; 2] = [b"security.selinux", b"security.SMACK64"];

/// The set-group-id bit: what is made in such a directory takes its group.
const SET_GROUP_ID: u32 = 0o2000;

/// What stands somewhere, as far as new modules take after it.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    kind: Kind,
    mode: Mode,
    uid: u32,
    gid: u32,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Model {
    /// What stands at a place; `None` where nothing does.
    fn at(disk: &dyn Disk, at: At<'_>) -> Result<Option<Self>, DiskError> {
        let Some(stat) = disk.stat(at).map_err(DiskError::at("look at", at.name))? else { return Ok(None) };
        let xattrs = disk.xattrs(at).map_err(DiskError::at("read the attributes of", at.name))?;
        let Stat { kind, mode, uid, gid, .. } = stat;
        Ok(Some(Self { kind, mode, uid, gid, xattrs }))
    }

    /// What a module made with `attributes` will be to those below it.
    fn of(kind: Kind, attributes: &Attributes) -> Self {
        let Attributes { mode, uid, gid, xattrs, .. } = attributes.clone();
        Self { kind, mode, uid, gid, xattrs }
    }
}

/// The directory that something at `path` stands in, with the mode that one of the `operations` gives it,
/// and what stands at `path` itself; `None` where the directory is not there.
pub(crate) fn surroundings(
    tree: &Tree,
    operations: &[Operation],
    path: &ModulePath,
) -> Result<Option<(Model, Option<Model>)>, DiskError> {
    let Some(place) = tree.locate(path)? else { return Ok(None) };
    let disk = tree.disk().as_ref();
    let Some(mut above) = Model::at(disk, At::itself(&place.dir))? else { return Ok(None) };
    let parent = path.parent();
    for operation in operations.iter().filter(|operation| Some(&operation.path) == parent.as_ref()) {
        if let Action::SetMode { to, .. } = operation.action {
            above.mode = to;
        }
    }
    Ok(Some((above, Model::at(disk, place.at())?)))
}

/// The attributes of everything one operation stages, in its order: those that the plan took from an
/// archive, else by the rules of what stands there; where an owner is asked for that does
/// not exist here, that.
pub(crate) fn staged_attributes(
    staged: &[StagedModule],
    (above, replaced): &(Model, Option<Model>),
    now: Timestamp,
) -> Vec<Result<Attributes, OwnerError>> {
    let mut made: BTreeMap<&ModulePath, Model> = BTreeMap::new();
    let mut all = Vec::new();
    for (at, module) in staged.iter().enumerate() {
        let replaced = replaced.as_ref().filter(|_| at == 0);
        let above = module.path.parent().and_then(|parent| made.get(&parent)).unwrap_or(above);
        let owner = module.owner.as_deref().map_or(Ok((None, None)), resolve_owner);
        let (owner, unknown) = match owner {
            Ok(owner) => (owner, None),
            Err(error) => ((None, None), Some(error)),
        };
        let attributes = module
            .attributes
            .clone()
            .unwrap_or_else(|| attributes(&module.content, replaced, above, owner, now));
        made.insert(&module.path, Model::of(module.content.kind(), &attributes));
        all.push(unknown.map_or(Ok(attributes), Err));
    }
    all
}

/// The attributes of a module with this content: owner, group, ACL and label of what it replaces; of
/// its parent where it is new, with the parent's default ACL and set-group-id bit. The modification
/// time is left as `now`: the instant of staging.
fn attributes(
    content: &Content,
    replaced: Option<&Model>,
    parent: &Model,
    owner: (Option<u32>, Option<u32>),
    now: Timestamp,
) -> Attributes {
    let mode = match content {
        Content::File { mode, .. } | Content::Directory { mode } => *mode,
        Content::Symlink { .. } => Mode::from_bits(0o777),
    };
    let mut xattrs = BTreeMap::new();
    let mut take = |from: &Model, name: &[u8], to: &[u8]| {
        if let Some(value) = from.xattrs.get(name) {
            xattrs.insert(to.to_vec(), value.clone());
        }
    };
    let taken_from = replaced.unwrap_or(parent);
    for label in LABELS {
        take(taken_from, label, label);
    }
    match (content.kind(), replaced) {
        (Kind::Symlink, _) => {}
        (kind, Some(replaced)) if replaced.kind == kind => {
            take(replaced, ACCESS, ACCESS);
            take(replaced, DEFAULT, DEFAULT);
        }
        (Kind::Directory, _) => {
            take(parent, DEFAULT, ACCESS);
            take(parent, DEFAULT, DEFAULT);
        }
        _ => take(parent, DEFAULT, ACCESS),
    }
    let mode = match content {
        Content::Directory { .. } => Mode::from_bits(mode.bits() | parent.mode.bits() & SET_GROUP_ID),
        Content::File { .. } | Content::Symlink { .. } => mode,
    };
    Attributes {
        mode,
        uid: owner.0.unwrap_or(taken_from.uid),
        gid: owner.1.unwrap_or(taken_from.gid),
        mtime: now,
        xattrs,
    }
}

#[cfg(test)]
mod tests {
    use tmp_core::Digest;

    use super::*;

    fn model(kind: Kind, uid: u32, mode: u32, xattrs: &[(&[u8], &[u8])]) -> Model {
        let xattrs = xattrs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        Model { kind, mode: Mode::from_bits(mode), uid, gid: uid + 1, xattrs }
    }

    fn file() -> Content {
        Content::File { digest: Digest::of(b""), size: 0, mode: Mode::FILE }
    }

    #[test]
    fn a_replaced_module_passes_on_owner_acl_and_label_but_not_its_content_s_attributes() {
        let old: &[(&[u8], &[u8])] =
            &[(ACCESS, b"acl"), (LABELS[0], b"label"), (b"user.note", b"x"), (b"security.capability", b"y")];
        let replaced = model(Kind::File, 7, 0o600, old);
        let parent = model(Kind::Directory, 9, 0o2755, &[(DEFAULT, b"default")]);
        let got = attributes(&file(), Some(&replaced), &parent, (None, None), (5, 6).into());
        assert_eq!((got.uid, got.gid, got.mode), (7, 8, Mode::FILE));
        assert_eq!(got.xattrs.keys().map(Vec::as_slice).collect::<Vec<_>>(), [LABELS[0], ACCESS]);
    }

    #[test]
    fn a_new_module_takes_after_its_parent() {
        let parent = model(Kind::Directory, 9, 0o2755, &[(DEFAULT, b"default"), (ACCESS, b"own")]);
        let got = attributes(&file(), None, &parent, (Some(3), None), (5, 6).into());
        assert_eq!((got.uid, got.gid), (3, 10));
        assert_eq!(got.xattrs, BTreeMap::from([(ACCESS.to_vec(), b"default".to_vec())]));
        let directory = Content::Directory { mode: Mode::DIRECTORY };
        let got = attributes(&directory, None, &parent, (None, None), (5, 6).into());
        assert_eq!(got.mode, Mode::from_bits(0o2755));
        assert_eq!(got.xattrs.len(), 2);
    }
}
