//! Modules that take another identity when they run: refused unless policy allows them, and told where a
//! replacement takes that from one.

use tmp_core::{
    Mode, ModulePath,
    module::{Content, Kind},
    plan::{Action, Operation},
};
use tmp_disk::{Stat, Tree};

use super::{PlanFault, PlanRequest};

/// Extended attributes by which the kernel gives rights. The labels that TMP passes on are not among them.
const RIGHTS: [&[u8]; 2] = [b"security.capability", b"trusted."];

/// What would get a privilege, where policy refuses that. What a reversal puts back was there before.
pub(super) fn gained(
    request: &PlanRequest<'_>,
    reverses: bool,
    operations: &[Operation],
    faults: &mut Vec<PlanFault>,
) {
    if request.privileged_modules || reverses {
        return;
    }
    let mut refuse = |path: &ModulePath, mode: Mode| {
        let message = format!("it would be set-user-id or set-group-id (mode {mode}), which policy refuses");
        let help = "set `policy: {privileged_modules: allowed}` in tmp.yaml if that is meant, or take the bits out of `mode`";
        faults.push(PlanFault::new("privileged-module", path, message, help));
    };
    for operation in operations {
        match &operation.action {
            Action::Put { staged } => {
                for module in staged {
                    match module.content {
                        Content::File { mode, .. } if mode.changes_identity() => refuse(&module.path, mode),
                        _ => {}
                    }
                }
            }
            Action::SetMode { to, .. } if operation.replaces == Kind::File && to.changes_identity() => {
                refuse(&operation.path, *to);
            }
            Action::SetMode { .. } | Action::Remove => {}
        }
    }
}

/// What loses a privilege by being replaced: content, and with it the mode and such attributes, is the
/// enhancement's.
pub(super) fn lost(tree: &Tree, operations: &[Operation]) -> Vec<String> {
    let mut all = Vec::new();
    for operation in operations.iter().filter(|operation| operation.replaces == Kind::File) {
        let to = match &operation.action {
            Action::SetMode { to, .. } => Some(*to),
            Action::Put { staged } => staged.first().and_then(|module| match module.content {
                Content::File { mode, .. } => Some(mode),
                _ => None,
            }),
            Action::Remove => None,
        };
        let (Some(to), Ok(Some(place))) = (to, tree.locate(&operation.path)) else { continue };
        if let Ok(Some(Stat { mode, .. })) = tree.disk().stat(place.at())
            && mode.bits() & 0o6000 & !to.bits() != 0
        {
            all.push(format!(
                "{} is set-user-id or set-group-id and is not any more: mode {mode} -> {to}; write its `mode` to keep it",
                operation.path
            ));
        }
        let replaced = matches!(operation.action, Action::Put { .. });
        for name in tree.disk().xattrs(place.at()).unwrap_or_default().keys().filter(|_| replaced) {
            if RIGHTS.iter().any(|right| name.starts_with(right)) {
                let name = String::from_utf8_lossy(name);
                all.push(format!("{} loses its {name}: no module can carry that", operation.path));
            }
        }
    }
    all
}
