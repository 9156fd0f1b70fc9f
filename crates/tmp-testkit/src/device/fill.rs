//! Leaves no room on a file system.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use crate::context::Context;

/// More empty files than any small disk has room for.
const MOST: u32 = 100_000;

/// Fills a file system to its last byte and, where their number is fixed, its last inode. What it writes goes into a
/// folder of its own below `at`, which may be there already.
///
/// # Errors
/// Something else than a lack of room stops it.
pub fn fill(at: &Path) -> io::Result<()> {
    let folder = at.join("filler");
    if let Some(error) = fs::create_dir(&folder).err().filter(|error| !is_full(error) && !folder.is_dir()) {
        return Err(error).context("make", folder.display());
    }
    // What is written is given its place only when it is synced, and then some is left over.
    for round in 0..3 {
        write_all(&folder.join(format!("bytes-{round}")))?;
        for number in 0..MOST {
            match File::create_new(folder.join(format!("{round}-{number}"))) {
                Ok(_) => {}
                Err(error) if is_full(&error) => break,
                Err(error) => return Err(error).context("fill", folder.display()),
            }
        }
        let file = File::open(at)?;
        match rustix::fs::syncfs(&file).map_err(io::Error::from) {
            Err(error) if !is_full(&error) => return Err(error).context("sync", at.display()),
            _ => {}
        }
    }
    Ok(())
}

/// Writes until not one more byte fits.
fn write_all(path: &Path) -> io::Result<()> {
    let mut file = match File::create_new(path) {
        Ok(file) => file,
        Err(error) if is_full(&error) || !path.parent().is_some_and(Path::is_dir) => return Ok(()),
        Err(error) => return Err(error).context("make", path.display()),
    };
    let bytes = vec![b'z'; 1 << 20];
    let mut piece = bytes.len();
    while piece > 0 {
        match file.write(bytes.get(..piece).unwrap_or_default()) {
            Ok(_) => {}
            Err(error) if is_full(&error) => piece /= 16,
            Err(error) => return Err(error).context("write", path.display()),
        }
    }
    Ok(())
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
