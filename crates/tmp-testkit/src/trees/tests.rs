use std::fs;

use proptest::prelude::*;

use super::*;

/// Does the changes with plain calls of the standard library.
fn perform(root: &std::path::Path, changes: &[Change]) {
    let mut made = Vec::new();
    for change in changes {
        let at = root.join(&change.path);
        let there = fs::symlink_metadata(&at).ok();
        if let (What::PutFile { bytes, mode }, Some(meta)) = (&change.what, &there)
            && meta.is_file()
            && std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o7777 == *mode
            && fs::read(&at).unwrap() == *bytes
        {
            continue;
        }
        let merges = matches!(change.what, What::PutDirectory { .. })
            && there.as_ref().is_some_and(fs::Metadata::is_dir);
        match there {
            Some(meta) if meta.is_dir() && !merges => fs::remove_dir_all(&at).unwrap(),
            Some(meta) if !meta.is_dir() => fs::remove_file(&at).unwrap(),
            _ => {}
        }
        let mode =
            |mode| fs::set_permissions(&at, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        match &change.what {
            What::Remove => {}
            What::PutSymlink { target } => std::os::unix::fs::symlink(target, &at).unwrap(),
            What::PutFile { bytes, mode: bits } => {
                fs::write(&at, bytes).unwrap();
                mode(*bits);
            }
            What::PutDirectory { mode: bits } => {
                if !merges {
                    fs::create_dir(&at).unwrap();
                    made.push((at.clone(), *bits));
                }
                mode(*bits);
            }
        }
    }
    made.sort();
    for (at, bits) in made.into_iter().filter(|(at, _)| at.is_dir()) {
        let above = at
            .parent()
            .filter(|above| *above != root)
            .map_or(0, |above| std::os::unix::fs::MetadataExt::mode(&fs::metadata(above).unwrap()) & 0o2000);
        fs::set_permissions(&at, std::os::unix::fs::PermissionsExt::from_mode(bits | above)).unwrap();
    }
}

/// Whether every parent in the model is a directory.
fn is_sound(model: &TreeModel) -> bool {
    model.0.keys().all(|path| {
        parent(path).is_none_or(|parent| {
            model.0.get(parent).is_some_and(|node| node.content == NodeContent::Directory)
        })
    })
}

fn with_changes() -> impl Strategy<Value = (TreeModel, Vec<Change>)> {
    tree(20).prop_flat_map(|model| (Just(model.clone()), changes(model, 8)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_built_tree_is_what_the_model_says(model in tree(25)) {
        prop_assert!(is_sound(&model));
        let dir = tempfile::tempdir().unwrap();
        build(&model, dir.path()).unwrap();
        prop_assert_eq!(check(&model, dir.path()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn changes_lead_where_the_model_says((model, changes) in with_changes()) {
        let dir = tempfile::tempdir().unwrap();
        build(&model, dir.path()).unwrap();
        perform(dir.path(), &changes);
        let after = apply(&model, &changes);
        prop_assert!(is_sound(&after));
        prop_assert_eq!(check(&after, dir.path()).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_difference_is_told() {
    let file = Node {
        content: NodeContent::File { hole: 65_536, bytes: b"end".to_vec() },
        mode: 0o640,
        xattrs: Some(BTreeMap::from([(b"user.note".to_vec(), b"1".to_vec())])),
        mtime: Some((-5, 7)),
    };
    let twin = Node { content: NodeContent::HardLink("file".into()), ..file.clone() };
    let model = TreeModel(BTreeMap::from([("file".to_owned(), file), ("twin".to_owned(), twin)]));
    let dir = tempfile::tempdir().unwrap();
    build(&model, dir.path()).unwrap();
    assert_eq!(check(&model, dir.path()).unwrap(), Vec::<String>::new());
    fs::remove_file(dir.path().join("twin")).unwrap();
    fs::write(dir.path().join("twin"), "other").unwrap();
    fs::write(dir.path().join("extra"), "").unwrap();
    let lines = check(&model, dir.path()).unwrap();
    for expected in [
        "/extra: must not be there",
        "/twin: has another type or content",
        "/twin: has another mode",
        "/twin: has other extended attributes",
        "/twin: has another modification time",
        "/twin: is not in the group of hard links it must be in",
    ] {
        assert!(lines.contains(&expected.to_owned()), "{expected}: {lines:?}");
    }
}

#[test]
fn the_other_names_of_a_removed_file_stay_one_file() {
    let file = Node {
        content: NodeContent::File { hole: 0, bytes: b"shared".to_vec() },
        mode: 0o600,
        xattrs: Some(BTreeMap::new()),
        mtime: Some((9, 9)),
    };
    let link = Node { content: NodeContent::HardLink("a".into()), ..file.clone() };
    let model = TreeModel(BTreeMap::from([
        ("a".to_owned(), file),
        ("b".to_owned(), link.clone()),
        ("c".to_owned(), link),
    ]));
    let dir = tempfile::tempdir().unwrap();
    build(&model, dir.path()).unwrap();
    let changes = [Change { path: "a".into(), what: What::Remove }];
    perform(dir.path(), &changes);
    assert_eq!(check(&apply(&model, &changes), dir.path()).unwrap(), Vec::<String>::new());
}
