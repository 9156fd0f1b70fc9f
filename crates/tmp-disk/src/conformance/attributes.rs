//! Mode, owner, times and extended attributes.

use std::io;

use tmp_core::{
    Mode,
    module::{Kind, Timestamp},
};

use super::{Bench, Case, fails};
use crate::disk::{At, Rename, Right, Stat};

pub(super) const CASES: &[Case] =
    &[modes, owners, times, rights, xattrs, what_a_stat_tells, an_open_file_by_itself];

fn modes(bench: &Bench<'_>) {
    bench.put("file", b"");
    let dir = bench.make_dir("dir");
    let mode = Mode::from_bits(0o5751);
    for at in [bench.at("file"), bench.at("dir")] {
        bench.disk.set_mode(at, mode).unwrap();
        assert_eq!(bench.disk.stat(at).unwrap().unwrap().mode, mode);
    }
    bench.disk.set_mode(At::itself(&dir), Mode::from_bits(0o700)).unwrap();
    assert_eq!(bench.stat("dir").mode, Mode::from_bits(0o700));
    // A file that may not even be read can be given a mode.
    bench.disk.set_mode(bench.at("file"), Mode::from_bits(0)).unwrap();
    bench.disk.set_mode(bench.at("file"), Mode::FILE).unwrap();
    bench.disk.create_symlink(bench.at("link"), b"file").unwrap();
    assert!(bench.disk.set_mode(bench.at("link"), Mode::from_bits(0o600)).is_err());
    assert_eq!(bench.stat("file").mode, Mode::FILE, "not through the symlink");
}

/// Only root may give things away; anybody may name himself.
fn owners(bench: &Bench<'_>) {
    let own = bench.put("file", b"");
    let (uid, gid) = if own.uid == 0 { (4711, 4712) } else { (own.uid, own.gid) };
    let dir = bench.make_dir("dir");
    bench.disk.create_symlink(bench.at("link"), b"file").unwrap();
    let owner = |stat: Stat| (stat.uid, stat.gid);
    bench.disk.set_owner(bench.at("link"), uid, gid).unwrap();
    assert_eq!(owner(bench.stat("link")), (uid, gid));
    assert_eq!(owner(bench.stat("file")), owner(own), "not through the symlink");
    bench.disk.set_mode(bench.at("file"), Mode::from_bits(0o4755)).unwrap();
    bench.disk.set_owner(bench.at("file"), uid, gid).unwrap();
    assert_eq!(owner(bench.stat("file")), (uid, gid));
    assert_eq!(bench.stat("file").mode, Mode::PROGRAM, "a change of owner clears set-user-id");
    bench.disk.set_owner(At::itself(&dir), uid, gid).unwrap();
    assert_eq!(owner(bench.stat("dir")), (uid, gid));
}

/// Whoever made something has every right to it. A right is asked for where nothing follows a symlink.
fn rights(bench: &Bench<'_>) {
    let file = bench.put("file", b"");
    let dir = bench.make_dir("dir");
    let (uid, gid) = (file.uid, file.gid);
    let (file, inside) = (bench.at("file"), At::itself(&dir));
    for right in [
        Right::Read(file),
        Right::Adjust(file),
        Right::Enter(bench.at("dir")),
        Right::Enter(inside),
        Right::Change(bench.at("dir")),
        Right::Change(inside),
        Right::Adjust(inside),
        Right::Give { uid, gid },
    ] {
        bench.disk.may(right).unwrap();
    }
    bench.disk.create_symlink(bench.at("link"), b"none").unwrap();
    bench.disk.may(Right::Adjust(bench.at("link"))).unwrap();
    let none = bench.at("none");
    for right in [Right::Read(none), Right::Enter(none), Right::Change(none), Right::Adjust(none)] {
        fails(bench.disk.may(right), io::ErrorKind::NotFound);
    }
}

fn times(bench: &Bench<'_>) {
    bench.put("file", b"");
    let dir = bench.make_dir("dir");
    bench.disk.create_symlink(bench.at("link"), b"file").unwrap();
    let [early, late] = [(-1, 999_999_999), (4_000_000_000, 1)].map(Timestamp::from);
    bench.disk.set_mtime(bench.at("file"), early).unwrap();
    bench.disk.set_mtime(bench.at("link"), late).unwrap();
    assert_eq!((bench.stat("file").mtime, bench.stat("link").mtime), (early, late));
    bench.disk.set_mtime(At::itself(&dir), late).unwrap();
    assert_eq!(bench.stat("dir").mtime, late);
    drop(bench.disk.create_file(At::new(&dir, "x"), Mode::FILE).unwrap());
    assert_ne!(bench.stat("dir").mtime, late, "new entries change a directory's time");
    bench.disk.rename(bench.at("file"), bench.at("moved"), Rename::NoReplace).unwrap();
    assert_eq!(bench.stat("moved").mtime, early, "a rename does not change a file's");
}

