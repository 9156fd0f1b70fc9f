//! How entries come into a snapshot.

use std::collections::HashSet;

use tmp_core::module::Kind;

use crate::{
    block::PIECE,
    stat_cache::StatCache,
    survey::{Seen, Survey, What},
};

/// How the next entry comes into the snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// As its record says.
    Same(u64),
    /// As another name of its file that came before.
    Linked(u64),
    /// Read here, its pieces pressed by the threads.
    Long,
    /// Read by a thread.
    Short,
}

/// Finds out how entries come into the snapshot; asked twice in the same order it answers the same.
#[derive(Default)]
pub(super) struct Ways {
    linked: HashSet<u64>,
}

impl Ways {
    pub(super) fn of(&mut self, sources: (&Survey, Option<&StatCache>), seen: &Seen) -> Way {
        let (survey, cache) = sources;
        let record = match seen.what {
            What::Same(at) => cache.and_then(|cache| cache.record(at)),
            What::Other { .. } => None,
        };
        let linked = match (&seen.what, &record) {
            (What::Other { stat, .. }, _) => {
                (stat.kind == Kind::File && stat.links > 1).then_some(stat.identity.inode)
            }
            (_, Some(record)) => record.is_linked().then(|| record.inode()),
            _ => None,
        };
        if let Some(inode) = linked
            && !self.linked.insert(inode)
        {
            return Way::Linked(inode);
        }
        match (survey.same(seen), &seen.what) {
            (Some(at), _) => Way::Same(at),
            (None, What::Other { stat, .. }) if stat.kind == Kind::File && stat.size > PIECE as u64 => {
                Way::Long
            }
            _ => Way::Short,
        }
    }
}
