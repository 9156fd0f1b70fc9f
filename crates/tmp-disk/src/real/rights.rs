//! What this process may do. Permission bits, access control lists, read-only mounts and security modules
//! are asked by `faccessat2`, never worked out here. Owner, mode and times are the kernel's plain rules
//! (chown(2), chmod(2), utimensat(2)): there is no call that asks for them.

use std::{ffi::OsStr, io};

use rustix::{
    fs::{self, Access, AtFlags},
    io::{Errno, retry_on_intr},
    process::{getegid, geteuid, getgroups},
    thread::{CapabilitySet, capabilities},
};

use super::{fd, stat};
use crate::{
    component::component_or_itself,
    disk::{At, Right, Stat},
};

/// Fails as the use of the right would.
pub(super) fn may(right: Right<'_>) -> io::Result<()> {
    match right {
        Right::Read(at) => access(at, Access::READ_OK),
        Right::Enter(at) => access(at, Access::READ_OK | Access::EXEC_OK),
        Right::Change(at) => {
            access(at, Access::WRITE_OK | Access::EXEC_OK)?;
            // Names can be added to an append-only directory, and not taken away.
            if look(at)?.immutable { Err(Errno::PERM.into()) } else { Ok(()) }
        }
        Right::Adjust(at) => {
            let found = look(at)?;
            let owned = found.uid == geteuid().as_raw() || has(CapabilitySet::FOWNER)?;
            if owned && !found.immutable { Ok(()) } else { Err(Errno::PERM.into()) }
        }
        Right::Give { uid, gid } => {
            let own = uid == geteuid().as_raw() && is_member(gid)?;
            if own || has(CapabilitySet::CHOWN)? { Ok(()) } else { Err(Errno::PERM.into()) }
        }
    }
}

fn access(at: At<'_>, wanted: Access) -> io::Result<()> {
    let (dir, name) = (fd(at.dir)?, component_or_itself(at.name)?);
    let name = if name.is_empty() { OsStr::new(".") } else { name };
    let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
    Ok(retry_on_intr(|| fs::accessat(dir, name, wanted, flags))?)
}

fn look(at: At<'_>) -> io::Result<Stat> {
    let found = stat::stat(fd(at.dir)?, component_or_itself(at.name)?)?;
    found.ok_or_else(|| Errno::NOENT.into())
}

fn has(capability: CapabilitySet) -> io::Result<bool> {
    Ok(capabilities(None)?.effective.contains(capability))
}

fn is_member(gid: u32) -> io::Result<bool> {
    Ok(getegid().as_raw() == gid || getgroups()?.iter().any(|group| group.as_raw() == gid))
}
