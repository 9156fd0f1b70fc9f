//! Loss of power, failing disks and full disks on real file systems, a few points each; `cargo xtask crash` tries all.
//!
//! They need root, loop devices, FUSE and the tools of the file systems. Where those are missing they say so and
//! prove nothing; with the environment variable `CI` set that is a failure.

use std::{io, path::Path};

use tmp_testkit::{
    device::{DiskFault, FileSystem, missing, privately},
    matrix::{Package, Verdict},
    power::{Ground, Place, Shortage},
    stepper::Ended,
};

const DISKS: [Place; 3] =
    [Place::Disk(FileSystem::Ext4), Place::Disk(FileSystem::Xfs), Place::Disk(FileSystem::Btrfs)];

/// Does something with a migration of files and SQLite in each place.
fn each(places: &[Place], prove: impl Fn(&Ground) -> io::Result<()> + Sync) {
    let missing = missing();
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "missing: {}", missing.join(", "));
    if !missing.is_empty() {
        eprintln!("left out, for this is missing: {}", missing.join(", "));
        return;
    }
    for place in places {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        privately(|| {
            let tmp = Path::new(env!("CARGO_BIN_EXE_tmp"));
            prove(&Ground::prepare(tmp, dir.path(), Package::Sqlite, *place, &[])?)
        })
        .unwrap();
    }
}

fn good(what: &str, verdict: &Verdict) {
    assert!(!matches!(verdict, Verdict::Violation(_)), "{what}: {verdict:#?}");
}

/// Calls spread over the migration, the last ones of it among them.
fn some_calls(ground: &Ground) -> impl Iterator<Item = u64> {
    let calls = ground.calls().len() as u64;
    [calls * 3 / 4, calls - 40].into_iter()
}

#[test]
fn before_or_after_when_the_power_is_cut() {
    each(&[DISKS[0], DISKS[1]], |ground| {
        for at in some_calls(ground).chain([ground.calls().len() as u64 + 1]) {
            good(&format!("{:?} at {at}", ground.place()), &ground.cut(at)?);
        }
        Ok(())
    });
}

#[test]
fn before_or_after_and_every_path_whole_whatever_a_disk_loses() {
    each(&DISKS, |ground| {
        let recording = ground.record()?;
        assert!(recording.flushes() > 20, "{} flushes", recording.flushes());
        let losses = recording.losses(4);
        for loss in losses.iter().skip(losses.len() / 3).step_by(losses.len() / 6) {
            good(&format!("{:?} {loss:?}", ground.place()), &ground.lose(&recording, *loss, 7)?);
        }
        Ok(())
    });
}

#[test]
fn a_disk_that_fails_ends_a_migration_as_failed_and_what_it_holds_can_be_recovered() {
    each(&DISKS, |ground| {
        let flushes = ground.flushes()?;
        for at in [flushes * 2 / 3] {
            for fault in [DiskFault::Flush(at), DiskFault::Gone(at)] {
                let failed = ground.fail(fault)?;
                let what = format!("{:?} {fault:?}: {failed:?}", ground.place());
                assert!(failed.refused > 0 && failed.ended != Ended::Exited(0), "{what}");
                good(&what, &failed.verdict);
            }
        }
        Ok(())
    });
}

#[test]
fn a_full_disk_does_not_stop_a_recovery() {
    each(&[DISKS[0], DISKS[1], DISKS[2], Place::Memory], |ground| {
        for at in some_calls(ground) {
            let verdict = ground.shorten(Shortage::FullAfter(at))?;
            good(&format!("{:?} at {at}", ground.place()), &verdict.expect("it has begun"));
        }
        Ok(())
    });
}
