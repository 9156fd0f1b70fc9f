//! What the vocabulary itself promises: texts, JSON, bits and counts.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

use tmp_core::{
    Digest, MigrationId, Mode, ModulePath, Phase,
    contents::{Contents, Visitor, read_small},
    database::{Fingerprint, FingerprintDifferences, TableFingerprint, Undone},
    enhancement::{
        BatchStep, Check, Command, ControlObject, Enhancement, Probe, Script, SqlChange, SqlRollback,
        SqlVerify, TransactionMode,
    },
    event::milliseconds,
    hex,
    module::{Attributes, Content, Kind, Timestamp},
    outcome::DatabaseComparison,
    plan::{ReversedDatabase, Switch, is_engines_own},
};

fn fingerprint(schema: &[(&str, &[u8])], data: &[(&str, u64)]) -> Fingerprint {
    let rows = |rows| TableFingerprint { rows, digest: Digest::of(b"") };
    Fingerprint {
        schema: schema.iter().map(|(name, text)| ((*name).to_owned(), Digest::of(text))).collect(),
        data: data.iter().map(|(name, count)| ((*name).to_owned(), rows(*count))).collect(),
    }
}

struct One(&'static [u8]);

impl Contents for One {
    fn visit(&self, wanted: &BTreeSet<Digest>, visit: &mut Visitor<'_>) -> io::Result<()> {
        let mut bytes = self.0;
        wanted.iter().try_for_each(|digest| visit(digest, self.0.len() as u64, &mut bytes))
    }
}

#[test]
fn a_small_content_is_whole_and_its_own() {
    let digest = Digest::of(b"1234");
    assert_eq!(read_small(&One(b"1234"), &digest, 4).unwrap(), b"1234");
    let long = read_small(&One(b"1234"), &digest, 3).unwrap_err().to_string();
    assert!(long.ends_with("is longer than 3 bytes"), "{long}");
    let wrong = read_small(&One(b"1235"), &digest, 4).unwrap_err().to_string();
    assert!(wrong.ends_with("has another digest"), "{wrong}");
}

#[test]
fn fingerprints_differ_by_name() {
    let one = fingerprint(&[("table b", b"1"), ("table d", b"1"), ("table e", b"1")], &[("b", 1), ("e", 2)]);
    let other =
        fingerprint(&[("table a", b"1"), ("table d", b"2"), ("table e", b"1")], &[("b", 2), ("e", 2)]);
    let found = one.differences(&other);
    assert_eq!(found.schema, ["table a", "table b", "table d"]);
    assert_eq!(found.data, ["b"]);
    assert_eq!(found, other.differences(&one));
    assert!(one.differences(&one).is_empty());
    let only = |schema: &[&str], data: &[&str]| FingerprintDifferences {
        schema: schema.iter().map(|name| (*name).to_owned()).collect(),
        data: data.iter().map(|name| (*name).to_owned()).collect(),
    };
    let all = [only(&[], &[]), only(&["a", "b"], &[]), only(&[], &["c"]), only(&["a"], &["c"])];
    let texts =
        ["nothing differs", "schema differs: a, b", "rows differ: c", "schema differs: a; rows differ: c"];
    assert_eq!(all.each_ref().map(ToString::to_string), texts);
    assert_eq!(all.each_ref().map(FingerprintDifferences::is_empty), [true, false, false, false]);
    let comparison = [Undone::Exact, Undone::Before, Undone::SchemaOnly].map(DatabaseComparison::from);
    let expected = [DatabaseComparison::Exact, DatabaseComparison::Earlier, DatabaseComparison::SchemaOnly];
    assert_eq!(comparison, expected);
}

#[test]
fn a_reversal_may_change_what_it_must_and_what_may_be_lost() {
    let judged = |lose: &[&str], before: &Fingerprint, found: u64, becomes: &Fingerprint| {
        let left = fingerprint(&[("table t", b"new")], &[("t", 2)]);
        let lose = lose.iter().map(|table| (*table).to_owned()).collect();
        let found = fingerprint(&[("table t", b"new")], &[("t", found)]);
        ReversedDatabase { before: before.clone(), left, lose }.judge(&found, becomes)
    };
    let before = fingerprint(&[("table t", b"old")], &[("t", 1)]);
    assert_eq!(judged(&[], &before, 2, &before), Ok(()));
    let wrong = fingerprint(&[("table t", b"other")], &[("t", 1)]);
    let text = "the roll-back scripts do not restore it: schema differs: table t";
    assert_eq!(judged(&[], &before, 2, &wrong), Err(text.to_owned()));
    let kept = fingerprint(&[("table t", b"old")], &[("t", 3)]);
    assert_eq!(judged(&[], &before, 3, &kept), Ok(()), "rows written since stay");
    let text = "rows of table t that were written since would be changed or lost";
    assert_eq!(judged(&[], &before, 3, &before), Err(text.to_owned()));
    assert_eq!(judged(&["t"], &before, 3, &before), Ok(()));
    let text = "the roll-back scripts do not restore it: rows differ: t";
    assert_eq!(judged(&[], &before, 2, &kept), Err(text.to_owned()));
}

#[test]
fn four_phases_are_closed() {
    use Phase::{
        Applied, Applying, Archived, Checking, CleanedUp, Committed, Compensating, Planned, Prepared,
        Resolved, RollbackFailed, RolledBack, RollingBack,
    };
    for closed in [Committed, CleanedUp, RolledBack, Resolved] {
        assert!(closed.is_closed(), "{closed:?}");
    }
    let open =
        [Planned, Archived, Prepared, Applying, Applied, Checking, RollingBack, Compensating, RollbackFailed];
    for open in open {
        assert!(!open.is_closed(), "{open:?}");
    }
}

#[test]
fn some_names_of_steps_are_the_engines_own() {
    let own = |name: &str| is_engines_own(&name.parse().unwrap());
    assert!(["post-image", "after-rollback", "control-object-1"].into_iter().all(own));
    assert!(!["reindex", "post-images", "control"].into_iter().any(own));
}

fn enhancement() -> Enhancement {
    Enhancement::new("one".parse().unwrap(), "billing".parse().unwrap(), "One")
}

fn script(name: &str) -> Script {
    Script { name: name.into(), digest: Digest::of(name.as_bytes()), size: 1 }
}

#[test]
fn scripts_come_in_the_order_of_a_payload() {
    let mut enhancement = enhancement();
    assert_eq!(enhancement.scripts().count(), 0);
    let change = |name: &str, rollback, verify: Option<&str>| SqlChange {
        name: name.parse().unwrap(),
        database: "main".parse().unwrap(),
        transaction: TransactionMode::Shared,
        apply: script(name),
        rollback,
        verify: verify.map(|name| SqlVerify { script: script(name), assert: false }),
    };
    enhancement.sql = vec![
        change("1", SqlRollback::Script(script("1-back")), Some("1-verify")),
        change("2", SqlRollback::Archive, None),
        change("3", SqlRollback::Irreversible { why: "no".into() }, Some("3-verify")),
    ];
    enhancement.control_objects =
        vec![ControlObject { utility: "u".into(), object: "o".into(), content: script("object") }];
    let names: Vec<&str> = enhancement.scripts().map(|script| script.name.as_str()).collect();
    assert_eq!(names, ["1", "1-back", "1-verify", "2", "3", "3-verify", "object"]);
}

#[test]
fn each_kind_of_command_counts_as_one() {
    let command = Command { run: vec!["true".into()], timeout_s: 1 };
    let check = |probe| Check { name: "check".parse().unwrap(), probe, within_s: 0 };
    assert!(!enhancement().runs_commands());
    let mut batch = enhancement();
    batch.batch.push(BatchStep {
        name: "step".parse().unwrap(),
        run: command.clone(),
        rollback: None,
        writes: Vec::new(),
    });
    let mut after = enhancement();
    after.after_rollback.push(command.clone());
    let mut verified = enhancement();
    verified.verify.push(check(Probe::Http { url: "http://x".into(), status: 200 }));
    assert!(!verified.runs_commands());
    verified.verify.push(check(Probe::Command(command)));
    for runs in [batch, after, verified] {
        assert!(runs.runs_commands(), "{runs:?}");
    }
}

#[test]
fn numbers_keep_their_value() {
    assert_eq!(milliseconds(Duration::from_micros(12_999)), 12);
    assert_eq!(milliseconds(Duration::MAX), u64::MAX);
    let bits = 0x0190_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0001;
    assert_eq!(MigrationId::from_bits(bits).bits(), bits);
    assert_eq!(Mode::from_bits(0o104_755).bits(), 0o4755);
    let changes = |bits| Mode::from_bits(bits).changes_identity();
    assert_eq!([0o755, 0o1777, 0o4755, 0o2755].map(changes), [false, false, true, true]);
    assert_eq!(hex::encode(&[0, 0x9a, 0xff]), "009aff");
    assert_eq!(hex::decode("009aff").unwrap(), [0, 0x9a, 0xff]);
    for bad in ["0", "0g", "g0", "0A", " 0"] {
        assert_eq!(hex::decode(bad), None, "{bad}");
    }
    assert_eq!([Switch::Files, Switch::Atomic].map(|switch| switch.is_files()), [true, false]);
    assert_eq!([Switch::Files, Switch::Atomic].map(|switch| switch.to_string()), ["files", "atomic"]);
}

#[test]
fn attributes_are_the_same_after_json() {
    let xattrs = BTreeMap::from([(b"user.x".to_vec(), vec![0, 255]), (b"user.\xff".to_vec(), Vec::new())]);
    let mtime = Timestamp { seconds: -3, nanoseconds: 7 };
    let attributes = Attributes { mode: Mode::from_bits(0o640), uid: 1, gid: 2, mtime, xattrs };
    let json = serde_json::to_string(&attributes).unwrap();
    assert!(json.contains(r#""mtime":[-3,7],"xattrs":{"757365722e78":"00ff","757365722eff":""}"#), "{json}");
    assert_eq!(serde_json::from_str::<Attributes>(&json).unwrap(), attributes);
    let error = serde_json::from_str::<Attributes>(&json.replace("00ff", "00f")).unwrap_err().to_string();
    assert!(error.contains("not hexadecimal"), "{error}");
}

#[test]
fn paths_have_parents_and_components() {
    let path: ModulePath = "a/b/c".parse().unwrap();
    let ancestors: Vec<String> = path.ancestors().map(String::from).collect();
    assert_eq!(ancestors, ["a/b", "a"]);
    assert_eq!(path.components().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!((path.name(), path.below(&"a".parse().unwrap())), ("c", Some("b/c")));
    assert_eq!(path.below(&path), None);
    assert_eq!(path.join("d").unwrap().to_string(), "a/b/c/d");
    assert!(path.join("../d").is_err());
    let content = [
        Content::File { digest: Digest::of(b""), size: 0, mode: Mode::FILE },
        Content::Directory { mode: Mode::DIRECTORY },
        Content::Symlink { target: "x".into() },
    ];
    assert_eq!(content.map(|content| content.kind()), [Kind::File, Kind::Directory, Kind::Symlink]);
}
