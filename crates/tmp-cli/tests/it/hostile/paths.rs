//! Two hundred names that lead out, mean harm or cannot be told apart: refused wherever a name can be written.

use tmp_archive::EntryPath;
use tmp_core::ModulePath;

use super::{
    Victim,
    forgery::{Forgery, put},
};
use crate::support::Place;

/// The names, and whether an archive refuses them, too: it holds what others named, so only what leads out.
fn names() -> Vec<(String, bool)> {
    let mut all = Vec::new();
    // Ways up and out, at the beginning, inside and at the end.
    for up in ["..", "../..", "../../../../../../..", ".", "./..", "../."] {
        for (before, after) in [
            ("", ""),
            ("", "/a"),
            ("", "/etc/passwd"),
            ("a/", ""),
            ("a/", "/b"),
            ("a/b/", "/c"),
            ("a/", "/../../etc/shadow"),
        ] {
            all.push((format!("{before}{up}{after}"), true));
        }
    }
    // Absolute, of every sort.
    for text in
        ["/", "//", "///", "/a", "//a", "/etc/passwd", "/../a", "/./a", "//server/share", "/proc/self/root"]
    {
        all.push((text.to_owned(), true));
    }
    for text in ["C:", "C:/a", "c:a", "Z:/", "C:/../a", "a:b"] {
        all.push((text.to_owned(), false));
    }
    // Empty components.
    for text in ["", "a/", "a//b", "a//", "a/b//c", "a/b/", "a///b", "bin//../a"] {
        all.push((text.to_owned(), !text.is_empty()));
    }
    // Backslashes.
    for text in [
        "\\",
        "..\\a",
        "a\\..\\b",
        "\\\\server\\share",
        "\\etc",
        "a\\",
        "a/b\\c",
        "C:\\a",
        "..\\..\\a",
        "a\\b/c",
    ] {
        all.push((text.to_owned(), false));
    }
    // Control characters: what is printed could steer a terminal, what is read could end early.
    for code in (0..32_u32).chain(127..=159) {
        if let Some(control) = char::from_u32(code) {
            all.push((format!("a/b{control}c"), code == 0));
        }
    }
    for text in ["\0", "a\0", "../\0", "a\n", "\r", "\t", "a/\u{1b}]0;x\u{7}", "a/\u{1b}[2J"] {
        all.push((text.to_owned(), text.contains('\0') || text.contains("..")));
    }
    // TMP's own directory, in every spelling.
    for text in [
        ".tmp-work",
        ".tmp-work/a",
        ".tmp-work/slots/x",
        ".TMP-WORK",
        ".Tmp-Work/a",
        ".tMP-wORK",
        ".tmp-WORK/lock",
        ".TMP-work/b/c",
    ] {
        all.push((text.to_owned(), false));
    }
    // Too long: a component, several, the whole.
    for length in [256, 257, 300, 1000, 4096] {
        all.push(("a".repeat(length), true));
        all.push((format!("b/{}/c", "a".repeat(length)), true));
    }
    for count in [2049, 3000, 5000] {
        all.push((vec!["a"; count].join("/"), false));
    }
    for depth in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 21, 34, 55, 89, 144] {
        all.push((format!("{}etc/passwd", "../".repeat(depth)), true));
        all.push((format!("a/{}x", "b/../".repeat(depth)), true));
        all.push((format!("{}x", "./".repeat(depth)), true));
    }
    all
}

/// A name in double quotes, as JSON and YAML both read it.
fn quoted(name: &str) -> String {
    let escaped = |one: char| match one {
        '"' | '\\' => format!("\\{one}"),
        one if one.is_control() => format!("\\u{:04x}", u32::from(one)),
        one => one.to_string(),
    };
    format!("\"{}\"", name.chars().map(escaped).collect::<Vec<_>>().concat())
}

#[test]
fn every_hostile_name_is_refused_wherever_it_is_written() {
    let names = names();
    assert!(names.len() >= 200, "{}", names.len());
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert!(distinct.len() >= 200, "{}", distinct.len());
    let accepted: Vec<_> = names.iter().filter(|(name, _)| name.parse::<ModulePath>().is_ok()).collect();
    assert!(accepted.is_empty(), "taken for a module: {accepted:?}");
    let led_out: Vec<_> =
        names.iter().filter(|(name, out)| *out && EntryPath::from_bytes(name.as_bytes()).is_ok()).collect();
    assert!(led_out.is_empty(), "taken for an entry of an archive: {led_out:?}");

    // enhancement.yaml: mistakes are told up to a number, so some at a time. People may write a directory with a
    // slash at its end.
    let directory =
        |name: &str| name.strip_suffix('/').is_some_and(|name| name.parse::<ModulePath>().is_ok());
    let written: Vec<_> = names.iter().filter(|(name, _)| !directory(name)).collect();
    assert!(written.len() >= 200, "{}", written.len());
    let place = Place::billing();
    let head = "schema: tmp/enhancement/v1\nid: x\nrevision: 1\ntitle: t\nsystem: billing\nmodules:\n";
    for names in written.chunks(40) {
        let entry = |(name, _): &&(String, bool)| format!("  - {{remove: {}}}", quoted(name));
        let entries = names.iter().map(entry).collect::<Vec<_>>().join("\n");
        place.write("x/enhancement.yaml", &format!("{head}{entries}\n"));
        let failed = place.ends(3, &["check", "x", "--json"]).err;
        let report: serde_json::Value = serde_json::from_str(&failed).unwrap();
        let faults: Vec<String> =
            report["faults"].as_array().unwrap().iter().map(ToString::to_string).collect();
        for (index, (name, _)) in names.iter().enumerate() {
            let told = faults.iter().any(|fault| fault.contains(&format!("modules[{index}]")));
            assert!(told, "{name:?} may be in enhancement.yaml: {faults:?}");
        }
    }

    // Trigger files, consistent in all but the name.
    let victim = Victim::new();
    for (name, _) in &names {
        let text = quoted(name);
        let text = text.trim_matches('"');
        std::fs::write(victim.file(), Forgery::of_modules(&put(text)).bytes()).unwrap();
        let file = victim.file();
        victim.fails(3, name, &["inspect", file.to_str().unwrap()]);
    }
}
