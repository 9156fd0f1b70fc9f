//! The trees: real ones, fetched by name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Done,
    download::{self, Registry},
};

/// Sources of Linux as Debian packages them: about 78,600 files and 1.3 GB each.
const LINUX: [&str; 2] = ["6.1.159-1", "6.1.172-1"];
/// Two feature releases of a web framework: about 3,700 files each.
const DJANGO: [&str; 2] = ["5.1.4", "5.2"];

/// Unpacked trees, not to be changed.
pub(super) struct Trees {
    /// A large one; Django's where the bench is only tried.
    pub(super) large: PathBuf,
    /// Another large one.
    pub(super) second: PathBuf,
    /// A release, and …
    pub(super) old: PathBuf,
    /// … the one after it. A file that is the same in both has the same time in both, as after a deployment from source
    /// control: tools that go by times see only what changed.
    pub(super) new: PathBuf,
    /// What they are, for the page.
    pub(super) names: String,
}

impl Trees {
    /// Fetches what is missing below `folder`.
    pub(super) fn fetch(folder: &Path, small: bool) -> Done<Self> {
        let django = |version| download::release(folder, Registry::Wheel, "django", version);
        let linux = |version| download::release(folder, Registry::Debian, "linux-source-6.1", version);
        let [old, new] = DJANGO.map(django);
        let (old, new) = (old?, new?);
        align(&old, &new)?;
        if small {
            let names = format!("Django {} for everything, to try the bench", DJANGO.join(" and "));
            return Ok(Self { large: old.clone(), second: new.clone(), old, new, names });
        }
        let [large, second] = LINUX.map(linux);
        let names = format!("linux-source-6.1 {}, Django {}", LINUX.join(" and "), DJANGO.join(" and "));
        Ok(Self { large: large?, second: second?, old, new, names })
    }
}

/// Gives each file below `new` that has the content of the one below `old` that one's time.
fn align(old: &Path, new: &Path) -> Done {
    for entry in fs::read_dir(new)? {
        let entry = entry?;
        let before = old.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if before.is_dir() {
                align(&before, &entry.path())?;
            }
        } else if kind.is_file() && before.is_file() && fs::read(&before)? == fs::read(entry.path())? {
            let time = fs::metadata(&before)?.modified()?;
            fs::File::options().write(true).open(entry.path())?.set_modified(time)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_same_gets_the_same_time() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        for (root, text) in [(&old, "1"), (&new, "2")] {
            fs::create_dir_all(root.join("in")).unwrap();
            fs::write(root.join("changed"), text).unwrap();
            fs::write(root.join("in/same"), "same").unwrap();
        }
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        for name in ["changed", "in/same"] {
            fs::File::options().write(true).open(old.join(name)).unwrap().set_modified(long_ago).unwrap();
        }
        align(&old, &new).unwrap();
        let time = |name| fs::metadata(new.join(name)).unwrap().modified().unwrap();
        assert_eq!(time("in/same"), long_ago);
        assert_ne!(time("changed"), long_ago);
    }
}
