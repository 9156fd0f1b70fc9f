//! Module paths and paths of archive entries: whatever is accepted stays below its root and is written as it is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tmp_archive::EntryPath;
use tmp_core::{ModulePath, path::twins};

fuzz_target!(|input: &[u8]| {
    if let Ok(path) = EntryPath::from_bytes(input.to_vec()) {
        let json = serde_json::to_string(&path).expect("a path can be written");
        let again: EntryPath = serde_json::from_str(&json).expect("a path that was written can be read");
        assert_eq!(again, path);
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    let accepted: Vec<ModulePath> = text.split('\n').filter_map(|line| line.parse().ok()).collect();
    for path in &accepted {
        assert!(path.components().all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0')));
        assert!(!path.as_str().starts_with('/'));
        assert!(path.ancestors().all(|above| path.is_below(&above)));
    }
    for (one, other) in twins(&accepted) {
        assert_eq!(one.twin_key(), other.twin_key());
    }
});
