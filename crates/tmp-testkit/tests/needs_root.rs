//! Tests that need root, loop devices, FUSE and the tools of the file systems. Where those are missing they say
//! so and prove nothing; with the environment variable `CI` set that is a failure.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use tmp_testkit::device::{
    DiskFault, FileSystem, Image, LogEntry, Mount, ServedDisk, fill, missing, privately,
};

/// Whether everything that disks need is there.
fn ready() -> bool {
    let missing = missing();
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "missing: {}", missing.join(", "));
    if !missing.is_empty() {
        eprintln!("left out, for this is missing: {}", missing.join(", "));
    }
    missing.is_empty()
}

/// A disk with an empty file system, in a folder of its own.
fn disk(folder: &Path, on: FileSystem) -> std::path::PathBuf {
    let (file, at) = (folder.join("disk"), folder.join("at"));
    on.format(&file, on.small(), &[]).unwrap();
    fs::create_dir(at).unwrap();
    file
}

/// Does something with such a disk on each file system, in a mount namespace of its own: its file, and where to mount
/// it.
fn on_each(systems: &[FileSystem], work: impl Fn(FileSystem, &Path, &Path) -> std::io::Result<()> + Sync) {
    for on in systems {
        let dir = tempfile::tempdir().unwrap();
        privately(|| work(*on, &disk(dir.path(), *on), &dir.path().join("at"))).unwrap();
    }
}

fn write(path: &Path, text: &str, sync: bool) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    if sync {
        file.sync_all()?;
        File::open(path.parent().unwrap())?.sync_all()?;
    }
    Ok(())
}

#[test]
fn a_power_cut_loses_what_was_not_synced_and_nothing_else() {
    if !ready() {
        return;
    }
    on_each(&[FileSystem::Ext4, FileSystem::Xfs], |on, file, at| {
        let mount = Mount::disk(file, at, on, &[])?;
        write(&at.join("synced"), "kept", true)?;
        write(&at.join("not"), "lost", false)?;
        mount.cut_power()?;
        assert!(fs::create_dir(at.join("later")).is_err(), "{on:?} goes on");
        mount.unmount()?;
        let mount = Mount::disk(file, at, on, &[])?;
        assert_eq!(fs::read_to_string(at.join("synced"))?, "kept", "{on:?}");
        assert!(!at.join("not").exists(), "{on:?} lost nothing");
        mount.unmount()
    });
}

#[test]
fn a_served_disk_remembers_what_reached_it_and_replays_it() {
    if !ready() {
        return;
    }
    on_each(&FileSystem::ALL, |on, file, at| {
        let base = Image::read(file)?;
        let disk = ServedDisk::serve(base.lay(file)?, &at.with_file_name("served"))?;
        let mount = Mount::disk(&disk.file(), at, on, &[])?;
        let mounted = disk.requests();
        write(&at.join("synced"), "kept", true)?;
        let synced = disk.requests();
        write(&at.join("not"), "lost", false)?;
        mount.unmount()?;
        let log = disk.take_log();
        disk.stop()?;
        assert_eq!(log.entries.get(synced - 1), Some(&LogEntry::Flush), "{on:?} synced without a flush");
        for (requests, is_there) in [(mounted, false), (synced, true)] {
            for seed in 1..5 {
                log.replay(requests, Some(seed), on, &base.lay(file)?)?;
                let mount = Mount::disk(file, at, on, &[])?;
                assert_eq!(fs::read_to_string(at.join("synced")).is_ok(), is_there, "{on:?}");
                assert!(!at.join("not").exists());
                mount.unmount()?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_disk_fails_as_it_was_told_and_loses_what_it_had_not_flushed() {
    if !ready() {
        return;
    }
    for fault in [DiskFault::Flush(1), DiskFault::Writes(1), DiskFault::Gone(1)] {
        on_each(&FileSystem::ALL, |on, file, at| {
            let disk = ServedDisk::serve(
                File::options().read(true).write(true).open(file)?,
                &at.with_file_name("served"),
            )?;
            let mount = Mount::disk(&disk.file(), at, on, &[])?;
            disk.fail(fault);
            assert!(write(&at.join("synced"), "lost", true).is_err(), "{on:?} {fault:?}: no error");
            assert!(disk.failed() > 0);
            mount.unmount()?;
            disk.stop()?;
            let mount = Mount::disk(file, at, on, &[])?;
            assert_ne!(fs::read_to_string(at.join("synced")).unwrap_or_default(), "lost", "{on:?} {fault:?}");
            mount.unmount()
        });
    }
}

#[test]
fn a_full_disk_has_room_for_nothing() {
    if !ready() {
        return;
    }
    on_each(&FileSystem::ALL, |on, file, at| {
        let mount = Mount::disk(file, at, on, &[])?;
        fill(at)?;
        assert!(write(&at.join("more"), &"x".repeat(8192), true).is_err(), "{on:?} has room");
        mount.unmount()
    });
}

/// Nobody waits for the close of a file, so it may still be on its way when the disk is unmounted.
#[test]
fn a_served_disk_stops_while_its_file_is_being_closed() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    privately(|| {
        for _ in 0..1000 {
            let file = dir.path().join("disk");
            fs::write(&file, [0; 8192])?;
            let disk = ServedDisk::serve(
                File::options().read(true).write(true).open(&file)?,
                &dir.path().join("served"),
            )?;
            drop(File::options().read(true).write(true).open(disk.file())?);
            disk.stop()?;
        }
        Ok(())
    })
    .unwrap();
}
