//! The journal against tears, damage and impossible facts; and the formats, as snapshots.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use proptest::prelude::*;
use time::OffsetDateTime;
use tmp_core::{
    Digest, MigrationId, Phase,
    event::{Event, Work},
    outcome::{Comparison, Outcome},
};
use tmp_disk::{Dir, Disk, RealDisk, SimDisk};
use tmp_migrate::{Fact, Journal, JournalError, PreparedSite, PreparedTree, Record};

use crate::common::Lab;

const SLOT: usize = 4096;

fn open_dir(path: &Path) -> Dir {
    RealDisk.open_root(path).unwrap()
}

/// A journal's bytes, its migration, and the records and phase after each of them, as they were live.
struct Written {
    bytes: Vec<u8>,
    id: MigrationId,
    records: Vec<Record>,
    /// Where each record ends.
    ends: Vec<usize>,
}

/// The journal of a whole run: forward, or back by compensation.
fn whole_run(fails: bool) -> (Written, Vec<Phase>) {
    let mut lab = Lab::with_database("create table t(a);");
    lab.write("bin/app", "old");
    lab.put("bin/app", "new");
    // Enough operations for a record of several slots.
    lab.write("many/there", "x");
    for number in 0..40 {
        lab.put(&format!("many/{number}-{}", "x".repeat(120)), "x");
        lab.write(&format!("gone/{number}"), "x");
        lab.remove(&format!("gone/{number}"));
    }
    lab.sql("010", "create table u(b);", Some("drop table u;"), None);
    if fails {
        lab.check("refuses", "exit 1");
    }
    let mut phases = vec![Phase::Planned];
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| {
            if let Event::Phase { phase, .. } = event {
                phases.push(*phase);
            }
        })
        .unwrap();
    assert_eq!(matches!(outcome, Outcome::RolledBack { .. }), fails, "{outcome:?}");
    let folder = lab.folder();
    let id: MigrationId = folder.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let (_, records) = Journal::read(&RealDisk, &open_dir(&folder), &id).unwrap();
    let bytes = fs::read(folder.join("journal")).unwrap();
    let mut ends = Vec::new();
    let mut at = 0;
    for record in &records {
        at += (72 + serde_json::to_vec(record).unwrap().len()).div_ceil(SLOT) * SLOT;
        ends.push(at);
    }
    assert!(ends.windows(2).any(|pair| pair[1] - pair[0] > SLOT), "one record takes several slots");
    (Written { bytes, id, records, ends }, phases)
}

/// A folder with a journal of these bytes.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("journal")
    }

    fn read(&self, bytes: &[u8], id: &MigrationId) -> Result<(Phase, Vec<Record>), JournalError> {
        fs::write(self.path(), bytes).unwrap();
        Journal::read(&RealDisk, &open_dir(self.0.path()), id)
    }
}

#[test]
fn every_cut_and_every_torn_record_replays_to_what_was_so_then() {
    for fails in [false, true] {
        let (written, live) = whole_run(fails);
        let mut replayed = vec![Phase::Planned];
        let place = Place::new();
        for (count, end) in written.ends.iter().enumerate().map(|(at, end)| (at + 1, *end)) {
            let (phase, records) = place.read(&written.bytes[..end], &written.id).unwrap();
            assert_eq!(records, written.records[..count]);
            if Some(&phase) != replayed.last() {
                replayed.push(phase);
            }
            let Some(next) = written.ends.get(count) else { continue };
            let mut torn_at: Vec<usize> = (end..*next).step_by(SLOT).collect();
            torn_at.extend([end + 1, end + 40, end + 71, end + 72, end + 100, (end + next) / 2]);
            for cut in torn_at {
                for behind in [0, 0xa5] {
                    let mut bytes = written.bytes[..cut].to_vec();
                    bytes.resize(written.bytes.len(), behind);
                    let (torn_phase, torn) = place.read(&bytes, &written.id).unwrap();
                    // Zeros, or anything, behind the record's last byte say nothing.
                    let json = serde_json::to_vec(&written.records[count]).unwrap().len();
                    let whole = bytes[end..end + 72 + json] == written.bytes[end..end + 72 + json];
                    assert_eq!(torn, written.records[..count + usize::from(whole)], "cut at {cut}");
                    assert!(whole || torn_phase == phase, "cut at {cut}");
                }
            }
        }
        assert_eq!(replayed, live);
    }
}

