//! Which snapshots a policy keeps.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use crate::{SnapshotId, SnapshotInfo, SnapshotKind};

/// How many snapshots are kept. Each rule keeps the newest snapshot of so many of the latest days, weeks
/// and months that have one; they are put together. Days begin at midnight UTC, weeks on Monday (ISO 8601).
/// It counts for each site and each kind of snapshot on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// The newest ones.
    pub last: usize,
    /// Of so many days.
    pub daily: usize,
    /// Of so many weeks.
    pub weekly: usize,
    /// Of so many months.
    pub monthly: usize,
}

/// The span of time that an instant belongs to.
type Span = fn(OffsetDateTime) -> (i32, u32);

impl Retention {
    /// Whether it keeps nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The snapshots that it keeps, each with why.
    pub fn kept(&self, snapshots: &[SnapshotInfo]) -> BTreeMap<SnapshotId, Vec<&'static str>> {
        let mut groups: BTreeMap<_, Vec<&SnapshotInfo>> = BTreeMap::new();
        for info in snapshots {
            let kind = match info.kind {
                SnapshotKind::Portion => 0,
                SnapshotKind::System => 1,
                SnapshotKind::PreRestore => 2,
            };
            let group = (info.system.as_str(), info.environment, info.site.as_str(), kind);
            groups.entry(group).or_default().push(info);
        }
        let mut kept: BTreeMap<SnapshotId, Vec<&'static str>> = BTreeMap::new();
        for mut group in groups.into_values() {
            group.sort_by_key(|info| std::cmp::Reverse((info.made, info.id)));
            for info in group.iter().take(self.last) {
                kept.entry(info.id).or_default().push("last");
            }
            let rules: [(&str, usize, Span); 3] = [
                ("daily", self.daily, |at| (at.year(), at.ordinal().into())),
                ("weekly", self.weekly, |at| {
                    let (year, week, _) = at.to_iso_week_date();
                    (year, week.into())
                }),
                ("monthly", self.monthly, |at| (at.year(), u8::from(at.month()).into())),
            ];
            for (name, count, span) in rules {
                let mut spans = BTreeSet::new();
                for info in &group {
                    if spans.len() == count {
                        break;
                    }
                    if spans.insert(span(info.made.to_offset(time::UtcOffset::UTC))) {
                        kept.entry(info.id).or_default().push(name);
                    }
                }
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use tmp_core::EnvironmentName;

    use super::*;
    use crate::{Manifest, Totals};

    fn snapshot(number: u128, site: &str, made: OffsetDateTime) -> SnapshotInfo {
        SnapshotInfo {
            schema: String::new(),
            id: SnapshotId::from_bits(number),
            kind: SnapshotKind::System,
            parent: None,
            migration: None,
            system: "billing".parse().unwrap(),
            environment: EnvironmentName::Model,
            site: site.parse().unwrap(),
            made,
            roots: Vec::new(),
            ignored: Vec::new(),
            databases: Vec::new(),
            manifest: Manifest::default(),
            packs: Vec::new(),
            totals: Totals::default(),
        }
    }

    #[test]
    fn keeps_what_people_expect() {
        // Twice a day for 60 days, from Monday, 6 January 2025.
        let first = time::macros::datetime!(2025-01-06 06:00 UTC);
        let mut all: Vec<_> = (0..120_u32)
            .map(|half| snapshot(half.into(), "berlin", first + Duration::hours(12) * half))
            .collect();
        all.push(snapshot(1000, "hq", first));
        let kept = |retention: Retention| {
            let kept = retention.kept(&all);
            kept.keys().map(|id| u64::try_from(id.bits()).unwrap()).collect::<Vec<_>>()
        };
        let none = Retention::default();
        assert!(none.is_empty() && kept(none).is_empty());
        assert_eq!(kept(Retention { last: 3, ..none }), [117, 118, 119, 1000]);
        assert_eq!(kept(Retention { daily: 3, ..none }), [115, 117, 119, 1000]);
        // The last days of weeks are Sundays; the 60th day is a Thursday.
        assert_eq!(kept(Retention { weekly: 3, ..none }), [97, 111, 119, 1000]);
        // 31 January is the 26th day, 28 February the 54th.
        assert_eq!(kept(Retention { monthly: 9, ..none }), [51, 107, 119, 1000]);
        let both = Retention { last: 1, monthly: 2, ..none }.kept(&all);
        assert_eq!(both[&SnapshotId::from_bits(119)], ["last", "monthly"]);
    }
}
