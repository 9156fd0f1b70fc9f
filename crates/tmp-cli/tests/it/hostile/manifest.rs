//! What `manifest.json` must keep.

use super::{
    envelope::{long_table, table},
    forgery::{CONTENT, Forgery, put, remove},
};

fn at(path: &str) -> Vec<u8> {
    Forgery::of_modules(&put(path)).bytes()
}

fn two(first: &str, second: &str) -> Vec<u8> {
    Forgery::of_modules(&format!("{first},{second}")).bytes()
}

#[test]
fn paths() {
    let symlink = |path: &str, target: &str| {
        format!(
            r#"{{"path":"{path}","change":{{"put":{{"symlink":{{"target":"{target}"}}}}}},"kind":"program"}}"#
        )
    };
    table(
        "paths",
        vec![
            ("up", at("../a")),
            ("up and down", at("bin/../../a")),
            ("up at the end", at("bin/..")),
            ("here", at("./a")),
            ("here inside", at("bin/./a")),
            ("absolute", at("/etc/passwd")),
            ("a drive", at("C:/a")),
            ("a doubled slash", at("bin//a")),
            ("a slash at the end", at("bin/")),
            ("empty", at("")),
            ("the root", at(".")),
            ("a backslash", at("bin\\\\a")),
            ("a line feed", at("bin/a\\nb")),
            ("an escape", at("bin/\\u001b[31m")),
            ("a NUL", at("bin/a\\u0000b")),
            ("a control character of Unicode", at("bin/\\u0085")),
            ("the work directory", at(".tmp-work/a")),
            ("the work directory in capitals", at(".TMP-WORK/a")),
            ("a long component", at(&"a".repeat(256))),
            ("a long path", at(&["a"; 1025].join("/"))),
            ("one path twice", two(&put("a"), &put("a"))),
            ("put and removed", two(&put("a"), &remove("a"))),
            ("twins in case", two(&put("A"), &put("a"))),
            ("twins in Unicode", two(&put("e\u{301}"), &put("\u{e9}"))),
            ("twins by compatibility", two(&put("fi"), &put("\u{fb01}"))),
            ("twins in a directory", two(&put("Lib/a"), &put("lib/A"))),
            ("below a file", two(&put("a"), &put("a/b"))),
            ("below a symlink", two(&symlink("a", "/etc"), &put("a/passwd"))),
            ("below what is removed", two(&remove("a"), &put("a/b"))),
            ("out of order", two(&put("b"), &put("a"))),
            ("a symlink to nothing", Forgery::of_modules(&symlink("a", "")).bytes()),
            ("a symlink with a NUL", Forgery::of_modules(&symlink("a", "x\\u0000y")).bytes()),
            ("a symlink that is too long", Forgery::of_modules(&symlink("a", &"x".repeat(5000))).bytes()),
        ],
    );
}