#[test]
fn a_torn_tail_is_overwritten_by_the_next_record() {
    let (written, _) = whole_run(false);
    let place = Place::new();
    let end = written.ends[2];
    let mut bytes = written.bytes.clone();
    bytes.truncate(end + 100);
    bytes.resize(written.bytes.len(), 0);
    fs::write(place.path(), &bytes).unwrap();
    let dir = open_dir(place.0.path());
    let (mut journal, records) = Journal::open(&RealDisk, &dir, &written.id).unwrap();
    assert_eq!(records.len(), 3);
    let fact = Fact::RollingBack { cause: "torn".into() };
    journal.record(&RealDisk, OffsetDateTime::UNIX_EPOCH, fact.clone()).unwrap();
    let (phase, records) = Journal::read(&RealDisk, &dir, &written.id).unwrap();
    assert_eq!((phase, &records[3].fact), (Phase::RollingBack, &fact));
}

/// BEGIN, then a fact that was announced or recorded, then one that was recorded; and where the second lies.
fn announced(first: bool) -> (Place, Dir, MigrationId, u64) {
    let place = Place::new();
    let dir = open_dir(place.0.path());
    let id = MigrationId::from_bits(7);
    let at = OffsetDateTime::UNIX_EPOCH;
    let mut journal = Journal::create(&RealDisk, &dir, &id, 1 << 16, at, &begin()).unwrap();
    let archived = Fact::Archived { snapshot: tmp_archive::SnapshotId::from_bits(1) };
    if first {
        journal.announce(&RealDisk, at, archived).unwrap();
    } else {
        journal.record(&RealDisk, at, archived).unwrap();
    }
    let prepared = facts().into_iter().find(|fact| matches!(fact, Fact::Prepared(_))).unwrap();
    journal.record(&RealDisk, at, prepared).unwrap();
    (place, dir, id, SLOT as u64)
}

fn lose(place: &Place, at: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = fs::OpenOptions::new().write(true).open(place.path()).unwrap();
    file.write_all_at(&[0; SLOT], at).unwrap();
}

#[test]
fn what_was_only_announced_may_be_lost_with_what_was_not_durable_after_it() {
    let (place, dir, id, at) = announced(true);
    assert_eq!(Journal::read(&RealDisk, &dir, &id).unwrap().0, Phase::Prepared);
    lose(&place, at);
    let (phase, records) = Journal::read(&RealDisk, &dir, &id).unwrap();
    assert_eq!((phase, records.len()), (Phase::Planned, 1), "power was lost before the sync");
    // What is written next must not be followed by what is left of the torn tail.
    let (mut journal, _) = Journal::open(&RealDisk, &dir, &id).unwrap();
    let back = Fact::RollingBack { cause: "torn".into() };
    journal.record(&RealDisk, OffsetDateTime::UNIX_EPOCH, back).unwrap();
    let (phase, records) = Journal::read(&RealDisk, &dir, &id).unwrap();
    assert_eq!((phase, records.len()), (Phase::RollingBack, 2));
}

