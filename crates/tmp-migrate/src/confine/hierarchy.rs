//! Where cgroups are mounted, and where this process is in them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// One hierarchy of cgroups.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Where it is mounted.
    pub(super) mount: PathBuf,
    /// Whether it is the one of version 2.
    pub(super) unified: bool,
    /// The controllers of one of version 1.
    pub(super) controllers: BTreeSet<String>,
    /// The cgroup of this process in it, absolute from its root.
    own: PathBuf,
}

impl Hierarchy {
    /// Where a cgroup may be made: in the own one, then in each above it. One of version 2 that holds processes
    /// hands no controllers down.
    pub(super) fn places(&self) -> impl Iterator<Item = PathBuf> {
        let own = if super::cgroup::is_plain(&self.own) { self.own.as_path() } else { Path::new("/") };
        let own = own.strip_prefix("/").unwrap_or(own).to_owned();
        let above: Vec<_> = own.ancestors().map(|path| self.mount.join(path)).collect();
        above.into_iter().filter(|path| path.is_dir())
    }
}

/// Every hierarchy that this process sees.
///
/// # Errors
/// In words: the kernel does not say.
pub(super) fn hierarchies() -> Result<Vec<Hierarchy>, String> {
    let text = |file| {
        std::fs::read_to_string(file).map_err(|error| format!("the cgroups cannot be read: {file}: {error}"))
    };
    Ok(read(&text("/proc/self/mountinfo")?, &text("/proc/self/cgroup")?))
}

/// The same from the texts of the kernel: `proc_pid_mountinfo(5)`, `cgroups(7)`.
fn read(mounts: &str, own: &str) -> Vec<Hierarchy> {
    let own: Vec<(BTreeSet<String>, PathBuf)> = own
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let controllers = controllers.split(',').filter(|one| !one.is_empty()).map(str::to_owned);
            Some((controllers.collect(), PathBuf::from(path)))
        })
        .collect();
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let (mount, mut right) = (left.split(' ').nth(4)?, right.split(' '));
        let unified = match right.next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        let options: BTreeSet<&str> = right.nth(1).unwrap_or_default().split(',').collect();
        let (controllers, own) = own.iter().find(|(controllers, _)| {
            controllers.is_empty() == unified
                && controllers.iter().all(|one| options.contains(one.as_str()) || unified)
        })?;
        Some(Hierarchy { mount: mount.into(), unified, controllers: controllers.clone(), own: own.clone() })
    };
    mounts.lines().filter_map(mount).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found_where_they_are_mounted() {
        let mounts = "25 30 0:22 / /sys rw - sysfs sysfs rw\n\
                      29 25 0:26 / /sys/fs/cgroup/pids rw,nosuid shared:9 - cgroup cgroup rw,pids\n\
                      30 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      31 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let own = "4:pids:/a/b\n3:cpu,cpuacct:/\n1:name=systemd:/x\n0::/user.slice/me\n";
        let found = read(mounts, own);
        let shown: Vec<_> =
            found.iter().map(|one| (one.mount.to_str().unwrap(), one.own.to_str().unwrap())).collect();
        assert_eq!(
            shown,
            [
                ("/sys/fs/cgroup/pids", "/a/b"),
                ("/sys/fs/cgroup/cpu,cpuacct", "/"),
                ("/sys/fs/cgroup/unified", "/user.slice/me")
            ]
        );
        assert!(found[2].unified && !found[0].unified);
    }
}
