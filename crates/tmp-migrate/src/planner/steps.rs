//! The checked part of a plan: what runs after the commit point, in order.

use std::collections::BTreeSet;

use tmp_core::{
    enhancement::{Command, Enhancement, Probe, TransactionMode},
    id::StepName,
    plan::{CONTROL_OBJECT, POST_IMAGE, PlannedStep, StepWork, Target, UtilityCommands},
};

use super::{PlanFault, PlanRequest, Utility};
use crate::command::CommandPolicy;

/// How long a utility may take, in seconds.
const UTILITY_TIMEOUT_S: u64 = 600;

/// The steps in the order of the protocol: post-image digests, non-transactional SQL, control objects,
/// batch steps, the embedder's own steps, checks.
pub(super) fn checked_part(
    request: &PlanRequest<'_>,
    target: &Target,
    faults: &mut Vec<PlanFault>,
) -> Vec<PlannedStep> {
    let enhancement = request.enhancement;
    let mut steps = Vec::new();
    let mut push = |name: &StepName, work| steps.push(PlannedStep { name: name.clone(), work });
    if let Ok(name) = POST_IMAGE.parse() {
        push(&name, StepWork::PostImage);
    }
    for (index, change) in enhancement.sql.iter().enumerate() {
        if change.transaction == TransactionMode::None {
            push(&change.name, StepWork::Sql { index });
        }
    }
    for (index, object) in enhancement.control_objects.iter().enumerate() {
        let name = format!("{CONTROL_OBJECT}{}", index + 1);
        match (request.utilities.get(&object.utility), name.parse()) {
            (Some(utility), Ok(name)) => {
                push(&name, StepWork::ControlObject { index, commands: commands(utility, &object.object) });
            }
            _ => faults.push(PlanFault::new(
                "utility",
                &object.object,
                format!("this site has no utility {:?}", object.utility),
                "configure it under `utilities` in tmp.yaml",
            )),
        }
    }
    for (index, step) in enhancement.batch.iter().enumerate() {
        push(&step.name, StepWork::Batch { index });
    }
    for step in request.steps {
        let work = StepWork::Own { describe: step.describe(), describe_undo: step.describe_undo() };
        push(step.name(), work);
    }
    for (index, check) in enhancement.verify.iter().enumerate() {
        push(&check.name, StepWork::Check { index });
    }
    distinct(&steps, faults);
    permitted(request, target, faults);
    steps
}

fn distinct(steps: &[PlannedStep], faults: &mut Vec<PlanFault>) {
    let mut seen = BTreeSet::new();
    for step in steps.iter().filter(|step| !seen.insert(&step.name)) {
        let help = "give every SQL change, batch step and check a name of its own; post-image is taken";
        faults.push(PlanFault::new("step-name", &step.name, "two steps have this name", help));
    }
}

/// Whether anything of it is a command: its own, or a utility's.
pub(super) fn runs_commands(enhancement: &Enhancement) -> bool {
    enhancement.runs_commands() || !enhancement.control_objects.is_empty()
}

fn permitted(request: &PlanRequest<'_>, target: &Target, faults: &mut Vec<PlanFault>) {
    let enhancement = request.enhancement;
    if runs_commands(enhancement) && *request.commands == CommandPolicy::Forbidden {
        let help = "set `policy: {commands: confined}` in tmp.yaml, or take the commands out";
        faults.push(PlanFault::new(
            "commands",
            &enhancement.id,
            "it runs commands, which policy forbids",
            help,
        ));
    }
    let needs_url = |probe: &Probe| matches!(probe, Probe::Http { url, .. } if url.contains("{site.url}"));
    for check in enhancement.verify.iter().filter(|check| needs_url(&check.probe)) {
        if target.url.is_none() {
            let help = "give the site a `url` in tmp.yaml";
            faults.push(PlanFault::new("site-url", &check.name, "it needs the URL of the site", help));
        }
    }
}

fn commands(utility: &Utility, object: &str) -> UtilityCommands {
    let fill = |arguments: &[String]| Command {
        run: arguments.iter().map(|argument| argument.replace("{object}", object)).collect(),
        timeout_s: UTILITY_TIMEOUT_S,
    };
    UtilityCommands {
        export: fill(&utility.export),
        import: fill(&utility.import),
        verify: utility.verify.as_deref().map(fill),
    }
}
