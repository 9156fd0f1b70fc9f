//! What a confined command may do: Landlock over what it sees, and few capabilities.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use rustix::{
    io::Errno,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities,
    },
};
use tmp_core::plan::Network;

use super::{
    Cell,
    view::{DEVICES, TEMPORARY},
};

/// Tied to [`tmp_core::plan::Confinement::LANDLOCK`].
const VERSION: ABI = ABI::V6;

/// What a command needs to do as root what a batch step does to files of others.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID);

/// Takes from the calling thread, and all it starts, everything but what is granted. For good.
///
/// # Errors
/// In words: what this kernel cannot do. The thread must end: it may be half-way.
pub(super) fn restrict(cell: &Cell<'_>) -> Result<(), String> {
    few_capabilities().map_err(|error| format!("capabilities cannot be dropped: {error}"))?;
    let status = rules(cell).and_then(|rules| Ok(rules.restrict_self()?));
    let status = status.map_err(|error| {
        format!("Landlock cannot confine it, version 6 of its interface is needed (Linux 6.12): {error}")
    })?;
    if status.ruleset == RulesetStatus::FullyEnforced && status.no_new_privs {
        Ok(())
    } else {
        Err("Landlock confines it in part only".into())
    }
}

fn rules(cell: &Cell<'_>) -> Result<landlock::RulesetCreated, Box<dyn std::error::Error>> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(VERSION))?
        .scope(Scope::from_all(VERSION))?;
    if cell.confinement.network != Network::Any {
        rules = rules.handle_access(AccessNet::from_all(VERSION))?;
    }
    let mut rules = rules.create()?;
    let special = AccessFs::MakeChar | AccessFs::MakeBlock;
    let write = AccessFs::from_all(VERSION) & !special;
    rules = rules.add_rule(PathBeneath::new(PathFd::new("/")?, AccessFs::from_read(VERSION)))?;
    let writable = cell.confinement.write.iter().map(|path| path.as_std_path());
    let own = cell.own.iter().filter(|(_, writable)| *writable).map(|(path, _)| path.as_path());
    let temporary = std::path::Path::new(TEMPORARY);
    for path in writable.chain(own).chain([cell.root.as_std_path(), temporary]) {
        let is_dir = std::fs::metadata(path)?.is_dir();
        let allowed: BitFlags<AccessFs> = if is_dir { write } else { write & AccessFs::from_file(VERSION) };
        rules = rules.add_rule(PathBeneath::new(PathFd::new(path)?, allowed))?;
    }
    for device in DEVICES {
        let allowed = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
        rules = rules.add_rule(PathBeneath::new(PathFd::new(device)?, allowed))?;
    }
    if let Network::Connect(ports) = &cell.confinement.network {
        for port in ports {
            rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
        }
    }
    Ok(rules)
}

fn few_capabilities() -> rustix::io::Result<()> {
    clear_ambient_capability_set()?;
    let now = capabilities(None)?;
    for one in CapabilitySet::all().difference(KEPT).iter() {
        match remove_capability_from_bounding_set(one) {
            // One that this kernel does not know, so that no process has it.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
    }
    let kept = now.permitted & KEPT;
    set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() },
    )
}
