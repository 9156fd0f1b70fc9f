//! Entries that threads look at, ahead of what is taken in.

use std::collections::VecDeque;

use tmp_core::module::Kind;

use super::{
    Producer, entry_path,
    ways::{Way, Ways},
};
use crate::{
    ArchiveError,
    order::{Order, Step},
    survey::What,
    workers::{Looked, Ticket},
};

/// How many bytes of files may be under way in the threads.
const UNDER_WAY: u64 = 16 << 20;

/// What a thread is given at a time: so many entries, or so many bytes.
const BATCH: (usize, u64) = (256, 1 << 20);

/// What the threads are given, ahead of what is taken in.
pub(super) struct Feed<'a> {
    pub(super) order: Order<'a>,
    pub(super) ways: Ways,
    pub(super) given: VecDeque<(Ticket, u64)>,
    pub(super) bytes: u64,
}

impl Producer<'_> {
    /// The next entry that a thread looked at; the threads are given more first.
    pub(super) fn next_looked(&mut self) -> Result<Looked, ArchiveError> {
        while self.looked.is_empty() {
            self.feed()?;
            let Some((ticket, bytes)) = self.feed.given.pop_front() else {
                let lost = "its entries are not in the order in which they were looked at";
                return Err(ArchiveError::damaged("the new snapshot", lost));
            };
            self.feed.bytes -= bytes;
            let (looked, pressed) = self.workers.looked(ticket)?;
            self.shelf.put(pressed);
            self.looked.extend(looked);
            self.feed()?;
        }
        let none = || ArchiveError::damaged("the new snapshot", "an entry was not looked at");
        self.looked.pop_front().ok_or_else(none)
    }

    /// Gives the threads entries until enough are under way.
    fn feed(&mut self) -> Result<(), ArchiveError> {
        let cache = self.sources.cache.as_ref().map(|(cache, _)| *cache);
        while self.feed.bytes < UNDER_WAY {
            let (mut paths, mut bytes) = (Vec::new(), 0);
            let mut path = Vec::new();
            while paths.len() < BATCH.0 && bytes < BATCH.1 {
                let Some(step) = self.feed.order.next(&mut path) else { break };
                let Step::Seen(seen, _) = step else { continue };
                if let Way::Short = self.feed.ways.of((self.sources.survey, cache), seen) {
                    // What an entry takes besides its bytes.
                    bytes += 4096;
                    let stat = match &seen.what {
                        What::Other { stat, .. } => Some(**stat),
                        What::Same(_) => None,
                    };
                    bytes += stat.filter(|stat| stat.kind == Kind::File).map_or(0, |stat| stat.size);
                    paths.push((entry_path(path.clone())?, stat));
                }
            }
            if paths.is_empty() {
                break;
            }
            self.feed.bytes += bytes;
            self.feed.given.push_back((self.workers.look(paths), bytes));
        }
        Ok(())
    }
}
