//! After a failed sync nothing is written any more.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use tmp_core::Mode;
use tmp_disk::{At, Disk, Fault, FaultDisk, LatchedDisk, Rename, SimDisk};

const EIO: i32 = 5;

/// A sync of a file or of the directory that it is in.
type Sync = fn(&dyn Disk, At<'_>) -> io::Result<()>;

/// Every call that changes something or makes something durable, by its name.
fn effects(disk: &dyn Disk) -> BTreeMap<&'static str, io::Result<()>> {
    let root = disk.open_root(Path::new("/")).unwrap();
    let at = |name: &'static str| At::new(&root, name);
    let file = disk.open_file_to_write(at("file")).unwrap();
    BTreeMap::from([
        ("create_file", disk.create_file(at("new"), Mode::FILE).map(drop)),
        ("write_at", disk.write_at(&file, 0, b"text").map(drop)),
        ("allocate", disk.allocate(&file, 4096)),
        ("set_len", disk.set_len(&file, 1)),
        ("clone_file", disk.clone_file(&file, &file).map(drop)),
        ("create_dir", disk.create_dir(at("dir"), Mode::DIRECTORY)),
        ("create_symlink", disk.create_symlink(at("link"), b"file")),
        ("create_link", disk.create_link(at("file"), at("second"))),
        ("rename", disk.rename(at("file"), at("moved"), Rename::NoReplace)),
        ("remove_file", disk.remove_file(at("moved"))),
        ("remove_dir", disk.remove_dir(at("dir"))),
        ("set_mode", disk.set_mode(at("second"), Mode::PROGRAM)),
        ("set_owner", disk.set_owner(at("second"), 1, 1)),
        ("set_mtime", disk.set_mtime(at("second"), (1, 0).into())),
        ("set_xattr", disk.set_xattr(at("second"), b"user.a", b"b")),
        ("remove_xattr", disk.remove_xattr(at("second"), b"user.a")),
        ("sync_data", disk.sync_data(&file)),
        ("sync_file", disk.sync_file(&file)),
        ("sync_dir", disk.sync_dir(&root)),
        ("sync_all", disk.sync_all(&root)),
        ("try_lock", disk.try_lock(at("lock"), "a note").map(drop)),
    ])
}

fn system() -> Arc<dyn Disk> {
    let sim = SimDisk::new();
    let root = sim.open_root(Path::new("/")).unwrap();
    drop(sim.create_file(At::new(&root, "file"), Mode::FILE).unwrap());
    Arc::new(sim)
}

#[test]
fn whichever_sync_failed() {
    let sound = effects(&LatchedDisk::new(system()));
    assert!(sound.values().all(Result::is_ok), "{sound:?}");
    let syncs: [Sync; 4] = [
        |disk, at| disk.sync_data(&disk.open_file(at)?),
        |disk, at| disk.sync_file(&disk.open_file(at)?),
        |disk, at| disk.sync_dir(at.dir),
        |disk, at| disk.sync_all(at.dir),
    ];
    for sync in syncs {
        let failing =
            Arc::new(FaultDisk::new(system(), Fault::Error { at: 1, errno: EIO, persistent: false }));
        let latched = LatchedDisk::new(failing.clone());
        let root = latched.open_root(Path::new("/")).unwrap();
        assert_eq!(sync(&latched, At::new(&root, "file")).unwrap_err().raw_os_error(), Some(EIO));
        for (name, result) in effects(&latched) {
            let error = result.expect_err(name).to_string();
            assert!(error.starts_with("nothing more is written, because a sync failed: "), "{name}: {error}");
        }
        assert_eq!(failing.effects(), 1, "nothing reached the disk");
        assert_eq!(latched.list(&root).unwrap(), ["file"], "it can be looked at");
    }
}

/// What else fails can be answered by whoever asked.
#[test]
fn only_a_sync_closes_it() {
    let failing = Arc::new(FaultDisk::new(system(), Fault::Error { at: 1, errno: EIO, persistent: false }));
    let latched = LatchedDisk::new(failing);
    let root = latched.open_root(Path::new("/")).unwrap();
    assert!(latched.create_dir(At::new(&root, "dir"), Mode::DIRECTORY).is_err());
    latched.create_dir(At::new(&root, "dir"), Mode::DIRECTORY).unwrap();
    latched.sync_dir(&root).unwrap();
}
