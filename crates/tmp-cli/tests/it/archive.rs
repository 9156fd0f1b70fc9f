//! What operators do with archives.

use std::{fs, path::PathBuf};

use crate::support::{ENHANCEMENT, Place};

const NOW: &[&str] = &["--now", "--reason", "end-to-end test"];

fn run(file: &str) -> Vec<&str> {
    [&["run", file], NOW].concat()
}

/// A model into which two enhancements were migrated, and the ids of their snapshots.
fn twice() -> (Place, [String; 2]) {
    let place = Place::billing();
    let file = place.package("fee");
    place.ends(0, &run(&file));
    let other = "schema: tmp/enhancement/v1\nid: other\nrevision: 1\ntitle: Other\nsystem: billing\n\
                 modules:\n  - {put: lib/other.sh, from: files/fee.conf}\n";
    place.enhancement("other", other);
    let file = place.package("other");
    place.ends(0, &run(&file));
    let list = place.json(&["archive", "list"]);
    let id = |at: usize| list["snapshots"][at]["id"].as_str().unwrap().to_owned();
    let ids = [id(0), id(1)];
    (place, ids)
}

fn blob(place: &Place, folder: &str, id: &str) -> PathBuf {
    let folder = place.path(&format!("state/archive/{folder}"));
    let found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    found.into_iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(id)).unwrap()
}

#[test]
fn verify_looks_at_every_snapshot_and_misses_the_lost_ones() {
    let (place, [first, second]) = twice();
    let whole = place.ends(0, &["archive", "verify", "--read-data"]).out;
    assert!(whole.contains("(1 entry, 0 B read back)"), "{whole}");
    assert_eq!(whole.lines().filter(|line| line.contains(": whole (")).count(), 2);
    let complete = place.ends(0, &["archive", "verify"]).out;
    assert!(complete.contains("complete (1 entry)") && complete.contains("--read-data"), "{complete}");

    let path = blob(&place, "packs", &first);
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[..good.len() - 1]).unwrap();
    let damaged = place.ends(3, &["archive", "verify"]).out;
    assert!(damaged.contains(&format!("{first}: DAMAGED: ")), "{damaged}");
    assert!(damaged.contains(&format!("{second}: complete")), "the others are looked at too: {damaged}");
    assert!(damaged.contains(&format!("  migration {first} needs it")), "{damaged}");
    place.ends(0, &["archive", "verify", &second]);
    // A byte within an object: only reading it tells.
    let mut bad = good.clone();
    bad[70] ^= 1;
    fs::write(&path, bad).unwrap();
    place.ends(3, &["archive", "verify", "--read-data", &first]);
    fs::write(&path, good).unwrap();

    let path = blob(&place, "snapshots", &second);
    let good = fs::read(&path).unwrap();
    fs::write(&path, b"nothing").unwrap();
    let listed = place.ends(3, &["archive", "list"]).out;
    assert!(listed.contains(&first) && listed.contains("it cannot be read"), "{listed}");
    place.ends(0, &["archive", "show", &first]);
    fs::remove_file(&path).unwrap();
    let lost = place.ends(3, &["archive", "verify"]).out;
    assert!(
        lost.contains(&format!("{first}: complete")) && lost.contains(&format!("{second}: LOST")),
        "{lost}"
    );
    assert_eq!(place.json(&["archive", "verify"])["snapshots"][1]["state"], "lost");
    place.ends(3, &["archive", "verify", &second]);
    fs::write(&path, good).unwrap();
    place.ends(0, &["archive", "verify"]);
    fs::rename(place.path("state/archive"), place.path("elsewhere")).unwrap();
    let gone = place.ends(3, &["archive", "verify"]).out;
    assert_eq!(gone.matches("LOST").count(), 2, "{gone}");
}

#[test]
fn what_was_rolled_back_needs_no_snapshot_any_more() {
    let place = Place::billing();
    place.enhancement("bad", ENHANCEMENT);
    place.write("bad/files/bin/fee", "#!/bin/sh\nexit 1\n");
    let file = place.package("bad");
    place.ends(10, &run(&file));
    let id = place.json(&["archive", "list"])["snapshots"][0]["id"].as_str().unwrap().to_owned();
    fs::remove_file(blob(&place, "snapshots", &id)).unwrap();
    place.ends(0, &["archive", "verify"]);
}

/// A model into which the usual enhancement was migrated, its trigger file and its snapshot.
fn migrated() -> (Place, String, String) {
    let place = Place::billing();
    let file = place.package("fee");
    place.ends(0, &run(&file));
    let id = place.json(&["archive", "list"])["snapshots"][0]["id"].as_str().unwrap().to_owned();
    (place, file, id)
}

fn in_place(id: &str) -> Vec<&str> {
    vec!["archive", "restore", id, "--in-place", "--confirm", "billing/model/model-1"]
}

