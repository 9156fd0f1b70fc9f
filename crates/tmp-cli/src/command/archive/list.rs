//! `tmp archive list`.

use serde::Serialize;
use tmp_archive::{Archive, Listing, SnapshotInfo, SnapshotKind};

use super::{failed, open};
use crate::{
    config::Config,
    exit::Exit,
    failure::{Failure, told},
    output::{Output, Report},
    render,
};

#[derive(Debug, Serialize)]
struct Listed {
    snapshots: Vec<SnapshotInfo>,
    /// Those that cannot be read, and why. Left out where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<Unreadable>,
}

#[derive(Debug, Serialize)]
struct Unreadable {
    snapshot: String,
    why: String,
}

impl Report for Listed {
    const SCHEMA: &'static str = "tmp.archive-list/v1";

    fn text(&self) -> String {
        if self.snapshots.is_empty() && self.unreadable.is_empty() {
            return "no snapshots\n".into();
        }
        let row = |info: &SnapshotInfo| {
            [
                render::instant(info.made),
                info.id.to_string(),
                kind(info.kind).to_owned(),
                format!("{}/{}/{}", info.system, info.environment, info.site),
                info.totals.entries.to_string(),
                render::bytes(info.totals.bytes),
                render::bytes(info.totals.new_bytes),
            ]
        };
        let mut text = render::table(
            ["MADE", "SNAPSHOT", "KIND", "SITE", "ENTRIES", "SIZE", "STORED"],
            self.snapshots.iter().map(row),
        );
        for Unreadable { snapshot, why } in &self.unreadable {
            push!(text, "{snapshot}: it cannot be read: {why}\n");
        }
        text
    }
}

/// What a snapshot is of, in a word.
const fn kind(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::Portion => "migration",
        SnapshotKind::System => "system",
        SnapshotKind::PreRestore => "pre-restore",
    }
}

/// Lists the snapshots, newest last. One that cannot be read does not hide the others.
pub(super) fn run(config: &Config, out: &mut Output) -> Result<Exit, Failure> {
    let mut listed = Listed { snapshots: Vec::new(), unreadable: Vec::new() };
    if let Some(archive) = open(config)? {
        let Listing { ids, strangers } = Archive::listing(&archive).map_err(failed)?;
        for id in ids {
            match archive.info(&id) {
                Ok(info) => listed.snapshots.push(info),
                Err(error) => {
                    listed.unreadable.push(Unreadable { snapshot: id.to_string(), why: told(&error) });
                }
            }
        }
        let stranger = |name| Unreadable { snapshot: name, why: "its name is not a snapshot's id".into() };
        listed.unreadable.extend(strangers.into_iter().map(stranger));
    }
    out.report(&listed);
    Ok(if listed.unreadable.is_empty() { Exit::Done } else { Exit::InvalidInput })
}