/// A process that was killed before its sync leaves records in the caches alone. Whoever opens the journal acts on them, so
/// they must not go with the power that is lost next.
#[test]
fn what_is_found_in_a_journal_is_durable_before_it_is_trusted() {
    let disk = SimDisk::like("ext4");
    let dir = disk.open_root(Path::new("/")).unwrap();
    let id = MigrationId::from_bits(7);
    let at = OffsetDateTime::UNIX_EPOCH;
    let mut journal = Journal::create(&disk, &dir, &id, 1 << 16, at, &begin()).unwrap();
    disk.sync_file(&journal.handle()).unwrap();
    disk.sync_dir(&dir).unwrap();
    journal.announce(&disk, at, Fact::Archived { snapshot: tmp_archive::SnapshotId::from_bits(1) }).unwrap();
    let kept = |disk: &SimDisk, seed| {
        let survived = disk.power_loss(seed);
        let dir = survived.open_root(Path::new("/")).unwrap();
        Journal::read(&survived, &dir, &id).unwrap().1.len()
    };
    assert!((0..20).any(|seed| kept(&disk, seed) == 1), "without opening it the record can be lost");
    let killed = disk.after_kill();
    let (_, found) = Journal::open(&killed, &killed.open_root(Path::new("/")).unwrap(), &id).unwrap();
    assert_eq!(found.len(), 2);
    for seed in 0..20 {
        assert_eq!(kept(&killed, seed), 2, "seed {seed}");
    }
}

#[test]
fn in_a_journal_that_is_over_nothing_may_be_missing() {
    let (place, dir, id, at) = announced(true);
    let (mut journal, _) = Journal::open(&RealDisk, &dir, &id).unwrap();
    journal.trim(&RealDisk);
    assert_eq!(fs::metadata(place.path()).unwrap().len(), 3 * at, "what was never used is given back");
    lose(&place, at);
    assert!(matches!(Journal::read(&RealDisk, &dir, &id), Err(JournalError::Damaged { .. })));
}

#[test]
fn what_was_recorded_may_not_be_missing() {
    let (place, dir, id, at) = announced(false);
    lose(&place, at);
    assert!(matches!(Journal::read(&RealDisk, &dir, &id), Err(JournalError::Damaged { .. })));
    assert!(matches!(Journal::open(&RealDisk, &dir, &id), Err(JournalError::Damaged { .. })));
}

#[test]
fn a_damaged_record_before_a_sound_one_is_refused() {
    let (written, _) = whole_run(true);
    let place = Place::new();
    let mut begins = 0;
    for end in &written.ends[..written.ends.len() - 1] {
        for at in [begins, begins + 9, begins + 20, begins + 40, begins + 65, begins + 69, begins + 80] {
            let mut bytes = written.bytes.clone();
            bytes[at] ^= 4;
            let error = place.read(&bytes, &written.id).unwrap_err();
            assert!(matches!(error, JournalError::Damaged { .. }), "byte {at}: {error}");
            assert_eq!(fs::read(place.path()).unwrap(), bytes, "it was left as it is");
        }
        let mut bytes = written.bytes.clone();
        bytes[begins..*end].fill(0);
        assert!(matches!(place.read(&bytes, &written.id), Err(JournalError::Damaged { .. })));
        begins = *end;
    }
}

#[test]
fn a_record_that_is_missing_exchanged_or_doubled_is_refused() {
    let (written, _) = whole_run(true);
    let place = Place::new();
    let record = |at: usize| &written.bytes[written.ends[at - 1]..written.ends[at]];
    let prefix = &written.bytes[..written.ends[3]];
    for tail in [vec![record(5)], vec![record(5), record(4)], vec![record(4), record(4)], vec![record(3)]] {
        let mut bytes = prefix.to_vec();
        bytes.extend(tail.concat());
        bytes.resize(written.bytes.len(), 0);
        assert!(place.read(&bytes, &written.id).is_err());
    }
}

#[test]
fn every_flipped_byte_is_a_torn_tail_or_refused() {
    let (written, _) = small();
    let place = Place::new();
    for at in 0..written.bytes.len() {
        // Between records there are zeros that say nothing.
        let slot = at - at % SLOT;
        let length = written.bytes[slot..].first().map_or(0, |_| {
            let length = u32::from_le_bytes(written.bytes[slot + 64..slot + 68].try_into().unwrap());
            72 + length as usize
        });
        if at - slot > length && at % 61 != 0 {
            continue;
        }
        let mut bytes = written.bytes.clone();
        bytes[at] ^= 0xff;
        if let Ok((_, records)) = place.read(&bytes, &written.id) {
            assert!(written.records.starts_with(&records), "byte {at}: {records:?}");
            let lost = written.records.len() - records.len();
            assert!(lost <= 1, "byte {at}: {lost} records are lost");
        }
    }
}

