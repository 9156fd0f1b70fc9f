//! How trees and changes are made at random.

use std::collections::BTreeMap;

use proptest::{prelude::*, sample::Index};

use super::{Change, Node, NodeContent, TreeModel, What, apply};

/// Plain names and awkward ones, few enough that paths meet.
const NAMES: [&str; 12] = [
    "a",
    "b",
    "bin",
    "lib",
    "etc",
    "data",
    "x.py",
    ".hidden",
    "with space",
    "-dash",
    "\u{fc}ber",
    "long.name.conf",
];

/// Texts of symlinks: into the tree, dangling, out of it, absolute, in a circle.
const TARGETS: [&str; 6] = ["a", "lib/x.py", "no/where", "../../etc/passwd", "/dev/null", "."];

/// Trees of at most `size` entries: files (empty, small, sparse, longer than a page), directories, symlinks,
/// hard links, all modes a plain user can set, extended attributes of users, times to the nanosecond and
/// before 1970.
pub fn tree(size: usize) -> impl Strategy<Value = TreeModel> {
    let entry = (any::<Index>(), any::<Index>(), kind(), attributes());
    prop::collection::vec(entry, 0..=size).prop_map(|entries| {
        let mut model = TreeModel::default();
        for (place, name, kind, attributes) in entries {
            let path = free_path(&model, place, name);
            if !model.0.contains_key(&path) {
                let node = node(&model, kind, attributes);
                model.0.insert(path, node);
            }
        }
        model
    })
}

/// Changes of at most `size` paths that go with `model`: adding, replacing, removing, changing mode and type.
/// No changed path stands above another, except that a new directory comes before what it holds.
pub fn changes(model: TreeModel, size: usize) -> impl Strategy<Value = Vec<Change>> {
    let wish = (any::<bool>(), any::<Index>(), any::<Index>(), what());
    prop::collection::vec(wish, 1..=size).prop_map(move |wishes| {
        let mut made: Vec<Change> = Vec::new();
        for (existing, place, name, what) in wishes {
            let now = apply(&model, &made);
            let path = match (existing, now.0.len()) {
                (true, 1..) => now.0.keys().nth(place.index(now.0.len())).cloned().unwrap_or_default(),
                _ => free_path(&now, place, name),
            };
            let is_there = now.0.contains_key(&path);
            if (is_there || what != What::Remove) && independent(&made, &now, &path, &what) {
                made.push(Change { path, what });
            }
        }
        made
    })
}

fn independent(made: &[Change], now: &TreeModel, path: &str, what: &What) -> bool {
    let keeps_content = matches!(what, What::PutDirectory { .. })
        && now.0.get(path).is_none_or(|node| node.content == NodeContent::Directory);
    made.iter().all(|change| {
        let other = change.path.as_str();
        let holds =
            |above: &str, below: &str| below.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
        let puts_directory = matches!(change.what, What::PutDirectory { .. });
        other != path && (!holds(path, other) || keeps_content) && (!holds(other, path) || puts_directory)
    })
}

type Attributes = (u32, BTreeMap<Vec<u8>, Vec<u8>>, (i64, u32));

#[derive(Debug, Clone)]
enum Kind {
    File { hole: u64, bytes: Vec<u8> },
    HardLink(Index),
    Directory,
    Symlink(&'static str),
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => Just(Vec::new()),
        4 => prop::collection::vec(any::<u8>(), 1..40),
        1 => (any::<u8>(), 4000_usize..20_000).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => bytes().prop_map(|bytes| Kind::File { hole: 0, bytes }),
        1 => (1_u64..4, bytes()).prop_map(|(pieces, bytes)| Kind::File { hole: pieces * 65_536, bytes }),
        1 => any::<Index>().prop_map(Kind::HardLink),
        4 => Just(Kind::Directory),
        2 => prop::sample::select(TARGETS.as_slice()).prop_map(Kind::Symlink),
    ]
}

/// Modes with which the owner can still read and enter.
fn mode() -> impl Strategy<Value = u32> {
    prop::sample::select([0o644_u32, 0o600, 0o755, 0o700, 0o444, 0o4755, 0o2775, 0o666].as_slice())
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let name = prop::sample::select(["user.note", "user.checksum"].as_slice())
        .prop_map(|name| name.as_bytes().to_vec());
    let xattrs = prop::collection::btree_map(name, prop::collection::vec(any::<u8>(), 0..20), 0..2);
    (mode(), xattrs, (-100_000_000_i64..2_000_000_000, 0_u32..1_000_000_000))
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        4 => (bytes(), prop::sample::select([0o644_u32, 0o755, 0o600].as_slice()))
            .prop_map(|(bytes, mode)| What::PutFile { bytes, mode }),
        2 => prop::sample::select([0o755_u32, 0o700].as_slice()).prop_map(|mode| What::PutDirectory { mode }),
        1 => prop::sample::select(TARGETS.as_slice()).prop_map(|target| What::PutSymlink { target: target.to_owned() }),
        3 => Just(What::Remove),
    ]
}

fn free_path(model: &TreeModel, place: Index, name: Index) -> String {
    let directories: Vec<_> = model
        .0
        .iter()
        .filter(|(path, node)| node.content == NodeContent::Directory && path.matches('/').count() < 4)
        .map(|(path, _)| path)
        .collect();
    let name = NAMES.get(name.index(NAMES.len())).copied().unwrap_or_default();
    match place.index(directories.len() + 1).checked_sub(1).and_then(|chosen| directories.get(chosen)) {
        Some(directory) => format!("{directory}/{name}"),
        None => name.to_owned(),
    }
}

fn node(model: &TreeModel, kind: Kind, (mode, xattrs, mtime): Attributes) -> Node {
    let plain = |content, mode| Node { content, mode, xattrs: Some(xattrs.clone()), mtime: Some(mtime) };
    match kind {
        Kind::File { hole, bytes } => plain(NodeContent::File { hole, bytes }, mode),
        Kind::Directory => plain(NodeContent::Directory, mode | 0o700),
        // Extended attributes of users exist on files and directories alone.
        Kind::Symlink(target) => Node {
            content: NodeContent::Symlink(target.to_owned()),
            mode: 0o777,
            xattrs: Some(BTreeMap::new()),
            mtime: Some(mtime),
        },
        Kind::HardLink(which) => {
            let files: Vec<_> =
                model.0.iter().filter(|(_, node)| matches!(node.content, NodeContent::File { .. })).collect();
            match files.len() {
                0 => plain(NodeContent::File { hole: 0, bytes: Vec::new() }, mode),
                count => files.get(which.index(count)).map_or_else(
                    || plain(NodeContent::Directory, 0o755),
                    |(path, file)| Node {
                        content: NodeContent::HardLink((*path).clone()),
                        ..(*file).clone()
                    },
                ),
            }
        }
    }
}
