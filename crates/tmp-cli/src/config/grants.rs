//! What confined commands are granted, from what is written.

use camino::{Utf8Component, Utf8Path};
use tmp_core::plan::{Confinement, Network};

use super::schema;
use crate::files;

/// The least memory with which a program starts.
const LEAST: u64 = 16 << 20;

/// The grants of a system; those of every system where nothing is said. Paths start at `folder`.
pub(super) fn resolved(folder: &Utf8Path, written: Option<&schema::Grants>) -> Confinement {
    let default = Confinement::default();
    let Some(written) = written else { return default };
    let paths =
        |paths: &[String]| paths.iter().map(|path| files::join(folder, Utf8Path::new(path))).collect();
    let network = match (written.network, written.connect.as_slice()) {
        (schema::Network::Any, _) => Network::Any,
        (schema::Network::None, []) => Network::None,
        (schema::Network::None, ports) => Network::Connect(ports.to_vec()),
    };
    Confinement {
        read: paths(&written.read),
        write: paths(&written.write),
        network,
        memory: written.memory.as_ref().and_then(|size| bytes(&size.0).ok()).unwrap_or(default.memory),
        processes: written.processes.unwrap_or(default.processes),
        landlock: default.landlock,
    }
}

/// The bytes that a text like `512MiB` means.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let units = [("MiB", 20), ("GiB", 30)];
    let found = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let number = found.and_then(|(number, shift): (&str, u32)| {
        let digits = number.trim_end();
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u64>().ok()?.checked_mul(1 << shift)).flatten()
    });
    match number {
        Some(bytes) if (LEAST..=1 << 50).contains(&bytes) => Ok(bytes),
        Some(_) => Err("is not between 16MiB and 1048576GiB".into()),
        None => Err("is no number of bytes".into()),
    }
}

/// Whether a path can be granted, as far as its text says.
pub(super) fn is_path(path: &str) -> bool {
    let mut parts = Utf8Path::new(path).components().peekable();
    let plain = |part: Utf8Component<'_>| !matches!(part, Utf8Component::ParentDir);
    !path.is_empty() && path != "/" && parts.peek().is_some() && parts.all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(bytes("512MiB"), Ok(512 << 20));
        assert_eq!(bytes("2 GiB"), Ok(2 << 30));
        for wrong in ["", "512", "1MiB", "-1GiB", "1.5GiB", "GiB", "512MB", "99999999999999999999GiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
