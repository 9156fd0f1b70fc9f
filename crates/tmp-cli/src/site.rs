//! Which site is meant.

use tmp_core::{EnvironmentName, SystemName};

use crate::{
    config::{Config, Site, variable},
    exit::Exit,
    failure::Failure,
};

/// The flag that names a site.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SiteFlag {
    /// The site, or SYSTEM/ENVIRONMENT/SITE [env: TMP_SITE]
    #[arg(long, value_name = "SITE")]
    pub(crate) site: Option<String>,
}

impl SiteFlag {
    /// The name that was given by flag or environment.
    pub(crate) fn name(&self) -> Result<Option<String>, Failure> {
        match &self.site {
            Some(site) => Ok(Some(site.clone())),
            None => variable("TMP_SITE"),
        }
    }
}

/// The site of a system's environment: the named one, else the only one.
///
/// # Errors
/// There is none, or more than one and none was named.
pub(crate) fn of_system<'a>(
    config: &'a Config,
    system: &SystemName,
    environment: EnvironmentName,
    named: Option<&str>,
) -> Result<&'a Site, Failure> {
    let file = &config.file.value;
    let here: Vec<_> = config
        .sites
        .iter()
        .filter(|site| site.system == *system && site.environment == environment)
        .collect();
    let fitting: Vec<_> =
        here.iter().copied().filter(|site| named.is_none_or(|name| is_called(site, name))).collect();
    match (here.as_slice(), fitting.as_slice(), named) {
        ([], _, _) => {
            let message = format!("this is for the {environment} of {system}, which {file} does not have");
            Err(Failure::new(Exit::InvalidInput, message)
                .rule("unknown-target")
                .help(known(&config.sites.iter().collect::<Vec<_>>())))
        }
        (_, [site], _) => Ok(site),
        (_, _, Some(name)) => {
            let message = format!("the {environment} of {system} has no site {name:?} in {file}");
            Err(Failure::new(Exit::Usage, message).rule("unknown-site").help(known(&here)))
        }
        _ => {
            let message = format!("the {environment} of {system} has several sites");
            Err(Failure::new(Exit::Usage, message)
                .rule("which-site")
                .help(format!("name one with --site; {}", known(&here))))
        }
    }
}

/// The site that is meant as a whole: the named one, else that of `TMP_SITE`, else the only one.
///
/// # Errors
/// There is none, or more than one and none was named.
pub(crate) fn whole<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a Site, Failure> {
    let given = match name {
        Some(name) => Some(name.to_owned()),
        None => variable("TMP_SITE")?,
    };
    match (given, config.sites.as_slice()) {
        (Some(name), _) => named(config, &name),
        (None, [site]) => Ok(site),
        (None, sites) => {
            let sites: Vec<_> = sites.iter().collect();
            Err(Failure::new(Exit::Usage, "several sites are configured, or none")
                .rule("which-site")
                .help(format!("name one; {}", known(&sites))))
        }
    }
}

/// The one site that a name means.
///
/// # Errors
/// None or several are called that.
pub(crate) fn named<'a>(config: &'a Config, name: &str) -> Result<&'a Site, Failure> {
    let fitting: Vec<_> = config.sites.iter().filter(|site| is_called(site, name)).collect();
    match fitting.as_slice() {
        [site] => Ok(site),
        [] => {
            let message = format!("{} has no site {name:?}", config.file.value);
            Err(Failure::new(Exit::Usage, message)
                .rule("unknown-site")
                .help(known(&config.sites.iter().collect::<Vec<_>>())))
        }
        several => {
            let message = format!("several sites are called {name:?}");
            Err(Failure::new(Exit::Usage, message).rule("which-site").help(known(several)))
        }
    }
}

fn is_called(site: &Site, name: &str) -> bool {
    site.name.as_str() == name || site.to_string() == name
}

fn known(sites: &[&Site]) -> String {
    let names: Vec<_> = sites.iter().map(ToString::to_string).collect();
    if names.is_empty() { "no site is configured".into() } else { format!("there are: {}", names.join(", ")) }
}
