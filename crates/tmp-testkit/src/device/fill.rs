//! Leaves no room on a file system.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use crate::context::Context;

/// More inodes than a file system has that counts them and is tried here.
const MOST: u64 = 100_000;

/// Fills a file system to its last byte and its last inode. What it writes goes into a new folder `filler` below `at`.
///
/// # Errors
/// Something else than a lack of room stops it.
pub fn fill(at: &Path) -> io::Result<()> {
    let folder = at.join("filler");
    match fs::create_dir(&folder) {
        Err(error) if is_full(&error) => return Ok(()),
        made => made.context("make", folder.display())?,
    }
    let mut bytes = File::create_new(folder.join("bytes")).context("fill", folder.display())?;
    // Inodes that are counted go first: once the bytes are gone there is no room for their names. XFS says how many
    // there could be, and has room for those only while it has bytes; btrfs counts none.
    let counted = rustix::fs::statvfs(at).context("look at", at.display())?.f_files;
    if (1..MOST).contains(&counted) && !is_xfs(at)? {
        inodes(&folder, "first")?;
    }
    // What is written is given its place only when it is synced, and then some is left over.
    for round in ["once", "twice", "again"] {
        write_all(&mut bytes).context("fill", folder.display())?;
        inodes(&folder, round)?;
        match rustix::fs::syncfs(&bytes).map_err(io::Error::from) {
            Err(error) if !is_full(&error) => return Err(error).context("sync", at.display()),
            _ => {}
        }
    }
    Ok(())
}

/// Writes until not one more byte fits.
fn write_all(file: &mut File) -> io::Result<()> {
    let bytes = vec![b'z'; 1 << 20];
    let mut piece = bytes.len();
    while piece > 0 {
        match file.write(bytes.get(..piece).unwrap_or_default()) {
            Ok(_) => {}
            Err(error) if is_full(&error) => piece /= 16,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes small files until not one more can be made.
fn inodes(folder: &Path, name: &str) -> io::Result<()> {
    let mut bytes: &[u8] = &[b'z'; 1500];
    for number in 0..MOST {
        match File::create_new(folder.join(format!("{name}-{number}"))) {
            // A few bytes lie in the metadata of some file systems, as long as there is such room.
            Ok(mut file) => {
                if file.write_all(bytes).is_err() {
                    bytes = &[];
                }
            }
            Err(error) if is_full(&error) => break,
            Err(error) => return Err(error).context("fill", folder.display()),
        }
    }
    Ok(())
}

fn is_xfs(at: &Path) -> io::Result<bool> {
    const XFS: i64 = 0x5846_5342;
    Ok(rustix::fs::statfs(at)?.f_type == XFS)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
