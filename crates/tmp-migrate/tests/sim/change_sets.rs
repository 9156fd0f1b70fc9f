//! Every change set of at most three operations of nine kinds: 9 + 81 + 729 of them. Shared with the tests on a
//! real file system.

use tmp_core::{Mode, module::Kind};

/// What an operation is put into: a system, and an enhancement for it.
pub(crate) trait System {
    /// Makes a file that stands before.
    fn write(&self, path: &str, text: &str);
    /// Makes a symlink that stands before.
    fn write_link(&self, path: &str, target: &str);
    fn put(&mut self, path: &str, text: &str, mode: Mode, owner: Option<&str>);
    fn link(&mut self, path: &str, target: &str);
    fn directory(&mut self, path: &str);
    fn remove(&mut self, path: &str);
}

/// How many there are.
pub(crate) const COUNT: u64 = 9 + 81 + 729;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    AddFile,
    ReplaceFile,
    DeleteFile,
    /// The mode of one file in place; the owner of another, which makes it anew.
    ChangeAttributes,
    AddSymlink,
    ReplaceSymlink,
    AddDirectory,
    RemoveDirectory,
    /// A file becomes a directory, and a directory a file.
    ChangeKind,
}

use Operation::{
    AddDirectory, AddFile, AddSymlink, ChangeAttributes, ChangeKind, DeleteFile, RemoveDirectory,
    ReplaceFile, ReplaceSymlink,
};

const ALL: [Operation; 9] = [
    AddFile,
    ReplaceFile,
    DeleteFile,
    ChangeAttributes,
    AddSymlink,
    ReplaceSymlink,
    AddDirectory,
    RemoveDirectory,
    ChangeKind,
];

/// The operations of one of the [`COUNT`] change sets: those of one operation first, then those of two.
pub(crate) fn operations(number: u64) -> Vec<Operation> {
    let (length, mut rest) = match number {
        0..9 => (1, number),
        9..90 => (2, number - 9),
        _ => (3, number - 90),
    };
    let mut found = Vec::new();
    for _ in 0..length {
        found.push(ALL[usize::try_from(rest % 9).unwrap()]);
        rest /= 9;
    }
    found
}

/// Longer than a page, so that it can be torn.
fn long(text: &str) -> String {
    text.repeat(5000 / text.len())
}

/// Puts what an operation needs into a system and the operation into its enhancement. The first operation is
/// in the root, all others share a directory.
pub(crate) fn add(world: &mut impl System, position: usize, operation: Operation) {
    let at = |name: &str| if position == 0 { name.to_owned() } else { format!("lib/{name}{position}") };
    match operation {
        AddFile => world.put(&at("added"), &long("added"), Mode::FILE, None),
        ReplaceFile => {
            world.write(&at("file"), &long("old"));
            world.put(&at("file"), &long("new"), Mode::PROGRAM, None);
        }
        DeleteFile => {
            world.write(&at("gone"), "gone");
            world.remove(&at("gone"));
        }
        ChangeAttributes => {
            world.write(&at("mode"), "mode");
            world.put(&at("mode"), "mode", Mode::PROGRAM, None);
            world.write(&at("owner"), "owner");
            world.put(&at("owner"), "owner", Mode::FILE, Some("1001:1002"));
        }
        AddSymlink => world.link(&at("link"), "file"),
        ReplaceSymlink => {
            world.write_link(&at("current"), "old");
            world.link(&at("current"), "new");
        }
        AddDirectory => {
            let below = at("fresh");
            world.directory(&below);
            world.put(&format!("{below}/inside"), "inside", Mode::FILE, None);
        }
        RemoveDirectory => {
            let below = at("old");
            world.write(&format!("{below}/a"), "a");
            world.write(&format!("{below}/deep/b"), "b");
            for path in ["", "/a", "/deep", "/deep/b"] {
                world.remove(&format!("{below}{path}"));
            }
        }
        ChangeKind => {
            let (directory, file) = (at("becomes-directory"), at("becomes-file"));
            world.write(&directory, "file");
            world.directory(&directory);
            world.put(&format!("{directory}/inside"), "inside", Mode::FILE, None);
            world.write(&format!("{file}/inside"), "inside");
            world.remove(&format!("{file}/inside"));
            world.put(&file, "file", Mode::FILE, None);
        }
    }
}

/// What stands at a path, with the bytes of a file or the text of a symlink.
pub(crate) type Stands = Option<(Kind, Vec<u8>)>;

/// What stands after an operation at some of its paths, said once more and independently of the engine.
pub(crate) fn expected(position: usize, operation: Operation) -> Vec<(String, Stands)> {
    let at = |name: &str| if position == 0 { name.to_owned() } else { format!("lib/{name}{position}") };
    let file = |text: &str| Some((Kind::File, text.as_bytes().to_vec()));
    let link = |text: &str| Some((Kind::Symlink, text.as_bytes().to_vec()));
    let directory = || Some((Kind::Directory, Vec::new()));
    match operation {
        AddFile => vec![(at("added"), file(&long("added")))],
        ReplaceFile => vec![(at("file"), file(&long("new")))],
        DeleteFile => vec![(at("gone"), None)],
        ChangeAttributes => vec![(at("mode"), file("mode")), (at("owner"), file("owner"))],
        AddSymlink => vec![(at("link"), link("file"))],
        ReplaceSymlink => vec![(at("current"), link("new"))],
        AddDirectory => vec![(at("fresh"), directory()), (at("fresh") + "/inside", file("inside"))],
        RemoveDirectory => vec![(at("old"), None)],
        ChangeKind => vec![
            (at("becomes-directory"), directory()),
            (at("becomes-directory") + "/inside", file("inside")),
            (at("becomes-file"), file("file")),
        ],
    }
}