/// A journal of three records, one slot each.
fn small() -> (Written, Place) {
    let place = Place::new();
    let id = MigrationId::from_bits(0x0190_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0001);
    let dir = open_dir(place.0.path());
    let at = OffsetDateTime::UNIX_EPOCH;
    let mut journal = Journal::create(&RealDisk, &dir, &id, 0, at, &begin()).unwrap();
    journal.record(&RealDisk, at, Fact::RollingBack { cause: "because".into() }).unwrap();
    journal
        .record(
            &RealDisk,
            at,
            Fact::RollbackFailed { undo_failure: "it failed".into(), intact: String::new() },
        )
        .unwrap();
    drop(journal);
    let (_, records) = Journal::read(&RealDisk, &dir, &id).unwrap();
    let mut bytes = fs::read(place.path()).unwrap();
    assert!(bytes.len() > 64 * SLOT, "there is a reserve");
    bytes.truncate(4 * SLOT);
    (Written { bytes, id, records, ends: vec![SLOT, 2 * SLOT, 3 * SLOT] }, place)
}

fn begin() -> Fact {
    Fact::Begin { plan: Digest::of(b"plan"), root: "/srv/app".into(), boot: "boot".into(), pid: 7 }
}

#[test]
fn another_version_and_another_migration_are_refused() {
    let (written, place) = small();
    let mut bytes = written.bytes.clone();
    bytes[SLOT + 4] = 3;
    let error = place.read(&bytes, &written.id).unwrap_err();
    assert!(matches!(error, JournalError::Version { version: 3, .. }), "{error}");
    let other = MigrationId::from_bits(0x0190_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0002);
    let error = place.read(&written.bytes, &other).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    assert!(place.read(&[], &written.id).unwrap().1.is_empty());
}

fn facts() -> Vec<Fact> {
    let snapshot = tmp_archive::SnapshotId::from_bits(0x0190_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0003);
    let site = PreparedSite {
        operations: vec![tmp_migrate::PreparedOperation {
            staged: Some(tmp_disk::Identity { inode: 7, born: Some((1, 2).into()) }),
            parked: None,
        }],
        directories: vec![(None, (3, 4).into()), (Some("bin".parse().unwrap()), (5, 6).into())],
        database_directories: vec![("/srv/db".into(), (7, 8).into())],
        exchange: true,
        marker: Some(tmp_core::database::Marker {
            migration: MigrationId::from_bits(0x0190_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0001),
            payload: Digest::of(b"payload"),
            nonce: "00ff".into(),
        }),
        tree: None,
    };
    let identity = |inode| tmp_disk::Identity { inode, born: Some((1, 2).into()) };
    let whole = PreparedSite {
        operations: Vec::new(),
        tree: Some(PreparedTree { parked: identity(8), staged: identity(9), parent: (5, 6).into() }),
        ..site.clone()
    };
    vec![
        begin(),
        Fact::Archived { snapshot },
        Fact::Prepared(Box::new(site)),
        Fact::Prepared(Box::new(whole)),
        Fact::Switch { before: None, after: Some(tmp_core::database::Fingerprint::default()) },
        Fact::Switched,
        Fact::Applied,
        Fact::Checking,
        Fact::StepIntent { step: 1, name: "reindex".parse().unwrap() },
        Fact::StepDone { step: 1, database: None },
        Fact::Committed { mixture_us: Some(900), locked_us: None, findings: vec!["a finding".into()] },
        Fact::CleanedUp { kept: vec!["bin/app".into()] },
        Fact::RollingBack { cause: "a cause".into() },
        Fact::Compensating { cause: "a cause".into() },
        Fact::UndoIntent { step: 1 },
        Fact::UndoDone { step: 1, database: None },
        Fact::RolledBack { comparison: Comparison::default(), findings: Vec::new() },
        Fact::RollbackFailed { undo_failure: "a failure".into(), intact: "the rest".into() },
        Fact::Resolved { reason: "a reason".into(), found: "what was found".into() },
    ]
}

