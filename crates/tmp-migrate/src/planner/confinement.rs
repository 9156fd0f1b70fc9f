//! Whether the commands of a migration can be confined as policy asks.

use std::path::{Path, PathBuf};

use camino::Utf8Path;
use tmp_core::plan::Confinement;

use super::{PlanFault, PlanRequest, steps::runs_commands};
use crate::{command::CommandPolicy, confine::Cell, workplace::Workplace};

/// What the commands are confined to; nothing where none runs or policy allows them everything. It is tried, so
/// that a migration does not find out half-way.
pub(super) fn confinement(
    workplace: &Workplace,
    request: &PlanRequest<'_>,
    faults: &mut Vec<PlanFault>,
) -> Option<Confinement> {
    let CommandPolicy::Confined(granted) = request.commands else { return None };
    if !runs_commands(request.enhancement) {
        return None;
    }
    let target = &workplace.target;
    let hidden: [PathBuf; 2] = [workplace.state.clone().into(), target.work.clone().into()];
    let before = faults.len();
    for path in granted.read.iter().chain(&granted.write) {
        if let Err(why) = grantable(path, &hidden) {
            let help = "grant paths that are there, apart from TMP's state and work directories";
            faults.push(PlanFault::new("grant", path, why, help));
        }
    }
    if faults.len() == before {
        let cell = Cell { confinement: granted, root: &target.root, own: &[], hidden: &hidden };
        if let Err(why) = cell.probe(workplace.clock.as_ref()) {
            let help = "mend that, or set `policy: {commands: allowed}` in tmp.yaml: then commands have all rights of \
                        whoever runs TMP";
            faults.push(PlanFault::new("confinement", &request.enhancement.id, why, help));
        }
    }
    Some(granted.clone())
}

fn grantable(path: &Utf8Path, hidden: &[PathBuf]) -> Result<(), String> {
    if !path.is_absolute() || path == "/" {
        return Err("a path that is granted is absolute, and not the whole machine".into());
    }
    let real = path.canonicalize().map_err(|error| format!("it is granted to commands, but {error}"))?;
    if real == Path::new("/") {
        return Err("it leads to the whole machine".into());
    }
    let overlaps = |own: &&PathBuf| {
        let own = own.canonicalize().unwrap_or_else(|_| (*own).clone());
        real.starts_with(&own) || own.starts_with(&real)
    };
    match hidden.iter().find(overlaps) {
        Some(own) => Err(format!("it holds or lies in {}, which is TMP's own", own.display())),
        None => Ok(()),
    }
}
