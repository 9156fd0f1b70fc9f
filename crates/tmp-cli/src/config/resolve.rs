//! From a checked `tmp.yaml` to settings with absolute paths.

use camino::{Utf8Path, Utf8PathBuf};
use tmp_core::{EnvironmentName, SystemName, path::RESERVED};
use tmp_disk::{At, Disk as _, RealDisk};
use tmp_migrate::{CommandPolicy, Utility};

use super::{
    Config, Origin, Setting, Site, grants,
    schema::{self, Commands, PrivilegedModules, TmpYaml},
};
use crate::files;

/// The settings of a document without mistakes.
pub(super) fn resolve(
    document: TmpYaml,
    file: Setting<Utf8PathBuf>,
    state: Option<Setting<Utf8PathBuf>>,
) -> Config {
    let folder = file.value.parent().unwrap_or(Utf8Path::new("/")).to_owned();
    let here = Origin::File(file.value.clone());
    let state = state.unwrap_or_else(|| Setting {
        value: files::join(&folder, document.state.as_ref()),
        origin: here.clone(),
    });
    let commands = match document.policy.commands {
        Some(said) => Setting { value: said, origin: here.clone() },
        None => Setting { value: Commands::Forbidden, origin: Origin::Default },
    };
    let privileged_modules = match document.policy.privileged_modules {
        Some(said) => Setting { value: said == PrivilegedModules::Allowed, origin: here },
        None => Setting { value: false, origin: Origin::Default },
    };
    let utilities =
        document.utilities.into_iter().map(|(name, utility)| (name, utility_of(utility))).collect();
    let mut sites = Vec::new();
    for (name, system) in document.systems {
        let policy = match commands.value {
            Commands::Allowed => CommandPolicy::Allowed,
            Commands::Forbidden => CommandPolicy::Forbidden,
            Commands::Confined => {
                CommandPolicy::Confined(grants::resolved(&folder, system.commands.as_ref()))
            }
        };
        let environments =
            [(EnvironmentName::Model, system.model), (EnvironmentName::Production, system.production)];
        for (environment, found) in environments {
            for (site, written) in found.into_iter().flat_map(|environment| environment.sites) {
                sites.push(site_of(&folder, (&name, environment, site), (&system.ignore, &policy), written));
            }
        }
    }
    Config { file, state, commands, privileged_modules, utilities, sites }
}

/// Where the work directory of a root is when nothing is said: beside the root; inside it where beside it
/// is another mount or subvolume, because renames do not cross that.
pub(super) fn default_work(root: &Utf8Path) -> Utf8PathBuf {
    work_of(root, |path| {
        let dir = RealDisk.open_root(path.as_std_path()).ok()?;
        let stat = RealDisk.stat(At::itself(&dir)).ok()??;
        Some((stat.mount, stat.device))
    })
}

/// The same by what tells mounts apart; `None` where a path does not exist or cannot be looked at.
fn work_of<T: PartialEq>(root: &Utf8Path, mount: impl Fn(&Utf8Path) -> Option<T>) -> Utf8PathBuf {
    let inside = root.join(RESERVED);
    let Some(parent) = root.parent() else { return inside };
    match (mount(root), mount(parent)) {
        (Some(own), Some(beside)) if own != beside => inside,
        _ => parent.join(format!(".tmp-work-{}", root.file_name().unwrap_or("root"))),
    }
}

fn utility_of(utility: schema::Utility) -> Utility {
    Utility { export: utility.export, import: utility.import, verify: utility.verify }
}

fn site_of(
    folder: &Utf8Path,
    (system, environment, name): (&SystemName, EnvironmentName, tmp_core::SiteName),
    (ignore, policy): (&[String], &CommandPolicy),
    written: schema::Site,
) -> Site {
    let root = files::join(folder, written.root.as_ref());
    let work = written.work.as_ref().map(|work| files::join(folder, work.as_ref()));
    let databases = written
        .databases
        .into_iter()
        .filter_map(|(name, database)| Some((name, files::join(folder, database.sqlite?.as_ref()))));
    Site {
        system: system.clone(),
        environment,
        name,
        work_named: work.is_some(),
        work: work.unwrap_or_else(|| default_work(&root)),
        root,
        databases: databases.collect(),
        url: written.url,
        ignore: ignore.to_vec(),
        commands: policy.clone(),
        switch: written.switch.into(),
        ephemeral: written.ephemeral,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_directory_is_on_the_mount_of_the_root() {
        let work = |mounts: &[(&str, u64)], root: &str| {
            let mount = |path: &Utf8Path| mounts.iter().find(|(at, _)| *at == path).map(|(_, id)| *id);
            work_of(root.into(), mount).into_string()
        };
        let mounts = [("/", 1), ("/srv", 1), ("/srv/live", 1), ("/mnt/live", 2), ("/mnt", 1)];
        assert_eq!(work(&mounts, "/srv/live"), "/srv/.tmp-work-live");
        assert_eq!(work(&mounts, "/mnt/live"), "/mnt/live/.tmp-work");
        assert_eq!(work(&mounts, "/absent/live"), "/absent/.tmp-work-live");
        assert_eq!(work(&mounts, "/srv/absent"), "/srv/.tmp-work-absent");
        assert_eq!(work(&mounts, "/"), "/.tmp-work");
        // A mount that every Linux has.
        assert_eq!(default_work("/proc".into()), "/proc/.tmp-work");
    }
}
