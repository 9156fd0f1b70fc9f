//! A trigger file and the site it is for.

use camino::Utf8Path;
use time::{Duration, OffsetDateTime, UtcOffset, macros::format_description};
use tmp_core::{EnhancementId, EnvironmentName};
use tmp_migrate::MigrationSummary;
use tmp_trigger::{Trigger, TriggerError, TriggerFault, VerifiedTrigger, source::Moment};

use crate::{
    config::{Config, Site},
    exit::Exit,
    failure::{Failure, Fault},
    files, journals,
    site::{self, SiteFlag},
};

/// Opens a trigger file and checks it whole.
///
/// # Errors
/// It is not a trigger file, or is damaged in any way: exit 3.
pub(crate) fn open(file: &Utf8Path) -> Result<VerifiedTrigger, Failure> {
    let path = files::absolute(file)?;
    let refused = |error: TriggerError| {
        let help = match error.fault {
            TriggerFault::Read { .. } | TriggerFault::NotAFile => {
                "name a trigger file, as `tmp package` writes it, that TMP may read"
            }
            _ => "nothing was done with it; package the enhancement again",
        };
        Failure::caused(Exit::InvalidInput, error).help(help)
    };
    Trigger::open(path.as_std_path()).map_err(refused)?.verify().map_err(refused)
}

/// Refuses a trigger file whose schedule has expired, even where it is asked for by hand.
///
/// A time without an offset counts as over once it is over everywhere on Earth.
///
/// # Errors
/// It has expired: exit 3.
pub(crate) fn refuse_expired(trigger: &VerifiedTrigger, now: OffsetDateTime) -> Result<(), Failure> {
    let Some(end) = trigger.header().schedule.as_ref().and_then(|schedule| schedule.expires.as_ref()) else {
        return Ok(());
    };
    let exact = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let local = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let (now, latest) = (now.to_offset(UtcOffset::UTC), now - Duration::hours(12));
    let over = [now.format(exact), latest.to_offset(UtcOffset::UTC).format(local)]
        .into_iter()
        .filter_map(|text| text.ok()?.parse::<Moment>().ok())
        .any(|moment| !moment.may_begin_before(end));
    if over {
        let message = format!("this trigger file expired: its schedule ends at {end}");
        return Err(Failure::new(Exit::InvalidInput, message)
            .rule("expired")
            .help("package it with a new schedule"));
    }
    Ok(())
}

/// The site a trigger file is for. With another `environment` than its own, to look at alone.
///
/// # Errors
/// There is no such site, or it is not among those of its distribution.
pub(crate) fn site_of<'a>(
    trigger: &VerifiedTrigger,
    config: &'a Config,
    flag: &SiteFlag,
    environment: Option<EnvironmentName>,
) -> Result<&'a Site, Failure> {
    let header = trigger.header();
    let environment = environment.unwrap_or(header.environment);
    let site = site::of_system(config, &header.system, environment, flag.name()?.as_deref())?;
    let sites = header.distribution.as_ref().map_or(&[][..], |distribution| &distribution.sites);
    if environment == header.environment && !sites.is_empty() && !sites.contains(&site.name) {
        let names: Vec<_> = sites.iter().map(ToString::to_string).collect();
        let message = format!("this trigger file is for {}, not for {}", names.join(", "), site.name);
        return Err(Failure::new(Exit::InvalidInput, message).rule("wrong-site"));
    }
    Ok(site)
}

/// What the journals say against migrating a trigger file into a site.
pub(crate) fn objections(trigger: &VerifiedTrigger, site: &Site, all: &[MigrationSummary]) -> Vec<Fault> {
    let enhancement = trigger.enhancement();
    let there = |id: &EnhancementId| {
        all.iter().rfind(|summary| installed(summary, site) && summary.enhancement == *id)
    };
    let fault = |rule, message: String, help: &str| Fault {
        rule,
        subject: enhancement.id.to_string(),
        message,
        help: help.to_owned(),
        excerpt: None,
    };
    let mut faults = Vec::new();
    for id in enhancement.requires.iter().filter(|id| there(id).is_none()) {
        faults.push(fault(
            "requires",
            format!("it requires {id}, which is not at {site}"),
            "migrate that first",
        ));
    }
    for id in enhancement.conflicts_with.iter().filter(|id| there(id).is_some()) {
        let message = format!("it conflicts with {id}, which is at {site}");
        faults.push(fault("conflicts", message, "one of the two must change"));
    }
    if let Some(newer) = there(&enhancement.id).filter(|summary| summary.revision > enhancement.revision) {
        let message = format!("revision {} of it is at {site} already", newer.revision);
        faults.push(fault("superseded", message, "package the change as the next revision"));
    }
    faults
}

/// Whether a migration put its enhancement in place at a site.
pub(crate) fn installed(summary: &MigrationSummary, site: &Site) -> bool {
    journals::is_at(summary, site) && journals::is_installed(summary)
}
