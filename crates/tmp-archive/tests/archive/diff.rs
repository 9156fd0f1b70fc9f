//! What differs between two snapshots.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    time::{Duration, SystemTime},
};

use tmp_archive::{Archive, Difference};
use tmp_testkit::walk::set_xattr;

use crate::place::{Place, id, quiet, whole};

const OLD: Duration = Duration::from_secs(1_600_000_000);

/// A tree with one path for each thing that can change, all of one age.
fn build(root: &Path) {
    for name in ["content", "gone", "kind", "mode", "xattr", "same", "sparse", "linked", "mtime"] {
        fs::write(root.join(name), format!("{name}, once {}", "x".repeat(8192))).unwrap();
    }
    fs::hard_link(root.join("linked"), root.join("other name")).unwrap();
    fs::hard_link(root.join("same"), root.join("same too")).unwrap();
    symlink("here", root.join("link")).unwrap();
    fs::create_dir(root.join("dir")).unwrap();
    age(root);
}

/// Gives every file the same age.
fn age(root: &Path) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.is_symlink() {
            fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(SystemTime::UNIX_EPOCH + OLD)
                .unwrap();
        }
    }
}

fn change(root: &Path) {
    fs::write(root.join("content"), format!("content, anew {}", "x".repeat(8192))).unwrap();
    fs::remove_file(root.join("gone")).unwrap();
    fs::remove_file(root.join("kind")).unwrap();
    fs::create_dir(root.join("kind")).unwrap();
    fs::write(root.join("new"), "new").unwrap();
    fs::set_permissions(root.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    set_xattr(&root.join("xattr"), b"user.note", b"one").unwrap();
    let text = fs::read(root.join("linked")).unwrap();
    fs::remove_file(root.join("other name")).unwrap();
    fs::write(root.join("other name"), text).unwrap();
    fs::remove_file(root.join("link")).unwrap();
    symlink("there", root.join("link")).unwrap();
    let size = fs::metadata(root.join("sparse")).unwrap().len();
    fs::File::create(root.join("sparse")).unwrap().set_len(size).unwrap();
    fs::set_permissions(root.join("dir"), fs::Permissions::from_mode(0o700)).unwrap();
    age(root);
    let later = SystemTime::UNIX_EPOCH + OLD + Duration::from_nanos(1);
    fs::File::options().write(true).open(root.join("mtime")).unwrap().set_modified(later).unwrap();
}

fn told(archive: &Archive, first: u128, second: u128) -> Vec<String> {
    let found = archive.diff(&id(first), &id(second)).unwrap();
    assert_eq!(found.databases, [""; 0]);
    found.entries.iter().map(Difference::to_string).collect()
}

/// As the snapshots say it, and as the one of them and the tree as it stands say it, which is found in another way.
#[test]
fn of_two_snapshots_names_every_facet_and_nothing_else() {
    let place = Place::new();
    let (archive, tree) = (place.archive(), place.tree("tree"));
    build(tree.path());
    archive.capture(&whole(1, &tree), &mut quiet).unwrap();
    change(tree.path());
    archive.capture(&whole(2, &tree), &mut quiet).unwrap();
    let mut forth = told(&archive, 1, 2);
    let expected = [
        "content: another content",
        "dir: another mode",
        "gone: nothing instead of a file",
        "kind: a directory instead of a file",
        "link: another modification time",
        "link: another target",
        "mode: another mode",
        "mtime: another modification time",
        "new: a file instead of nothing",
        "other name: not the same hard links",
        "sparse: another content",
        "sparse: holes where there were none, or none where there were",
        "the root: another modification time",
        "xattr: other extended attributes",
    ];
    forth.sort();
    assert_eq!(forth, expected);
    let mut standing: Vec<_> =
        archive.compare(&id(1), &tree).unwrap().iter().map(Difference::to_string).collect();
    standing.sort();
    assert_eq!(forth, standing);
    assert_eq!(told(&archive, 2, 1).len(), expected.len(), "and the other way round");
    assert_eq!([told(&archive, 1, 1), told(&archive, 2, 2)], [[""; 0]; 2]);
}
