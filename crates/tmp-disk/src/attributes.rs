//! Giving something its attributes.

use std::io;

use tmp_core::module::{Attributes, Kind};

use crate::{
    disk::{At, Disk, Stat},
    error::DiskError,
};

/// Labels that the running security module gives and does not let go: they can be changed, not removed.
const LABELS: [&[u8]; 2] = [b"security.selinux", b"security.SMACK64"];

/// The attributes of what stands at `at`, of which `stat` was told, in the form in which they are set.
///
/// # Errors
/// They cannot be read.
pub fn attributes_of(disk: &dyn Disk, at: At<'_>, stat: &Stat) -> Result<Attributes, DiskError> {
    let xattrs = disk.xattrs(at).map_err(DiskError::at("read the extended attributes of", at.name))?;
    let Stat { mode, uid, gid, mtime, .. } = *stat;
    Ok(Attributes { mode, uid, gid, mtime, xattrs })
}

/// Makes the attributes of what stands at `at` exactly these: owner, then mode, then extended
/// attributes, then modification time, because each may disturb those after it (a change of owner
/// clears set-user-id and capabilities). The owner is left alone where it is right already, since only
/// root may set it. Extended attributes that are not named are removed, but for security labels. A
/// symlink has an owner and a modification time only. Nothing is synced. May be repeated.
///
/// # Errors
/// One of them cannot be set; those before it have been.
pub fn set_attributes(
    disk: &dyn Disk,
    at: At<'_>,
    kind: Kind,
    attributes: &Attributes,
) -> Result<(), DiskError> {
    let stat = disk
        .stat(at)
        .and_then(|stat| stat.ok_or_else(|| io::ErrorKind::NotFound.into()))
        .map_err(DiskError::at("look at", at.name))?;
    if (stat.uid, stat.gid) != (attributes.uid, attributes.gid) {
        disk.set_owner(at, attributes.uid, attributes.gid)
            .map_err(DiskError::at("set the owner of", at.name))?;
    }
    if kind != Kind::Symlink {
        disk.set_mode(at, attributes.mode).map_err(DiskError::at("set the mode of", at.name))?;
        set_xattrs(disk, at, attributes).map_err(DiskError::at("set extended attributes of", at.name))?;
    }
    disk.set_mtime(at, attributes.mtime).map_err(DiskError::at("set the modification time of", at.name))
}

fn set_xattrs(disk: &dyn Disk, at: At<'_>, attributes: &Attributes) -> io::Result<()> {
    let present = disk.xattrs(at)?;
    for name in present.keys().filter(|name| !LABELS.contains(&name.as_slice())) {
        if !attributes.xattrs.contains_key(name) {
            disk.remove_xattr(at, name)?;
        }
    }
    for (name, value) in &attributes.xattrs {
        if present.get(name) != Some(value) {
            disk.set_xattr(at, name, value)?;
        }
    }
    Ok(())
}