#[test]
fn the_json_of_every_fact() {
    let at = OffsetDateTime::UNIX_EPOCH;
    let lines: Vec<String> = facts()
        .into_iter()
        .map(|fact| serde_json::to_string(&Record { at, fact }).unwrap())
        .inspect(|line| {
            let record: Record = serde_json::from_str(line).unwrap();
            assert_eq!(&serde_json::to_string(&record).unwrap(), line);
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_json_of_a_plan() {
    let mut lab = Lab::with_database("create table t(a);");
    lab.write("bin/app", "old");
    lab.put("bin/app", "new");
    lab.put("fresh/file", "fresh");
    lab.remove("bin/gone");
    lab.write("bin/gone", "gone");
    lab.sql("010", "create table u(b);", Some("drop table u;"), None);
    lab.batch("reindex", "true", Some("true"), &["var/**"]);
    lab.check("health", "true");
    let base = lab.base();
    let plan = lab.plan().unwrap();
    let json = serde_json::to_string_pretty(&plan).unwrap();
    let json = json.replace(base.as_str(), "/BASE").replace(plan.migration.as_str(), "MIGRATION");
    // Whether tests run as root is told among the warnings.
    let lines: Vec<&str> = json.lines().filter(|line| !line.contains("does not run as root")).collect();
    insta::with_settings!({filters => vec![(r#""archive": \d+"#, r#""archive": N"#), (r"SQLite [\d.]+", "SQLite N")]}, {
        insta::assert_snapshot!(lines.join("\n"));
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// A journal takes exactly the facts that the phase machine allows, and replays to the same phase.
    #[test]
    fn record_accepts_what_the_phase_machine_does(picks in prop::collection::vec(0_usize..18, 1..25)) {
        let place = Place::new();
        let dir = open_dir(place.0.path());
        let id = MigrationId::from_bits(0x0190_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0001);
        let at = OffsetDateTime::UNIX_EPOCH;
        let mut journal = Journal::create(&RealDisk, &dir, &id, 0, at, &begin()).unwrap();
        let mut phase = Phase::Planned;
        let mut accepted = vec![begin()];
        for pick in picks {
            let fact = facts().swap_remove(pick);
            let expected = fact.kind().and_then(|kind| phase.next(kind).ok());
            let recorded = journal.record(&RealDisk, at, fact.clone());
            prop_assert_eq!(expected, recorded.as_ref().ok().copied(), "{:?} {:?}", phase, recorded);
            if let Some(next) = expected {
                phase = next;
                accepted.push(fact);
            }
            prop_assert_eq!(journal.phase(), phase);
        }
        let (replayed, records) = Journal::read(&RealDisk, &dir, &id).unwrap();
        prop_assert_eq!(replayed, phase);
        let facts: Vec<Fact> = records.into_iter().map(|record| record.fact).collect();
        prop_assert_eq!(facts, accepted);
    }
}

#[test]
fn the_archive_is_read_back_before_anything_is_staged() {
    let mut lab = Lab::new();
    lab.write("bin/app", "old");
    lab.put("bin/app", "new");
    let mut order = Vec::new();
    drop(lab.migrate_watched(Arc::new(RealDisk), |event, _| {
        if let Event::Done { work, .. } = event {
            order.push(*work);
        }
    }));
    let expected =
        [Work::Archive, Work::VerifyArchive, Work::Stage, Work::Switch, Work::Compare, Work::CleanUp];
    assert_eq!(order, expected);
}
