//! Random operations do the same on the simulated file system as on a real one.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{collections::BTreeMap, io, path::Path};

use proptest::prelude::*;
use tmp_core::{Mode, module::Kind};
use tmp_disk::{At, Dir, Disk, RealDisk, Rename, SimDisk, ensure_dirs};

/// A name in one of the directories that may be there.
#[derive(Debug, Clone)]
struct Name {
    dir: &'static str,
    name: &'static str,
}

#[derive(Debug, Clone)]
enum Op {
    CreateFile(Name, u32),
    CreateDir(Name, u32),
    CreateSymlink(Name, &'static str),
    Write { to: Name, offset: u64, length: usize },
    SetLen(Name, u64),
    Link(Name, Name),
    Rename(Name, Name, Rename),
    RemoveFile(Name),
    RemoveDir(Name),
    SetMode(Name, u32),
    SetXattr(Name, u8),
    RemoveXattr(Name),
    SyncDir(&'static str),
}

/// What stands at a path, as far as both have to agree on it.
#[derive(Debug, PartialEq)]
struct Seen {
    kind: Kind,
    mode: Mode,
    links: u64,
    content: Vec<u8>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

fn name() -> impl Strategy<Value = Name> {
    let dir = prop::sample::select(vec!["", "a", "b", "a/b", "b/c"]);
    let name = prop::sample::select(vec!["a", "b", "c"]);
    (dir, name).prop_map(|(dir, name)| Name { dir, name })
}

fn op() -> impl Strategy<Value = Op> {
    let mode = || prop::sample::select(vec![0o644, 0o755, 0o700, 0o4755]);
    let how = prop::sample::select(vec![Rename::Replace, Rename::NoReplace, Rename::Exchange]);
    let target = prop::sample::select(vec!["a", "b/c", "../..", "none"]);
    prop_oneof![
        3 => (name(), mode()).prop_map(|(name, mode)| Op::CreateFile(name, mode)),
        4 => (name(), mode()).prop_map(|(name, mode)| Op::CreateDir(name, mode)),
        1 => (name(), target).prop_map(|(name, target)| Op::CreateSymlink(name, target)),
        3 => (name(), 0..9000_u64, 0..5000_usize).prop_map(|(to, offset, length)| Op::Write { to, offset, length }),
        1 => (name(), 0..9000_u64).prop_map(|(name, size)| Op::SetLen(name, size)),
        2 => (name(), name()).prop_map(|(from, to)| Op::Link(from, to)),
        8 => (name(), name(), how).prop_map(|(from, to, how)| Op::Rename(from, to, how)),
        2 => name().prop_map(Op::RemoveFile),
        2 => name().prop_map(Op::RemoveDir),
        1 => (name(), mode()).prop_map(|(name, mode)| Op::SetMode(name, mode)),
        1 => (name(), any::<u8>()).prop_map(|(name, value)| Op::SetXattr(name, value)),
        1 => name().prop_map(Op::RemoveXattr),
        1 => prop::sample::select(vec!["", "a", "a/b"]).prop_map(Op::SyncDir),
    ]
}

/// Carries out one operation.
fn run(disk: &dyn Disk, base: &Dir, op: &Op) -> io::Result<()> {
    let dir = |path: &str| disk.open_dir(base, path.as_ref());
    let at = |name: &Name, act: &dyn Fn(At<'_>) -> io::Result<()>| act(At::new(&dir(name.dir)?, name.name));
    let two = |from: &Name, to: &Name, act: &dyn Fn(At<'_>, At<'_>) -> io::Result<()>| {
        act(At::new(&dir(from.dir)?, from.name), At::new(&dir(to.dir)?, to.name))
    };
    let mode = |bits: &u32| Mode::from_bits(*bits);
    match op {
        Op::CreateFile(name, bits) => at(name, &|at| disk.create_file(at, mode(bits)).map(drop)),
        Op::CreateDir(name, bits) => at(name, &|at| disk.create_dir(at, mode(bits))),
        Op::CreateSymlink(name, target) => at(name, &|at| disk.create_symlink(at, target.as_bytes())),
        Op::Write { to, offset, length } => at(to, &|at| {
            let file = disk.open_file_to_write(at)?;
            disk.write_at(&file, *offset, &vec![7; *length]).map(drop)
        }),
        Op::SetLen(name, size) => at(name, &|at| disk.set_len(&disk.open_file_to_write(at)?, *size)),
        Op::Link(from, to) => two(from, to, &|from, to| disk.create_link(from, to)),
        Op::Rename(from, to, how) => two(from, to, &|from, to| disk.rename(from, to, *how)),
        Op::RemoveFile(name) => at(name, &|at| disk.remove_file(at)),
        Op::RemoveDir(name) => at(name, &|at| disk.remove_dir(at)),
        Op::SetMode(name, bits) => at(name, &|at| disk.set_mode(at, mode(bits))),
        Op::SetXattr(name, value) => at(name, &|at| disk.set_xattr(at, b"user.x", &[*value])),
        Op::RemoveXattr(name) => at(name, &|at| disk.remove_xattr(at, b"user.x")),
        Op::SyncDir(path) => disk.sync_dir(&dir(path)?),
    }
}

/// The whole tree below a directory.
fn look(disk: &dyn Disk, dir: &Dir, path: &Path, seen: &mut BTreeMap<std::path::PathBuf, Seen>) {
    for name in disk.list(dir).unwrap() {
        let (at, path) = (At::new(dir, &name), path.join(&name));
        let stat = disk.stat(at).unwrap().unwrap();
        let mut content = Vec::new();
        match stat.kind {
            Kind::File => {
                let file = disk.open_file(at).unwrap();
                io::Read::read_to_end(&mut tmp_disk::FileReader::new(disk, &file), &mut content).unwrap();
                assert_eq!(content.len() as u64, stat.size);
            }
            Kind::Directory => look(disk, &disk.open_dir(dir, &name).unwrap(), &path, seen),
            _ => content = disk.read_link(at).unwrap(),
        }
        let mut xattrs = disk.xattrs(at).unwrap();
        xattrs.retain(|name, _| name.starts_with(b"user."));
        seen.insert(path, Seen { kind: stat.kind, mode: stat.mode, links: stat.links, content, xattrs });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_simulation_does_what_a_real_file_system_does(ops in prop::collection::vec(op(), 1..60)) {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let real = RealDisk.open_root(folder.path()).unwrap();
        let sim_disk = SimDisk::new();
        let sim = ensure_dirs(&sim_disk, Path::new("/dir")).unwrap();
        for op in &ops {
            let (one, two) = (run(&RealDisk, &real, op), run(&sim_disk, &sim, op));
            prop_assert_eq!(one.is_ok(), two.is_ok(), "{:?}: {:?}, {:?}", op, one, two);
            // Which of several reasons a rename is refused for has changed between versions of Linux.
            let kind = |result: io::Result<()>| result.err().map(|error| error.kind());
            prop_assert!(matches!(op, Op::Rename(..)) || kind(one) == kind(two), "{:?}", op);
        }
        let (mut one, mut two) = (BTreeMap::new(), BTreeMap::new());
        look(&RealDisk, &real, Path::new(""), &mut one);
        look(&sim_disk, &sim, Path::new(""), &mut two);
        prop_assert_eq!(one, two);
        // Everything synced, nothing may be lost.
        sim_disk.sync_all(&sim).unwrap();
        let after = sim_disk.power_loss(7);
        let (mut before, mut found) = (BTreeMap::new(), BTreeMap::new());
        look(&sim_disk, &sim, Path::new(""), &mut before);
        look(&after, &after.open_root(Path::new("/dir")).unwrap(), Path::new(""), &mut found);
        prop_assert_eq!(before, found);
    }
}