#[test]
fn a_restore_in_place_is_recorded_and_has_a_way_back() {
    let (place, _, id) = migrated();
    let before = place.model();
    let done = place.json(&in_place(&id));
    let back = done["way_back"].as_str().unwrap().to_owned();
    assert_eq!(place.read("model/etc/fee.conf"), "rate=0\n");
    let history = place.ends(0, &["history"]).out;
    assert!(
        history.contains(&format!("restored in place at billing/model/model-1: {id}, 4 entries")),
        "{history}"
    );
    let json = place.json(&["history"]);
    assert_eq!(json["restores"][0]["way_back"], back.as_str());
    assert!(!place.path("model/bin/fee").exists());
    let records: Vec<_> =
        fs::read_dir(place.path("state/restore")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(records.len(), 1, "{records:?}");
    let record = fs::read_to_string(&records[0]).unwrap();
    crate::support::settings(&place)
        .bind(|| insta::assert_snapshot!("the_format_of_a_restore_s_record", record));

    place.ends(0, &in_place(&back));
    let mtimes = |path: &[u8]| matches!(path, b"" | b"bin" | b"etc" | b"lib");
    let after = place.model();
    let differences =
        tmp_testkit::walk::diff(&before.0.without_mtimes(mtimes), &after.0.without_mtimes(mtimes));
    assert_eq!(differences, Vec::<String>::new());
    let snapshots = place.json(&["archive", "list"])["snapshots"].as_array().unwrap().len();
    assert_eq!(snapshots, 3, "the second restore has a way back of its own");

    let ran = place.ends(0, &[&in_place(&id)[..], &["--no-snapshot"]].concat());
    assert!(!ran.out.contains("before"), "{}", ran.out);
    assert!(place.ends(0, &["history"]).out.contains("there is no way back"));
    assert!(place.ends(0, &["history", "late-fee"]).out.lines().all(|line| !line.contains("restored")));
}

#[test]
fn a_restore_that_fails_is_recorded_with_its_way_back() {
    let (place, _, id) = migrated();
    let pack = blob(&place, "packs", &id);
    let mut bytes = fs::read(&pack).unwrap();
    // Within the first object, which is the only old module: the index at the end stays sound.
    bytes[70] ^= 1;
    fs::write(&pack, bytes).unwrap();
    let failed = place.ends(3, &in_place(&id));
    assert!(failed.err.contains("go back to what stood there"), "{}", failed.err);
    let history = place.ends(0, &["history"]).out;
    assert!(history.contains("FAILED: ") && history.contains("what stood there before is"), "{history}");
}

#[test]
fn a_restore_in_place_keeps_out_while_a_migration_is_open() {
    let (place, _, id) = migrated();
    let lock = fs::File::open(place.path(".tmp-work-model/lock")).unwrap();
    lock.try_lock().unwrap();
    let refused = place.ends(75, &in_place(&id));
    assert!(refused.err.contains("lock") || refused.err.contains("process"), "{}", refused.err);
    assert_eq!(place.read("model/etc/fee.conf"), "rate=5\n");
}

#[test]
fn nothing_is_in_place_that_was_put_back() {
    let (place, file, id) = migrated();
    assert!(place.ends(0, &run(&file)).out.contains("nothing to do"));
    place.ends(0, &in_place(&id));
    let refused = place.ends(5, &run(&file));
    assert!(refused.err.contains("half-in-place"), "the database still has it: {}", refused.err);
    place.ends(5, &["plan", &file]);

    place.ends(0, &["archive", "restore", &id, "--to", "base", "--database", "main"]);
    fs::copy(place.path("base/main.sqlite"), place.path("model.db")).unwrap();
    let refused = place.ends(5, &run(&file));
    assert!(refused.err.contains("main: table invoice was changed"), "{}", refused.err);
    let drift = place.ends(6, &["drift", "model-1"]).out;
    assert!(!drift.contains("fee.conf"), "what was restored by order is no drift: {drift}");
    place.ends(0, &["drift", "model-1", "--accept", "--reason", "the database was put back too"]);
    place.ends(0, &run(&file));
    assert_eq!(place.read("model/etc/fee.conf"), "rate=5\n");
    assert!(place.ends(0, &run(&file)).out.contains("nothing to do"));

    place.write("model/etc/fee.conf", "rate=6\n");
    place.ends(5, &run(&file));
}

#[test]
fn what_a_later_migration_took_over_is_not_put_back_by_the_earlier() {
    let place = Place::billing();
    let conf = |id: &str, text: &str| {
        let yaml = format!(
            "schema: tmp/enhancement/v1\nid: {id}\nrevision: 1\ntitle: T\nsystem: billing\n\
             modules:\n  - {{put: etc/fee.conf, from: files/fee.conf}}\n"
        );
        place.enhancement(id, &yaml);
        place.write(&format!("{id}/files/fee.conf"), text);
        place.ends(0, &["package", id, "-o", &format!("{id}.trigger")]);
        place.ends(0, &run(&format!("{id}.trigger")));
    };
    conf("first", "first\n");
    conf("second", "second\n");
    let refused = place.ends(5, &run("first.trigger"));
    assert!(refused.err.contains("second r1 changed it since"), "{}", refused.err);
    assert_eq!(place.read("model/etc/fee.conf"), "second\n");
    place.write("model/etc/fee.conf", "by hand\n");
    assert!(place.ends(5, &run("second.trigger")).err.contains("drift"));
    place.ends(0, &["drift", "model-1", "--accept", "--reason", "the next run puts it right"]);
    place.ends(0, &run("second.trigger"));
    assert_eq!(place.read("model/etc/fee.conf"), "second\n");
}

#[test]
fn a_whole_site_is_archived_compared_and_put_back() {
    let place = Place::billing();
    place.write("model/bin/.hidden", "hidden\n");
    let several = place.ends(2, &["archive", "create"]);
    assert!(several.err.contains("which-site"), "{}", several.err);
    let first = place.json(&["archive", "create", "model-1"]);
    assert_eq!(first["databases"], 1);
    let id = |json: &serde_json::Value| json["snapshot"].as_str().unwrap().to_owned();
    let (one, before) = (id(&first), place.model());
    let shown = place.ends(0, &["archive", "show", &one]).out;
    assert!(shown.contains("bin/.hidden") && !shown.contains("var/data"), "{shown}");
    place.ends(0, &["archive", "diff", &one, "target", "--exit-code"]);

    let again = place.json(&["archive", "create", "model-1"]);
    assert_eq!((again["new_objects"].as_u64(), &again["entries"]), (Some(0), &first["entries"]));
    place.write("model/bin/.hidden", "changed\n");
    place.write("model/lib/new.sh", "new\n");
    place.write("model/var/data", "newer live data\n");
    rusqlite::Connection::open(place.path("model.db"))
        .unwrap()
        .execute_batch("INSERT INTO invoice (cents) VALUES (7)")
        .unwrap();
    let drifted = place.ends(6, &["archive", "diff", &one, "target", "--exit-code"]).out;
    assert!(drifted.contains("bin/.hidden: another content"), "{drifted}");
    assert!(drifted.contains("lib/new.sh: a file instead of nothing"), "{drifted}");
    let two = id(&place.json(&["archive", "create", "model-1"]));
    let differ = place.ends(6, &["archive", "diff", &one, &two, "--exit-code"]).out;
    assert!(differ.contains("bin/.hidden: another content") && differ.contains("database main"), "{differ}");
    place.ends(0, &["archive", "diff", &one, &two]);

    place.ends(0, &["archive", "restore", &one, "--in-place", "--confirm", "billing/model/model-1"]);
    assert_eq!(place.read("model/var/data"), "newer live data\n", "what is ignored is left alone");
    place.write("model/var/data", "live data\n");
    let volatile = |path: &[u8]| matches!(path, b"var/data" | b"var");
    let after = place.model();
    let differences =
        tmp_testkit::walk::diff(&before.0.without_mtimes(volatile), &after.0.without_mtimes(volatile));
    assert_eq!(differences, Vec::<String>::new());
    place.ends(0, &["archive", "verify", "--read-data"]);
}

#[test]
fn pruning_keeps_what_a_policy_or_a_migration_needs() {
    let (place, _, migration) = migrated();
    let mut made = Vec::new();
    for number in 0..4 {
        place.write("model/lib/counter", &format!("{number}\n").repeat(3000));
        made.push(place.json(&["archive", "create", "model-1"])["snapshot"].as_str().unwrap().to_owned());
    }
    place.ends(2, &["archive", "prune"]);
    place.ends(2, &["archive", "prune", "--keep-last", "0"]);
    let dry = place.ends(0, &["archive", "prune", "--keep-last", "1", "--dry-run"]).out;
    assert!(dry.contains("3 snapshots would be removed"), "{dry}");
    assert_eq!(place.json(&["archive", "list"])["snapshots"].as_array().unwrap().len(), 5);
    let done = place.json(&["archive", "prune", "--keep-last", "1"]);
    let left: Vec<String> = place.json(&["archive", "list"])["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|info| info["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(left, [migration.clone(), made[3].clone()]);
    assert!(done["freed_bytes"].as_u64().unwrap() > 0, "{done}");
    let kept = done["snapshots"][0]["kept"].to_string();
    assert!(kept.contains("needs it"), "{done}");
    place.ends(0, &["archive", "verify", "--read-data"]);
    assert_eq!(place.json(&["archive", "create", "model-1"])["new_objects"], 0, "the cache serves on");
    place.ends(0, &["archive", "restore", &migration, "--to", "back"]);
    assert_eq!(place.read("back/etc/fee.conf"), "rate=0\n");
}

#[test]
fn an_archive_in_use_is_not_pruned() {
    let (place, ..) = migrated();
    let format = fs::File::open(place.path("state/archive/format")).unwrap();
    format.try_lock_shared().unwrap();
    let refused = place.ends(75, &["archive", "prune", "--keep-last", "1"]);
    assert!(refused.err.contains("in use"), "{}", refused.err);
    format.unlock().unwrap();
    format.try_lock().unwrap();
    let refused = place.ends(75, &["archive", "list"]);
    assert!(refused.err.contains("being pruned"), "{}", refused.err);
    place.ends(75, &["archive", "create", "model-1"]);
    format.unlock().unwrap();
    place.ends(0, &["archive", "prune", "--keep-last", "1"]);
}

#[test]
fn a_database_inside_the_root_is_archived_as_one_and_left_alone() {
    let place = Place::billing();
    let configuration = place.read("tmp.yaml").replace("sqlite: model.db", "sqlite: model/base.db");
    place.write("tmp.yaml", &configuration);
    fs::rename(place.path("model.db"), place.path("model/base.db")).unwrap();
    let connection = rusqlite::Connection::open(place.path("model/base.db")).unwrap();
    connection.execute_batch("PRAGMA journal_mode = wal; INSERT INTO invoice (cents) VALUES (1)").unwrap();
    let one = place.json(&["archive", "create", "model-1"])["snapshot"].as_str().unwrap().to_owned();
    let shown = place.ends(0, &["archive", "show", &one]).out;
    assert!(!shown.contains("base.db") && shown.contains("database  main (SQLite)"), "{shown}");
    connection.execute_batch("INSERT INTO invoice (cents) VALUES (2)").unwrap();
    place.write("model/lib/old.sh", "changed\n");
    place.write("model/lib/more.sh", "more\n");
    let back = place.json(&["archive", "restore", &one, "--in-place", "--confirm", "billing/model/model-1"]);
    assert_eq!(place.read("model/lib/old.sh"), "old\n");
    assert!(!place.path("model/lib/more.sh").exists());
    let rows: i64 = connection.query_row("SELECT count(*) FROM invoice", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 4, "the database is as it was");
    let back = back["way_back"].as_str().unwrap();
    assert!(place.ends(0, &["archive", "list"]).out.contains("pre-restore"));
    place.ends(0, &["archive", "restore", back, "--in-place", "--confirm", "billing/model/model-1"]);
    assert_eq!(
        (place.read("model/lib/old.sh"), place.read("model/lib/more.sh")),
        ("changed\n".into(), "more\n".into())
    );
    place.ends(0, &["archive", "restore", &one, "--to", "out", "--database", "main"]);
    let rows: i64 = rusqlite::Connection::open(place.path("out/main.sqlite"))
        .unwrap()
        .query_row("SELECT count(*) FROM invoice", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 3);
}

#[test]
fn a_create_or_prune_killed_at_any_call_leaves_the_store_whole() {
    use tmp_testkit::stepper::{Action, Ended, Stepper};
    let place = Place::billing();
    place.write("model/lib/counter", "0\n");
    place.ends(0, &["archive", "create", "model-1"]);
    let command =
        |words: &[&str]| Stepper::new(env!("CARGO_BIN_EXE_tmp")).args(words).current_dir(place.dir());
    for words in [&["archive", "create", "model-1"][..], &["archive", "prune", "--keep-last", "2"][..]] {
        let mut killed = 0;
        // Every third call keeps the test short; every effect is stopped at in the archive's own tests.
        for call in (1..).step_by(3) {
            place.write("model/lib/counter", &format!("{} {call}\n", words[1]).repeat(50));
            place.ends(0, &["archive", "create", "model-1"]);
            let outcome = command(words).run(Action::Kill(call)).unwrap();
            place.ends(0, &["archive", "verify", "--read-data"]);
            if outcome.ended == Ended::Exited(0) {
                break;
            }
            killed += 1;
        }
        assert!(killed > 5, "{killed}");
        let json = place.json(&["archive", "create", "model-1"]);
        place.ends(0, &["archive", "diff", json["snapshot"].as_str().unwrap(), "target", "--exit-code"]);
        place.ends(0, &["archive", "prune", "--keep-last", "1"]);
        let litter = |folder: &str| {
            let entries = fs::read_dir(place.path(folder)).unwrap().map(|entry| entry.unwrap().file_name());
            entries.filter(|name| name.to_str().unwrap().starts_with("create-")).count()
        };
        assert_eq!(litter("state"), 0);
        place.ends(0, &["archive", "verify", "--read-data"]);
    }
}
