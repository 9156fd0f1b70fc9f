//! `tmp archive list`.

use serde::Serialize;
use tmp_archive::SnapshotInfo;

use super::{failed, open};
use crate::{
    config::Config,
    exit::Exit,
    failure::Failure,
    output::{Output, Report},
    render,
};

#[derive(Debug, Serialize)]
struct Listed {
    snapshots: Vec<SnapshotInfo>,
}

impl Report for Listed {
    const SCHEMA: &'static str = "tmp.archive-list/v1";

    fn text(&self) -> String {
        if self.snapshots.is_empty() {
            return "no snapshots\n".into();
        }
        let row = |info: &SnapshotInfo| {
            [
                render::instant(info.made),
                info.id.to_string(),
                format!("{}/{}/{}", info.system, info.environment, info.site),
                info.totals.entries.to_string(),
                render::bytes(info.totals.bytes),
                render::bytes(info.totals.new_bytes),
            ]
        };
        render::table(
            ["MADE", "SNAPSHOT", "SITE", "ENTRIES", "SIZE", "STORED"],
            self.snapshots.iter().map(row),
        )
    }
}

/// Lists the snapshots, newest last.
pub(super) fn run(config: &Config, out: &mut Output) -> Result<Exit, Failure> {
    let snapshots = match open(config)? {
        Some(archive) => archive.list().map_err(failed)?,
        None => Vec::new(),
    };
    out.report(&Listed { snapshots });
    Ok(Exit::Done)
}
