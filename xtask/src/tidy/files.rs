//! Rules about a single file.

use super::TextFile;

/// The longest a file may be, in lines.
const LONGEST: usize = 600;

/// Marks of unfinished work and other words that must not stand in a file. Written so that this file passes.
const WORDS: [(&str, &str); 8] = [
    (concat!("TO", "DO"), "unfinished work"),
    (concat!("FIX", "ME"), "unfinished work"),
    (concat!("todo", "!("), "unfinished work"),
    (concat!("unimplemented", "!("), "unfinished work"),
    (concat!("dbg", "!("), "left from debugging"),
    (concat!("[all", "ow("), "use #[expect(.., reason = \"…\")]"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
];

/// What is wrong with a file.
pub(super) fn check(file: &TextFile) -> Vec<String> {
    let is_input = ["fuzz/corpus/", "fuzz/regressions/"].iter().any(|folder| file.path.starts_with(folder));
    let is_generated = file.path.ends_with("Cargo.lock")
        || file.path.contains("/snapshots/")
        || file.path.contains("/fixtures/");
    if is_input || is_generated || file.path.starts_with("LICENSE") {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let lines = file.text.lines().count();
    if lines > LONGEST {
        wrong.push(format!("{}: {lines} lines; {LONGEST} is the limit", file.path));
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        wrong.push(format!("{}: the last line does not end", file.path));
    }
    for (number, line) in file.text.lines().enumerate() {
        let mut say = |what: &str| wrong.push(format!("{}:{}: {what}", file.path, number + 1));
        if line.contains('\t') {
            say("a tab");
        }
        if line.ends_with([' ', '\r']) {
            say("space at the end");
        }
        for (word, why) in WORDS {
            if line.contains(word) {
                say(&format!("{word:?}: {why}"));
            }
        }
        if line.trim() == concat!("#[ig", "nore]") {
            say("an ignored test without a reason");
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> String {
        check(&TextFile { path: path.into(), text: text.into() }).join("\n")
    }

    #[test]
    fn every_rule_can_complain() {
        assert_eq!(complaints("a.rs", "fn a() {}\n"), "");
        assert!(complaints("a.rs", &"\n".repeat(601)).contains("601 lines"));
        assert!(complaints("a.rs", "fn a() {}").contains("does not end"));
        assert!(complaints("a.md", "a\tb\n").contains("a.md:1: a tab"));
        assert!(complaints("a.md", "one\ntwo \n").contains("a.md:2: space"));
        assert!(complaints("a.rs", concat!("#[ig", "nore]\n")).contains("ignored"));
        for (word, why) in WORDS {
            assert!(complaints("a.rs", &format!("// {word}\n")).contains(why));
        }
    }
}
