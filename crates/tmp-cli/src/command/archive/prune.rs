//! `tmp archive prune`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use serde::Serialize;
use tmp_archive::{DirectoryStore, PrunePlan, Pruner, Retention, SnapshotId};
use tmp_core::clock::Clock as _;
use tmp_disk::SystemClock;

use super::{failed, new_id};
use crate::{
    config::Config,
    exit::Exit,
    failure::Failure,
    journals, opening,
    output::{Output, Report},
    render,
    restores::{self, Restores},
};

/// Arguments of `tmp archive prune`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("keep").required(true).multiple(true)
    .args(["keep_last", "keep_daily", "keep_weekly", "keep_monthly"])))]
pub(super) struct Prune {
    /// Keep the newest N snapshots of each site and kind
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_last: usize,
    /// Keep the newest snapshot of each of the last N days that have one (UTC)
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_daily: usize,
    /// Keep the newest snapshot of each of the last N weeks that have one
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_weekly: usize,
    /// Keep the newest snapshot of each of the last N months that have one
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_monthly: usize,
    /// Say what would be removed and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Pruned {
    dry_run: bool,
    snapshots: Vec<Judged>,
    packs_removed: u64,
    packs_rewritten: u64,
    /// Packs with a damaged index, which were let be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    packs_damaged: Vec<String>,
    freed_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Judged {
    snapshot: String,
    made: String,
    kind: tmp_archive::SnapshotKind,
    site: String,
    /// Why it is kept; none where it goes.
    kept: Vec<String>,
}

impl Report for Pruned {
    const SCHEMA: &'static str = "tmp.archive-prune/v1";

    fn text(&self) -> String {
        let (removed, kept) =
            if self.dry_run { ("would be removed", "would be kept") } else { ("removed", "kept") };
        let row = |judged: &Judged| {
            let what = if judged.kept.is_empty() {
                removed.to_owned()
            } else {
                format!("{kept}: {}", judged.kept.join(", "))
            };
            [judged.made.clone(), judged.snapshot.clone(), judged.site.clone(), what]
        };
        let mut text = render::table(["MADE", "SNAPSHOT", "SITE", ""], self.snapshots.iter().map(row));
        let gone = self.snapshots.iter().filter(|judged| judged.kept.is_empty()).count() as u64;
        push!(
            text,
            "{} {removed}, {} freed\n",
            render::count(gone, "snapshot"),
            render::bytes(self.freed_bytes)
        );
        for pack in &self.packs_damaged {
            push!(
                text,
                "{pack} is damaged and was let be; `tmp archive verify --read-data` says what needs it\n"
            );
        }
        text
    }
}

impl Prune {
    /// Removes what the policy does not keep and nothing else needs.
    pub(super) fn run(&self, config: &Config, out: &mut Output) -> Result<Exit, Failure> {
        let retention = Retention {
            last: self.keep_last,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
        };
        if retention.is_empty() {
            return Err(Failure::new(Exit::Usage, "a policy that keeps nothing is refused"));
        }
        let path = config.state.value.join("archive");
        if !path.is_dir() {
            out.report(&Pruned::of(self.dry_run, Vec::new(), PrunePlan::default()));
            return Ok(Exit::Done);
        }
        let store = DirectoryStore::open(&opening::disk(), Path::new(&path)).map_err(failed)?;
        let pruner = Pruner::open(Arc::new(store)).map_err(failed)?;
        // Read now that nobody can archive or migrate: what is needed cannot grow any more.
        let needed = needed(config)?;
        let all = pruner.archive().list().map_err(failed)?;
        let by_policy = retention.kept(&all);
        let mut judged = Vec::new();
        let mut remove = BTreeSet::new();
        for info in all {
            let policy = by_policy.get(&info.id).into_iter().flatten().map(|rule| (*rule).to_owned());
            let kept: Vec<_> = policy.chain(needed.get(&info.id).cloned().unwrap_or_default()).collect();
            if kept.is_empty() {
                remove.insert(info.id);
            }
            judged.push(Judged {
                snapshot: info.id.to_string(),
                made: render::instant(info.made),
                kind: info.kind,
                site: format!("{}/{}/{}", info.system, info.environment, info.site),
                kept,
            });
        }
        let plan = if self.dry_run {
            pruner.archive().plan_prune(&remove)
        } else {
            pruner.prune(&remove, new_id(SystemClock::new().now()), &mut |_, _| {})
        };
        out.report(&Pruned::of(self.dry_run, judged, plan.map_err(failed)?));
        Ok(Exit::Done)
    }
}

impl Pruned {
    fn of(dry_run: bool, snapshots: Vec<Judged>, plan: PrunePlan) -> Self {
        Self {
            dry_run,
            snapshots,
            packs_removed: plan.drop.len() as u64,
            packs_rewritten: plan.rewrite.len() as u64,
            packs_damaged: plan.damaged,
            freed_bytes: plan.freed,
        }
    }
}

/// What is needed whatever the policy says, and by whom: by migrations that are open or can be reversed
/// still, and by restores that did not end.
fn needed(config: &Config) -> Result<BTreeMap<SnapshotId, Vec<String>>, Failure> {
    let mut needed: BTreeMap<SnapshotId, Vec<String>> = BTreeMap::new();
    for summary in journals::all(config)?.iter().filter(|summary| journals::needs_snapshot(summary)) {
        if let Some(snapshot) = summary.snapshot {
            needed.entry(snapshot).or_default().push(format!("migration {} needs it", summary.id));
        }
    }
    let Restores { restores, unreadable } = restores::read(config)?;
    if let Some(record) = unreadable.first() {
        let message = format!("the record of a restore, {}, cannot be read: {}", record.file, record.why);
        return Err(
            Failure::new(Exit::InvalidInput, message).help("what it needs is unknown; nothing was removed")
        );
    }
    let unended = |restore: &&restores::Restore| restore.end.as_ref().is_none_or(|end| end.failure.is_some());
    for restore in restores.iter().filter(unended) {
        for snapshot in [Some(restore.snapshot), restore.way_back].into_iter().flatten() {
            needed.entry(snapshot).or_default().push("a restore that did not end needs it".into());
        }
    }
    Ok(needed)
}
