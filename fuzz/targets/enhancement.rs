//! `enhancement.yaml`, checked whole beside a few files: YAML, texts, globs, paths, scripts, the manifest's rules.
#![no_main]

use std::{
    io::{self, Read},
    sync::Arc,
};

use libfuzzer_sys::fuzz_target;
use tmp_core::enhancement::{DatabaseEngine, TransactionMode};
use tmp_trigger::{Found, ScriptCheck, ScriptMistake, ScriptRole, SourceTree, Walk, check};

/// What stands beside the description.
const FILES: [(&str, &str); 6] = [
    ("files/bin/billing", "#!/bin/sh\necho billing\n"),
    ("files/bin/fee", "#!/bin/sh\nexit 0\n"),
    ("files/fee.conf", "rate=5\n"),
    ("sql/010.sql", "UPDATE invoice SET fee = 5;\n"),
    ("sql/010.rollback.sql", "UPDATE invoice SET fee = NULL;\n"),
    ("sql/010.verify.sql", "SELECT count(*) = 2 FROM invoice WHERE fee = 5;\n"),
];

#[derive(Debug)]
struct Beside(Vec<u8>);

impl SourceTree for Beside {
    fn shown(&self, name: &str) -> String {
        name.to_owned()
    }

    fn look(&self, name: &str) -> Result<Option<Found>, String> {
        let below = format!("{name}/");
        if name == "enhancement.yaml" || FILES.iter().any(|(file, _)| *file == name) {
            return Ok(Some(Found::File { mode: 0o644 }));
        }
        let directory = name.is_empty() || FILES.iter().any(|(file, _)| file.starts_with(&below));
        Ok(directory.then_some(Found::Directory { empty: false, mode: 0o755 }))
    }

    fn walk(&self, name: &str) -> Walk {
        let mut walk = Walk::default();
        for (file, _) in FILES {
            if let Some(below) = file.strip_prefix(name).and_then(|below| below.strip_prefix('/')) {
                walk.found.insert(below.to_owned(), Found::File { mode: 0o644 });
            }
        }
        walk
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        if name == "enhancement.yaml" {
            return Ok(Box::new(self.0.as_slice()));
        }
        let file = FILES.iter().find(|(file, _)| *file == name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(file.1.as_bytes()))
    }
}

struct Scripts;

impl ScriptCheck for Scripts {
    fn check(&self, _: DatabaseEngine, _: TransactionMode, _: ScriptRole, _: &[u8]) -> Vec<ScriptMistake> {
        Vec::new()
    }
}

fuzz_target!(|input: &[u8]| {
    let tree: Arc<dyn SourceTree> = Arc::new(Beside(input.to_owned()));
    match check(&tree, &Scripts) {
        // What is accepted can be told again, and read again as the same.
        Ok(checked) => {
            let manifest = serde_json::to_vec(&checked.enhancement).expect("a manifest can be written");
            let again: tmp_core::enhancement::Enhancement =
                serde_json::from_slice(&manifest).expect("a manifest that was written can be read");
            assert_eq!(again, checked.enhancement);
        }
        Err(mistakes) => assert!(!mistakes.to_string().is_empty(), "refused without a reason"),
    }
});
