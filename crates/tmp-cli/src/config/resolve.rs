//! From a checked `tmp.yaml` to settings with absolute paths.

use camino::{Utf8Path, Utf8PathBuf};
use tmp_core::{EnvironmentName, SystemName};
use tmp_migrate::{CommandPolicy, Utility};

use super::{
    Config, Origin, Setting, Site,
    schema::{self, Commands, TmpYaml},
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
        Some(Commands::Allowed) => Setting { value: CommandPolicy::Allowed, origin: here },
        Some(Commands::Forbidden | Commands::Confined) => {
            Setting { value: CommandPolicy::Forbidden, origin: here }
        }
        None => Setting { value: CommandPolicy::Forbidden, origin: Origin::Default },
    };
    let utilities =
        document.utilities.into_iter().map(|(name, utility)| (name, utility_of(utility))).collect();
    let mut sites = Vec::new();
    for (name, system) in document.systems {
        let environments =
            [(EnvironmentName::Model, system.model), (EnvironmentName::Production, system.production)];
        for (environment, found) in environments {
            for (site, written) in found.into_iter().flat_map(|environment| environment.sites) {
                sites.push(site_of(&folder, (&name, environment, site), &system.ignore, written));
            }
        }
    }
    Config { file, state, commands, utilities, sites }
}

/// Where the work directory of a root is when nothing is said.
pub(super) fn work_beside(root: &Utf8Path) -> Utf8PathBuf {
    let name = format!(".tmp-work-{}", root.file_name().unwrap_or("root"));
    root.parent().map_or_else(|| root.join(tmp_core::path::RESERVED), |parent| parent.join(name))
}

fn utility_of(utility: schema::Utility) -> Utility {
    Utility { export: utility.export, import: utility.import, verify: utility.verify }
}

fn site_of(
    folder: &Utf8Path,
    (system, environment, name): (&SystemName, EnvironmentName, tmp_core::SiteName),
    ignore: &[String],
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
        work: work.unwrap_or_else(|| work_beside(&root)),
        root,
        databases: databases.collect(),
        url: written.url,
        ignore: ignore.to_vec(),
        ephemeral: written.ephemeral,
    }
}
