//! What in a tree stands in the way of exchanging it, told once for each kind.

use std::collections::BTreeMap;

use super::PlanFault;

/// How to do without.
pub(super) const FILES: &str = "or write `switch: files` for the site";

/// A kind of thing that stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Obstacle {
    /// Live data.
    Live,
    /// A device, FIFO or socket.
    Special,
    /// Nothing may be done to it.
    Immutable,
    /// Something else is mounted there.
    Mount,
    /// A directory that cannot be listed.
    Unlisted,
    /// A directory in which names cannot be removed.
    Unchanged,
    /// A file that cannot be read.
    Unread,
    /// Somebody else's file, which can have no second name.
    Unlinked,
    /// Somebody else's, which cannot be made anew.
    Ungiven,
}

/// What was met: the first of each kind, and how many.
#[derive(Debug, Default)]
pub(super) struct Obstacles(BTreeMap<Obstacle, (String, u64)>);

impl Obstacles {
    pub(super) fn note(&mut self, what: Obstacle, path: &str) {
        self.0.entry(what).or_insert_with(|| (path.to_owned(), 0)).1 += 1;
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = PlanFault> {
        self.0.iter().map(|(what, (path, count))| {
            let more = if *count > 1 { format!(" ({count} such)") } else { String::new() };
            fault(*what, path, &more)
        })
    }
}

fn fault(what: Obstacle, path: &str, more: &str) -> PlanFault {
    let owner = format!("run TMP as root or as their owner, {FILES}");
    let right = |what: &str, help: String| PlanFault::new("rights", path, format!("{what}{more}"), help);
    match what {
        Obstacle::Live => {
            let message = format!(
                "it is live data that tmp.yaml ignores: whoever writes it would go on in the old tree{more}"
            );
            let help = format!("keep live data outside of the root, {FILES}");
            PlanFault::new("atomic-live", path, message, help)
        }
        Obstacle::Special => {
            let message = format!("it is a device, FIFO or socket: its tree cannot be exchanged{more}");
            PlanFault::new("atomic-special", path, message, format!("remove it, {FILES}"))
        }
        Obstacle::Immutable => {
            let message = format!("it is marked immutable: it can be neither renamed nor linked{more}");
            PlanFault::new("immutable", path, message, format!("chattr -i it, {FILES}"))
        }
        Obstacle::Mount => {
            let message = format!("another file system or subvolume is mounted there{more}");
            PlanFault::new("atomic-mount", path, message, format!("unmount it, {FILES}"))
        }
        Obstacle::Unlisted => right("TMP may not list it, and the next tree is made from all of it", owner),
        Obstacle::Unchanged => right("TMP may not remove names in it once the old tree is parked", owner),
        Obstacle::Unread => right("TMP may not read it, and the next tree gets a copy", owner),
        Obstacle::Unlinked => {
            right("TMP may not give it a second name, because it is somebody else's", owner)
        }
        Obstacle::Ungiven => right("TMP may not make another one with its owner and group", owner),
    }
}
