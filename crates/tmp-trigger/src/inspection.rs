//! What there is to show of a trigger file.

use serde::Serialize;
use tmp_core::{
    Digest,
    enhancement::{Enhancement, SqlRollback},
    module::{Change, Content},
};

use crate::{header::TriggerHeader, links, trigger::Trigger};

/// Everything `tmp inspect` shows. Its JSON names its schema.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection<'a> {
    /// `tmp.inspect/v1`.
    pub schema: &'static str,
    /// The digest of `trigger.yaml`.
    pub trigger: Digest,
    /// The payload digest.
    pub payload: Digest,
    /// Bytes of the trigger file.
    pub size: u64,
    /// What `trigger.yaml` says.
    pub header: &'a TriggerHeader,
    /// What the manifest says.
    pub enhancement: &'a Enhancement,
    /// What whoever approves it should look at, in words.
    pub notable: Vec<String>,
}

impl<'a> Inspection<'a> {
    pub(crate) fn new(trigger: &'a Trigger, enhancement: &'a Enhancement) -> Self {
        Self {
            schema: "tmp.inspect/v1",
            trigger: trigger.digest(),
            payload: trigger.payload(),
            size: trigger.size(),
            header: trigger.header(),
            enhancement,
            notable: notable(enhancement),
        }
    }
}

fn notable(enhancement: &Enhancement) -> Vec<String> {
    let modules = enhancement.modules.iter().filter_map(|module| match &module.change {
        Change::Put(Content::File { mode, .. }) if mode.changes_identity() => {
            Some(format!("{}: takes another identity when it runs (mode {mode})", module.path))
        }
        Change::Put(Content::Symlink { target }) if links::leaves_root(&module.path, target) => {
            Some(format!("{}: a symlink out of the root, to {target}", module.path))
        }
        Change::Put(_) | Change::Remove => None,
    });
    let sql = enhancement.sql.iter().filter_map(|change| match &change.rollback {
        SqlRollback::Irreversible { why } => Some(format!("{}: cannot be taken back: {why}", change.name)),
        SqlRollback::Archive | SqlRollback::Script(_) => None,
    });
    let commands = enhancement.runs_commands().then(|| "runs commands of its own".to_owned());
    modules.chain(sql).chain(commands).collect()
}
