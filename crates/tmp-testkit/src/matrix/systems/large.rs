//! A system of some hundreds of files, a few MiB and a deep tree.

use std::collections::BTreeMap;

use super::{Promise, System};
use crate::trees::{Node, NodeContent, TreeModel};

/// How many directories lie in one another.
const DEEP: usize = 16;

pub(super) fn system() -> System {
    System {
        tree: tree(),
        database: "",
        registry: &[],
        configuration:
            "schema: tmp/v1\nstate: ./state\nsystems:\n  large:\n    model:\n      sites:\n        \
                        model-1: {root: ./billing, work: ./.tmp-work, ephemeral: ROOT_IS_EPHEMERAL}\n"
                .into(),
        enhancement: enhancement(),
        links: &[("files/data/link", "part-00/file-0")],
        promise: Promise {
            present: &[("data/link", 0o777), ("data/part-00/new", 0o644), ("data/large-0", 0o644)],
            absent: &["old", "data/part-11/file-9"],
            schema: &[],
            registry: &[],
        },
    }
}

fn node(content: NodeContent, mode: u32) -> Node {
    Node { content, mode, xattrs: Some(BTreeMap::new()), mtime: Some((1_500_000_000, 123_456_789)) }
}

/// Bytes that no two files share and that do not compress away.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(move || crate::matrix::random(&mut state).to_le_bytes());
    words.flatten().take(length).collect()
}

fn tree() -> TreeModel {
    let mut entries = BTreeMap::new();
    let mut add = |path: String, content: NodeContent, mode| entries.insert(path, node(content, mode));
    let file = |seed, length| NodeContent::File { hole: 0, bytes: bytes(seed, length) };
    add("data".into(), NodeContent::Directory, 0o755);
    add("old".into(), NodeContent::Directory, 0o755);
    for part in 0..24_u64 {
        add(format!("data/part-{part:02}"), NodeContent::Directory, 0o755);
        for name in 0..12 {
            let length = usize::try_from(200 + 700 * name).unwrap_or_default();
            add(format!("data/part-{part:02}/file-{name}"), file(100 * part + name, length), 0o640);
        }
    }
    for large in 0..3 {
        add(format!("data/large-{large}"), file(9_000 + large, 600_000), 0o644);
    }
    for name in 0..40 {
        add(format!("old/file-{name}"), file(8_000 + name, 300), 0o600);
    }
    let mut deep = "deep".to_owned();
    for level in 0..DEEP as u64 {
        add(deep.clone(), NodeContent::Directory, 0o755);
        add(format!("{deep}/leaf"), file(7_000 + level, 64), 0o644);
        deep += "/deep";
    }
    TreeModel(entries)
}

/// Replaces every file of some directories, adds one to each, a large one and a deep one, removes the rest.
fn enhancement() -> Vec<(String, Vec<u8>, u32)> {
    let mut text = "schema: tmp/enhancement/v1\nid: large\nrevision: 1\ntitle: Very much\nsystem: large\n\
                    modules:\n  - {put: data/, from: files/data/}\n  - {remove: old}\n"
        .to_owned();
    let mut files = Vec::new();
    let mut put = |path: String, seed, length| files.push((path, bytes(seed, length), 0o644));
    for part in 0..10_u64 {
        for name in 0..8 {
            put(format!("files/data/part-{part:02}/file-{name}"), 50_000 + 100 * part + name, 900);
        }
        put(format!("files/data/part-{part:02}/new"), 60_000 + part, 5_000);
    }
    put("files/data/large-0".into(), 70_000, 700_000);
    let deep = "deep/".repeat(DEEP);
    put("files/leaf".into(), 70_001, 64);
    let removed = (6..12).map(|name| format!("  - {{remove: data/part-11/file-{name}}}\n"));
    text.extend(std::iter::once(format!("  - {{put: {deep}leaf, from: files/leaf}}\n")).chain(removed));
    files.push(("enhancement.yaml".into(), text.into_bytes(), 0o644));
    files
}
