//! Makes the plan of a trigger file at a site.

use tmp_core::plan::Plan;
use tmp_migrate::{Past, PlanError, PlanRequest};
use tmp_trigger::VerifiedTrigger;

use crate::{
    config::{Config, Site},
    exit::Exit,
    failure::{Failure, Fault},
    opening::{self, Crew},
};

/// A trigger file that is to be planned.
pub(crate) struct Request<'a> {
    pub(crate) config: &'a Config,
    pub(crate) site: &'a Site,
    pub(crate) trigger: &'a VerifiedTrigger,
    /// Why it cannot wait for a window.
    pub(crate) reason: Option<&'a str>,
}

impl Request<'_> {
    /// Plans. Reads the target and the databases; changes nothing.
    ///
    /// # Errors
    /// Everything that stands in the way, at once: exit 5.
    pub(crate) fn make(&self, past: &mut Past, crew: &mut Crew) -> Result<Plan, Failure> {
        let Self { config, site, trigger, reason } = self;
        let provenance = trigger.provenance(reason.map(str::to_owned));
        let request = PlanRequest {
            enhancement: trigger.enhancement(),
            provenance: &provenance,
            commands: &site.commands,
            privileged_modules: config.privileged_modules.value,
            utilities: &config.utilities,
            steps: &[],
        };
        past.plan(&opening::workplace(config, site), &request, crew.databases())
            .map_err(|error| in_the_way(site, error))
    }
}

/// A failure with everything that the planner found in the way.
pub(crate) fn in_the_way(site: &Site, error: PlanError) -> Failure {
    let faults = error.faults.into_iter().map(|fault| Fault {
        rule: fault.rule,
        subject: fault.subject,
        message: fault.message,
        help: fault.help,
        excerpt: None,
    });
    refused(site, faults.collect())
}

/// A failure that tells what stands in the way of a migration at a site.
pub(crate) fn refused(site: &Site, faults: Vec<Fault>) -> Failure {
    let count = faults.len();
    let noun = if count == 1 { "reason" } else { "reasons" };
    let message = format!("{site} was not touched: the migration cannot run, for {count} {noun}");
    Failure::new(Exit::PreCheck, message).faults(faults)
}
