//! Packaging, opening and verifying is the identity, whatever is packaged.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    os::unix::fs::symlink,
};

use proptest::prelude::*;
use tmp_core::{
    Digest,
    contents::Contents as _,
    module::{Change, Content},
};
use tmp_trigger::{Trees, check};

use crate::{
    common::{Scripts, chmod, directory, pack, put},
    packaging::verified,
};

#[derive(Debug, Clone)]
enum Item {
    File { content: Vec<u8>, program: bool },
    Empty,
    Link { target: String },
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        4 => (prop::collection::vec(any::<u8>(), 0..1500), any::<bool>())
            .prop_map(|(content, program)| Item::File { content, program }),
        1 => Just(Item::Empty),
        1 => "[a-z./]{1,20}".prop_map(|target| Item::Link { target }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_packaged_comes_out(
        items in prop::collection::btree_map("[a-c]{1,3}(/[d-f é]{1,3}){0,2}", item(), 0..12),
        title in "[ -~äß]{1,60}",
        scripts in prop::collection::vec("[a-z ;\n]{0,40}", 0..3),
    ) {
        let title = format!("x{title}");
        let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let tree = source.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut files = BTreeMap::new();
        for (name, item) in &items {
            let path = tree.join(name);
            let blocked = path.ancestors().skip(1).any(|above| above.is_symlink() || above.is_file());
            if blocked || path.is_symlink() || path.exists() {
                continue;
            }
            match item {
                Item::File { content, program } => {
                    put(&tree, name, content);
                    chmod(&tree, name, if *program { 0o700 } else { 0o600 });
                    files.insert(name.clone(), content.clone());
                }
                Item::Empty => fs::create_dir_all(path).unwrap(),
                Item::Link { target } => {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    symlink(target, path).unwrap();
                }
            }
        }
        let mut yaml = format!(
            "schema: tmp/enhancement/v1\nid: random\nrevision: 7\ntitle: {}\nsystem: demo\n\
             databases: {{main: {{engine: sqlite}}}}\nmodules: [{{put: tree/, from: tree/}}]\nsql:\n",
            serde_json::to_string(&title).unwrap()
        );
        if scripts.is_empty() {
            yaml += " []\n";
        }
        for (at, text) in scripts.iter().enumerate() {
            put(source.path(), &format!("{at}.sql"), text.as_bytes());
            writeln!(yaml, "- {{name: s{at}, database: main, apply: {at}.sql, rollback: archive}}").unwrap();
        }
        put(source.path(), "enhancement.yaml", yaml.as_bytes());

        let checked = check(&directory(source.path()), &Scripts).unwrap();
        let packaged = pack(source.path(), out.path(), Trees::None).unwrap();
        let trigger = verified(&packaged.path);
        prop_assert_eq!(trigger.enhancement(), &checked.enhancement);
        prop_assert_eq!(trigger.header(), &packaged.header);
        prop_assert_eq!(&trigger.header().title, &title);

        let packed: BTreeMap<_, _> = trigger.enhancement().modules.iter().filter_map(|module| match &module.change {
            Change::Put(Content::File { digest, .. }) => Some((module.path.below(&"tree".parse().unwrap())?.to_owned(), *digest)),
            _ => None,
        }).collect();
        let expected: BTreeMap<_, _> = files.iter().map(|(name, content)| (name.clone(), Digest::of(content))).collect();
        prop_assert_eq!(&packed, &expected);

        let wanted: BTreeSet<_> = packed.values().copied().collect();
        let mut got = BTreeSet::new();
        trigger.visit(&wanted, &mut |digest, length, reader| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            assert_eq!((Digest::of(&bytes), bytes.len() as u64), (*digest, length));
            assert!(got.insert(*digest));
            Ok(())
        }).unwrap();
        prop_assert_eq!(got, wanted);
        let missing = trigger.visit(&BTreeSet::from([Digest::of(b"no such content")]), &mut |_, _, _| Ok(()));
        prop_assert_eq!(missing.unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
}
