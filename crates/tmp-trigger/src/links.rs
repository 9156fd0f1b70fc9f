//! Where symlinks lead.

use tmp_core::ModulePath;

/// Whether the text of a symlink at `path` leads out of the root, as far as the text tells.
pub(crate) fn leaves_root(path: &ModulePath, target: &str) -> bool {
    if target.starts_with('/') {
        return true;
    }
    let mut depth = path.components().count().saturating_sub(1);
    for component in target.split('/') {
        match component {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_way_up() {
        let path: ModulePath = "lib/late/link".parse().unwrap();
        for (target, leaves) in [
            ("fee.py", false),
            ("../../bin/fee", false),
            ("../../../etc", true),
            ("/etc/passwd", true),
            ("x/../../../..", true),
        ] {
            assert_eq!(leaves_root(&path, target), leaves, "{target}");
        }
    }
}