fn xattrs(bench: &Bench<'_>) {
    bench.put("file", b"");
    let dir = bench.make_dir("dir");
    bench.disk.create_symlink(bench.at("link"), b"file").unwrap();
    assert!(bench.disk.remove_xattr(bench.at("file"), b"user.none").is_err());
    assert!(bench.disk.set_xattr(bench.at("link"), b"user.x", b"1").is_err(), "not through the symlink");
    if bench.disk.set_xattr(bench.at("file"), b"user.a", b"\0\xff").is_err() {
        assert!(bench.disk.xattrs(bench.at("file")).unwrap().is_empty());
        return;
    }
    let large = vec![7; 2000];
    bench.disk.set_xattr(bench.at("file"), b"user.\xff", b"").unwrap();
    bench.disk.set_xattr(bench.at("file"), b"user.large", &large).unwrap();
    bench.disk.set_xattr(bench.at("file"), b"user.a", b"2").unwrap();
    let user = |at| {
        let mut found = bench.disk.xattrs(at).unwrap();
        found.retain(|name, _| name.starts_with(b"user."));
        found.into_iter().collect::<Vec<_>>()
    };
    let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
    let all = [pair(b"user.a", b"2"), pair(b"user.large", &large), pair(b"user.\xff", b"")];
    assert_eq!(user(bench.at("file")), all);
    bench.disk.remove_xattr(bench.at("file"), b"user.large").unwrap();
    assert_eq!(user(bench.at("file")).len(), 2);
    bench.disk.set_xattr(At::itself(&dir), b"user.d", b"1").unwrap();
    assert_eq!(user(bench.at("dir")), [pair(b"user.d", b"1")]);
    assert_eq!(user(At::itself(&dir)), [pair(b"user.d", b"1")]);
    bench.disk.remove_xattr(At::itself(&dir), b"user.d").unwrap();
    assert!(user(bench.at("dir")).is_empty() && user(bench.at("link")).is_empty());
}

fn what_a_stat_tells(bench: &Bench<'_>) {
    let dir = bench.make_dir("dir");
    let (named, itself) = (bench.stat("dir"), bench.disk.stat(At::itself(&dir)).unwrap().unwrap());
    assert_eq!((named, named.kind, named.immutable), (itself, Kind::Directory, false));
    let file = bench.put("file", &[1; 5000]);
    assert_eq!((file.kind, file.size, file.mode), (Kind::File, 5000, Mode::FILE));
    assert_eq!((file.mount, file.device), (named.mount, named.device));
    assert_ne!(file.identity, named.identity);
    let before = bench.stat("file");
    bench.disk.set_mode(bench.at("file"), Mode::PROGRAM).unwrap();
    let after = bench.stat("file");
    assert!(after.ctime >= before.ctime && after.mtime == before.mtime);
}

/// What is done by an open file is done to it, under whatever name.
fn an_open_file_by_itself(bench: &Bench<'_>) {
    let file = bench.disk.create_file(bench.at("file"), Mode::FILE).unwrap();
    let own = bench.stat("file");
    bench.disk.rename(bench.at("file"), bench.at("other"), Rename::NoReplace).unwrap();
    bench.put("file", b"");
    let inode = file.itself();
    let at = At::itself(&inode);
    let time = Timestamp { seconds: -5, nanoseconds: 7 };
    bench.disk.set_owner(at, own.uid, own.gid).unwrap();
    bench.disk.set_mode(at, Mode::from_bits(0o4751)).unwrap();
    bench.disk.set_mtime(at, time).unwrap();
    let stat = bench.disk.stat(at).unwrap().unwrap();
    assert_eq!(stat, bench.stat("other"));
    assert_eq!((stat.identity, stat.mode, stat.mtime), (own.identity, Mode::from_bits(0o4751), time));
    assert_eq!(bench.stat("file").mode, Mode::FILE, "not by the name");
    if bench.disk.set_xattr(at, b"user.a", b"1").is_ok() {
        assert_eq!(bench.disk.xattrs(at).unwrap(), bench.disk.xattrs(bench.at("other")).unwrap());
        bench.disk.remove_xattr(at, b"user.a").unwrap();
    }
    assert_eq!(bench.disk.xattrs(bench.at("other")).unwrap(), bench.disk.xattrs(at).unwrap());
}
