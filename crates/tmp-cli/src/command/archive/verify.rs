//! `tmp archive verify`.

use std::collections::BTreeMap;

use serde::Serialize;
use tmp_archive::{Archive, Listing, Progress, SnapshotId};
use tmp_migrate::History;

use super::{failed, meter::Meter, open, the_one};
use crate::{
    config::Config,
    exit::Exit,
    failure::{Failure, told},
    journals,
    output::{Output, Report},
    render,
};

/// Arguments of `tmp archive verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// The snapshot, or how its id begins; all when not given, and those that migrations need
    snapshot: Option<String>,
    /// Read everything back from the disk, past all caches, and compare every digest
    #[arg(long)]
    read_data: bool,
}

#[derive(Debug, Serialize)]
struct Verified {
    snapshots: Vec<Looked>,
    /// Blobs among the snapshots that are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    strangers: Vec<String>,
    /// Journals that cannot be read, so that nobody knows what they need.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<tmp_migrate::Unreadable>,
}

/// One snapshot that was looked at.
#[derive(Debug, Serialize)]
struct Looked {
    snapshot: String,
    #[serde(flatten)]
    state: State,
    /// The migrations that need it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needed_by: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum State {
    /// Every byte was read and is what was written.
    Whole { entries: u64, bytes: u64 },
    /// Nothing is missing; contents were not read.
    Complete { entries: u64 },
    /// Something is not.
    Damaged { fault: String },
    /// A journal names it, and it is not there.
    Lost,
}

impl Report for Verified {
    const SCHEMA: &'static str = "tmp.archive-verify/v1";

    fn text(&self) -> String {
        let mut text = String::new();
        if self.snapshots.is_empty() && self.strangers.is_empty() {
            text += "no snapshots\n";
        }
        for looked in &self.snapshots {
            let id = &looked.snapshot;
            match &looked.state {
                State::Whole { entries, bytes } => {
                    let entries = render::entries(*entries);
                    push!(text, "{id}: whole ({entries}, {} read back)\n", render::bytes(*bytes));
                }
                State::Complete { entries } => {
                    push!(text, "{id}: complete ({})\n", render::entries(*entries));
                }
                State::Damaged { fault } => push!(text, "{id}: DAMAGED: {fault}\n"),
                State::Lost => push!(text, "{id}: LOST: it is not in the archive\n"),
            }
            if !looked.state.is_good() {
                for migration in &looked.needed_by {
                    push!(text, "  migration {migration} needs it\n");
                }
            }
        }
        for name in &self.strangers {
            push!(text, "{name}: it is no snapshot\n");
        }
        if self.snapshots.iter().any(|looked| matches!(looked.state, State::Complete { .. })) {
            text += "contents were not read; --read-data reads them back\n";
        }
        text + &journals::lines(&self.unreadable)
    }
}

impl State {
    const fn is_good(&self) -> bool {
        matches!(self, Self::Whole { .. } | Self::Complete { .. })
    }
}

impl Verified {
    fn exit(&self) -> Exit {
        let good = self.snapshots.iter().all(|looked| looked.state.is_good());
        if good && self.strangers.is_empty() { journals::exit(&self.unreadable) } else { Exit::InvalidInput }
    }
}

impl Verify {
    /// Looks at every snapshot; one that is damaged does not keep the others from being looked at.
    pub(super) fn run(&self, config: &Config, out: &mut Output) -> Result<Exit, Failure> {
        let archive = open(config)?;
        let listing = archive.as_ref().map(Archive::listing).transpose().map_err(failed)?;
        let Listing { ids, mut strangers } = listing.unwrap_or_default();
        let History { migrations, mut unreadable } = journals::readable(config)?;
        let mut all: BTreeMap<SnapshotId, Vec<String>> = ids.into_iter().map(|id| (id, Vec::new())).collect();
        for summary in migrations.iter().filter(|summary| journals::needs_snapshot(summary)) {
            if let Some(snapshot) = summary.snapshot {
                all.entry(snapshot).or_default().push(summary.id.to_string());
            }
        }
        if let Some(prefix) = &self.snapshot {
            let id = the_one(prefix, all.keys().copied())?;
            all.retain(|other, _| *other == id);
            strangers.clear();
            unreadable.clear();
        }
        let mut look = |(id, needed_by): (SnapshotId, Vec<String>)| Looked {
            snapshot: id.to_string(),
            state: self.state(archive.as_ref(), &id, out),
            needed_by,
        };
        let snapshots = all.into_iter().map(&mut look).collect();
        let verified = Verified { snapshots, strangers, unreadable };
        out.report(&verified);
        Ok(verified.exit())
    }

    fn state(&self, archive: Option<&Archive>, id: &SnapshotId, out: &Output) -> State {
        use tmp_archive::ArchiveError::NoSuchSnapshot;
        let verify = |archive: &Archive| {
            if !self.read_data {
                return archive.check(id);
            }
            let totals = archive.info(id).map(|info| info.totals).unwrap_or_default();
            let mut meter = Meter::new(out, "reading back");
            archive.verify(id, &mut |entries, bytes| {
                let (all_entries, all_bytes) = (totals.entries, totals.bytes);
                meter.tell(&Progress { entries, all_entries, bytes, all_bytes });
            })
        };
        match archive.map(verify) {
            None | Some(Err(NoSuchSnapshot { .. })) => State::Lost,
            Some(Ok(verified)) if self.read_data => {
                State::Whole { entries: verified.entries, bytes: verified.bytes }
            }
            Some(Ok(verified)) => State::Complete { entries: verified.entries },
            Some(Err(error)) => State::Damaged { fault: told(&error) },
        }
    }
}
