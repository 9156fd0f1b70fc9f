//! Names lead where they say and nowhere else.

use std::{
    ffi::OsStr,
    io::ErrorKind,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use tmp_core::{Mode, module::Kind};

use super::{Bench, Case, fails};
use crate::disk::{At, Rename};

pub(super) const CASES: &[Case] =
    &[nothing_is_there, names_need_not_be_text, names_are_single_components, no_way_around, long_names];

fn nothing_is_there(bench: &Bench<'_>) {
    assert!(bench.names().is_empty());
    assert!(!bench.is_there("a"));
    fails(bench.disk.open_file(bench.at("a")), ErrorKind::NotFound);
    fails(bench.disk.open_file_to_write(bench.at("a")), ErrorKind::NotFound);
    fails(bench.disk.open_dir(&bench.dir, OsStr::new("a")), ErrorKind::NotFound);
    fails(bench.disk.remove_file(bench.at("a")), ErrorKind::NotFound);
    fails(bench.disk.remove_dir(bench.at("a")), ErrorKind::NotFound);
    fails(bench.disk.xattrs(bench.at("a")), ErrorKind::NotFound);
    fails(bench.disk.set_mode(bench.at("a"), Mode::FILE), ErrorKind::NotFound);
    fails(bench.disk.open_root(&bench.path.join("a")), ErrorKind::NotFound);
    fails(bench.disk.open_root("relative".as_ref()), ErrorKind::InvalidInput);
}

fn names_need_not_be_text(bench: &Bench<'_>) {
    let name = OsStr::from_bytes(b"\xff\xfe \n");
    let file = bench.disk.create_file(At::new(&bench.dir, name), Mode::FILE).unwrap();
    bench.disk.write_at(&file, 0, b"x").unwrap();
    assert_eq!(bench.names(), [std::ffi::OsString::from_vec(b"\xff\xfe \n".to_vec())]);
    assert_eq!(bench.disk.stat(At::new(&bench.dir, name)).unwrap().unwrap().size, 1);
    bench.disk.create_symlink(bench.at("link"), b"\xff/../\xfe").unwrap();
    assert_eq!(bench.disk.read_link(bench.at("link")).unwrap(), b"\xff/../\xfe");
}

fn names_are_single_components(bench: &Bench<'_>) {
    drop(bench.make_dir("dir"));
    for name in [".", "..", "dir/x", "/", "dir/", "a\0b", ""] {
        let at = bench.at(name);
        fails(bench.disk.create_file(at, Mode::FILE), ErrorKind::InvalidInput);
        fails(bench.disk.create_dir(at, Mode::FILE), ErrorKind::InvalidInput);
        fails(bench.disk.create_symlink(at, b"x"), ErrorKind::InvalidInput);
        fails(bench.disk.open_file(at), ErrorKind::InvalidInput);
        fails(bench.disk.rename(bench.at("dir"), at, Rename::Replace), ErrorKind::InvalidInput);
        fails(bench.disk.rename(at, bench.at("new"), Rename::Replace), ErrorKind::InvalidInput);
        fails(bench.disk.create_link(bench.at("dir"), at), ErrorKind::InvalidInput);
        fails(bench.disk.remove_file(at), ErrorKind::InvalidInput);
        fails(bench.disk.remove_dir(at), ErrorKind::InvalidInput);
        fails(bench.disk.try_lock(at, ""), ErrorKind::InvalidInput);
        if !name.is_empty() {
            fails(bench.disk.stat(at), ErrorKind::InvalidInput);
            fails(bench.disk.xattrs(at), ErrorKind::InvalidInput);
            fails(bench.disk.set_mode(at, Mode::FILE), ErrorKind::InvalidInput);
            fails(bench.disk.set_owner(at, 0, 0), ErrorKind::InvalidInput);
            fails(bench.disk.set_mtime(at, (0, 0).into()), ErrorKind::InvalidInput);
        }
    }
}

fn no_way_around(bench: &Bench<'_>) {
    let dir = bench.make_dir("dir");
    bench.disk.create_dir(At::new(&dir, "inner"), Mode::DIRECTORY).unwrap();
    bench.put("file", b"");
    bench.disk.create_symlink(bench.at("to-dir"), b"dir").unwrap();
    bench.disk.create_symlink(bench.at("to-file"), b"file").unwrap();
    bench.disk.create_symlink(bench.at("dangling"), b"nowhere").unwrap();

    let open = |path: &str| bench.disk.open_dir(&bench.dir, OsStr::new(path));
    assert!(open("dir/inner").is_ok() && open("").is_ok());
    for path in ["to-dir", "to-dir/inner", "dir/../dir", "..", "/", "file", "file/x", "to-file", "dir/none"] {
        assert!(open(path).is_err(), "{path}");
    }
    fails(open("file/x"), ErrorKind::NotADirectory);
    // An operator's own path may lead through symlinks.
    let root = bench.disk.open_root(&bench.path.join("to-dir/inner/..")).unwrap();
    assert_eq!(
        bench.disk.stat(At::itself(&root)).unwrap().unwrap().identity,
        bench.disk.stat(At::itself(&dir)).unwrap().unwrap().identity
    );

    assert!(bench.disk.open_file(bench.at("to-file")).is_err());
    assert!(bench.disk.open_file_to_write(bench.at("to-file")).is_err());
    assert!(bench.disk.open_file(bench.at("dir")).is_err());
    fails(bench.disk.create_file(bench.at("dangling"), Mode::FILE), ErrorKind::AlreadyExists);
    assert!(bench.disk.try_lock(bench.at("dangling"), "").is_err(), "a lock must not be led astray");
    assert!(!bench.is_there("nowhere"));
    assert_eq!(bench.stat("to-dir").kind, Kind::Symlink);
    assert_eq!(bench.stat("to-dir").size, 3);
}

fn long_names(bench: &Bench<'_>) {
    let (longest, longer) = ("x".repeat(255), "x".repeat(256));
    bench.put(&longest, b"1");
    assert!(bench.disk.create_file(bench.at(&longer), Mode::FILE).is_err());
    assert_eq!(bench.get(&longest), b"1");
}
