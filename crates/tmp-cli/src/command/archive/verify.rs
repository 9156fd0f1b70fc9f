//! `tmp archive verify`.

use serde::Serialize;
use tmp_archive::Archive;

use super::{failed, find, open};
use crate::{
    config::Config,
    exit::Exit,
    failure::Failure,
    output::{Output, Report},
    render,
};

/// Arguments of `tmp archive verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// The snapshot, or how its id begins; all when not given
    snapshot: Option<String>,
}

#[derive(Debug, Serialize)]
struct Verified {
    snapshots: Vec<Proven>,
}

#[derive(Debug, Serialize)]
struct Proven {
    snapshot: String,
    entries: u64,
    bytes: u64,
}

impl Report for Verified {
    const SCHEMA: &'static str = "tmp.archive-verify/v1";

    fn text(&self) -> String {
        if self.snapshots.is_empty() {
            return "no snapshots\n".into();
        }
        let line = |proven: &Proven| {
            let (entries, bytes) = (proven.entries, render::bytes(proven.bytes));
            format!("{}: whole ({entries} entries, {bytes} read back)\n", proven.snapshot)
        };
        self.snapshots.iter().map(line).collect()
    }
}

impl Verify {
    /// Reads everything back. The first damage ends it with 3.
    pub(super) fn run(&self, config: &Config, out: &mut Output) -> Result<Exit, Failure> {
        let (archive, infos) = if let Some(prefix) = &self.snapshot {
            let (archive, info) = find(config, prefix)?;
            (Some(archive), vec![info])
        } else {
            let archive = open(config)?;
            let infos = archive.as_ref().map(Archive::list).transpose().map_err(failed)?;
            (archive, infos.unwrap_or_default())
        };
        let mut snapshots = Vec::new();
        for info in infos {
            let Some(archive) = &archive else { break };
            let verified = archive.verify(&info.id, &mut |_, _| {}).map_err(failed)?;
            snapshots.push(Proven {
                snapshot: info.id.to_string(),
                entries: verified.entries,
                bytes: verified.bytes,
            });
        }
        out.report(&Verified { snapshots });
        Ok(Exit::Done)
    }
}