#[test]
fn fields() {
    let edited = |from: &str, to: &str| Forgery::edited(from, to).bytes();
    let whole = |manifest: String| Forgery { manifest, ..Forgery::new() }.bytes();
    let command =
        |run: &str| Forgery::with(&format!(r#""after_rollback":[{{"run":{run},"timeout_s":1}}]"#)).bytes();
    table(
        "fields",
        vec![
            ("an unknown field", edited("\"id\":", "\"x\":1,\"id\":")),
            ("an unknown field of a module", edited("\"kind\":", "\"x\":1,\"kind\":")),
            ("a field twice", edited("\"id\":", "\"id\":\"small\",\"id\":")),
            ("another format", edited("payload/v1", "payload/v2")),
            (
                "revision 0",
                Forgery { revision: 0, ..Forgery::edited("\"revision\":1", "\"revision\":0") }.bytes(),
            ),
            ("revision 0 in the manifest alone", edited("\"revision\":1", "\"revision\":0")),
            ("a revision that is too large", edited("\"revision\":1", "\"revision\":4294967296")),
            ("an id that is a path", edited("\"id\":\"small\"", "\"id\":\"../small\"")),
            ("a title of two lines", edited("\"Small\"", "\"Small\\nand more\"")),
            ("a mode that is none", edited("\"0755\"", "\"9999\"")),
            ("a digest that is none", edited("\"digest\":\"sha256:", "\"digest\":\"md5:")),
            ("a negative size", edited("\"size\":10", "\"size\":-10")),
            ("an owner with a blank", edited(",\"kind\"", ",\"owner\":\"a b\",\"kind\"")),
            ("white space", edited("\"id\":", "\"id\": ")),
            ("numbers in another spelling", edited("\"size\":10", "\"size\":1e1")),
            ("text in another spelling", edited("\"Small\"", "\"\\u0053mall\"")),
            ("an absent option", edited("\"kind\"", "\"owner\":null,\"kind\"")),
            ("no text", whole("\u{0}".to_owned())),
            ("nothing", whole(String::new())),
            ("a list", whole("[]".to_owned())),
            ("deep nesting", whole("[".repeat(1_000_000))),
            ("deep nesting in a field", whole(format!("{{\"schema\":{}", "[".repeat(1_000_000)))),
            ("deep nesting of what is unknown", whole(format!("{{\"x\":{}", "{\"a\":".repeat(1_000_000)))),
            ("a password in an address", {
                let probe = r#"{"http":{"url":"http://user:hunter2@host/","status":200}}"#;
                Forgery::with(&format!(r#""verify":[{{"name":"a","probe":{probe},"within_s":1}}]"#)).bytes()
            }),
            ("no program", command("[]")),
            ("a program out of the root", command("[\"../../bin/sh\"]")),
            ("an argument with a NUL", command("[\"sh\",\"\\u0000\"]")),
            ("a content with two sizes", {
                let other = put("bin/b").replace("\"size\":10", "\"size\":11");
                two(&put("bin/a"), &other)
            }),
        ],
    );
    assert_eq!(CONTENT.len(), 10);
}

/// Lists as long as a manifest of 32 MiB can hold them.
#[test]
fn counts() {
    let most = (32 << 20) - 1024;
    let filled = |item: &str| vec![item; most / (item.len() + 1)].join(",");
    let with = |fields: String| Forgery::with(&fields).bytes();
    let step = |n: usize| format!(r#"{{"name":"s{n}","run":{{"run":["x"],"timeout_s":1}}}}"#);
    let modules: Vec<_> = (0..250_001).map(|n| remove(&format!("{n:06}"))).collect();
    long_table(
        "counts",
        vec![
            ("too many modules", Forgery::of_modules(&modules.join(",")).bytes()),
            ("as many modules as there is room for", Forgery::of_modules(&filled(&remove("a"))).bytes()),
            ("as many relations as there is room for", with(format!("\"requires\":[{}]", filled("\"a\"")))),
            (
                "as many arguments as there is room for",
                with(format!("\"after_rollback\":[{{\"run\":[{}],\"timeout_s\":1}}]", filled("\"a\""))),
            ),
            (
                "as many globs as there is room for",
                with(format!(
                    "\"batch\":[{{\"name\":\"x\",\"run\":{{\"run\":[\"x\"],\"timeout_s\":1}},\"writes\":[{}]}}]",
                    filled("\"a\"")
                )),
            ),
            (
                "as many commands as there is room for",
                with(format!("\"after_rollback\":[{}]", filled("{\"run\":[],\"timeout_s\":1}"))),
            ),
            (
                "as many checks as there is room for",
                with(format!(
                    "\"verify\":[{}]",
                    filled(r#"{"name":"a","probe":{"http":{"url":"","status":1}},"within_s":1}"#)
                )),
            ),
            (
                "too many steps",
                with(format!("\"batch\":[{}]", (0..10_001).map(step).collect::<Vec<_>>().join(","))),
            ),
            (
                "a title as long as there is room for",
                Forgery::edited("\"Small\"", &format!("\"{}\"", "\\n".repeat(most / 2))).bytes(),
            ),
            (
                "a manifest that is too large",
                Forgery { manifest: "{".repeat((32 << 20) + 1), ..Forgery::new() }.bytes(),
            ),
        ],
    );
}
