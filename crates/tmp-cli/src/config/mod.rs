//! The configuration: where it is found, what it says, and where each setting comes from.
//!
//! Precedence: flags, `TMP_*` environment, `tmp.yaml` here or above, `/etc/tmp/tmp.yaml`.

mod check;
mod grants;
mod resolve;
pub(crate) mod schema;

use std::{collections::BTreeMap, fmt, io::Read as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Serialize, Serializer};
use tmp_core::{DatabaseName, EnvironmentName, SiteName, SystemName, plan::Switch};
use tmp_migrate::{CommandPolicy, Utility};
use tmp_trigger::document::{Document, LONGEST};

use crate::{args::Globals, exit::Exit, failure::Failure, files, mistakes};

/// The name of the file that is looked for.
pub(crate) const NAME: &str = "tmp.yaml";

/// Where it is when it is found nowhere else.
const SYSTEM_WIDE: &str = "/etc/tmp/tmp.yaml";

/// What TMP was told.
#[derive(Debug)]
pub(crate) struct Config {
    /// The file.
    pub(crate) file: Setting<Utf8PathBuf>,
    /// The state directory, absolute.
    pub(crate) state: Setting<Utf8PathBuf>,
    /// Whether commands may run.
    pub(crate) commands: Setting<schema::Commands>,
    /// Whether modules may take another identity when they run.
    pub(crate) privileged_modules: Setting<bool>,
    /// How control objects are moved.
    pub(crate) utilities: BTreeMap<String, Utility>,
    /// Every site, ordered by system, environment and name.
    pub(crate) sites: Vec<Site>,
}

/// A value and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag.
    Flag(&'static str),
    /// A variable of the environment.
    Environment(&'static str),
    /// A configuration file.
    File(Utf8PathBuf),
    /// The file was found here or above, or in its place for the whole machine.
    Found,
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Environment(variable) => write!(f, "environment, {variable}"),
            Self::File(file) => f.write_str(file.as_str()),
            Self::Found => f.write_str("found"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One place where an environment of a system is installed, all paths absolute.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Site {
    /// The system.
    pub(crate) system: SystemName,
    /// The environment.
    pub(crate) environment: EnvironmentName,
    /// The name.
    pub(crate) name: SiteName,
    /// The tree of modules.
    pub(crate) root: Utf8PathBuf,
    /// The work directory.
    pub(crate) work: Utf8PathBuf,
    /// Whether the configuration names the work directory.
    #[serde(skip)]
    pub(crate) work_named: bool,
    /// Files of SQLite databases.
    pub(crate) databases: BTreeMap<DatabaseName, Utf8PathBuf>,
    /// The address for checks.
    pub(crate) url: Option<String>,
    /// Globs of live data below the root.
    pub(crate) ignore: Vec<String>,
    /// Whether commands may run, and what they may use.
    #[serde(serialize_with = "granted", skip_serializing_if = "is_unconfined")]
    pub(crate) commands: CommandPolicy,
    /// How modules are switched.
    pub(crate) switch: Switch,
    /// Whether the root may lie on a file system that forgets.
    pub(crate) ephemeral: bool,
}

/// What confined commands may use; what policy says of all sites is a setting of its own.
fn granted<S: Serializer>(policy: &CommandPolicy, serializer: S) -> Result<S::Ok, S::Error> {
    match policy {
        CommandPolicy::Confined(granted) => granted.serialize(serializer),
        CommandPolicy::Allowed | CommandPolicy::Forbidden => serializer.serialize_none(),
    }
}

const fn is_unconfined(policy: &CommandPolicy) -> bool {
    !matches!(policy, CommandPolicy::Confined(_))
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.system, self.environment, self.name)
    }
}

impl Config {
    /// Finds and reads the configuration.
    ///
    /// # Errors
    /// There is none, it cannot be read, or it has mistakes: all of them at once.
    pub(crate) fn load(globals: &Globals) -> Result<Self, Failure> {
        let file = find(globals)?;
        let bytes = read(&file.value)?;
        let document = Document::read(file.value.as_str(), &bytes, &check::texts(), &check::stand_in());
        let Some(folder) = file.value.parent() else {
            return Err(Failure::new(Exit::InvalidInput, format!("{} is no file", file.value)));
        };
        let state = override_of(globals.state.as_deref(), "--state", "TMP_STATE")?;
        let mistakes =
            check::mistakes(&document, folder, state.as_ref().map(|setting| setting.value.as_path()));
        match document.finish(mistakes) {
            Ok(document) => Ok(resolve::resolve(document, file, state)),
            Err(found) => Err(mistakes::failure(&found, &mistakes::text)),
        }
    }
}

/// The value of a variable that is set and not empty.
pub(crate) fn variable(name: &'static str) -> Result<Option<String>, Failure> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Failure::new(Exit::Usage, format!("the environment variable {name} is not UTF-8")))
        }
    }
}

fn override_of(
    flag: Option<&Utf8Path>,
    flag_name: &'static str,
    variable_name: &'static str,
) -> Result<Option<Setting<Utf8PathBuf>>, Failure> {
    if let Some(path) = flag {
        return Ok(Some(Setting { value: files::absolute(path)?, origin: Origin::Flag(flag_name) }));
    }
    let Some(text) = variable(variable_name)? else { return Ok(None) };
    Ok(Some(Setting { value: files::absolute(text.as_ref())?, origin: Origin::Environment(variable_name) }))
}

fn find(globals: &Globals) -> Result<Setting<Utf8PathBuf>, Failure> {
    if let Some(named) = override_of(globals.config.as_deref(), "--config", "TMP_CONFIG")? {
        return Ok(named);
    }
    let here = files::current()?;
    let above = here.ancestors().map(|folder| folder.join(NAME));
    match above.chain([SYSTEM_WIDE.into()]).find(|file| file.is_file()) {
        Some(value) => Ok(Setting { value, origin: Origin::Found }),
        None => Err(Failure::new(
            Exit::InvalidInput,
            format!("no {NAME} in {here} or above it, and no {SYSTEM_WIDE}"),
        )
        .rule("no-configuration")
        .help("`tmp init` writes one; --config or TMP_CONFIG names another")),
    }
}

fn read(file: &Utf8Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: &dyn fmt::Display| {
        Failure::new(Exit::InvalidInput, format!("{file} cannot be read: {error}"))
            .help("name a configuration file that TMP may read")
    };
    // Asked before it is opened, because opening a FIFO waits for a writer.
    if !std::fs::metadata(file).map_err(|error| unreadable(&error))?.is_file() {
        return Err(unreadable(&"not a regular file"));
    }
    let mut bytes = Vec::new();
    let most = LONGEST as u64 + 1;
    std::fs::File::open(file)
        .and_then(|open| open.take(most).read_to_end(&mut bytes))
        .map_err(|error| unreadable(&error))?;
    Ok(bytes)
}
