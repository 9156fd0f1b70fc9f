//! The outer archive: its members, their headers, and `trigger.yaml`.

use std::fs;

use super::{
    Victim,
    forgery::{Forgery, Members, append, archive, header, put, with_sums},
    packaged,
};

/// Lets every command refuse each of these and snapshots why.
pub(super) fn table(name: &str, cases: Vec<(&str, Vec<u8>)>) {
    snapshot(name, cases, Victim::refuses);
}

/// Lets `run` refuse each of these, which take long to read, and snapshots why.
pub(super) fn long_table(name: &str, cases: Vec<(&str, Vec<u8>)>) {
    snapshot(name, cases, Victim::does_not_run);
}

fn snapshot(name: &str, cases: Vec<(&str, Vec<u8>)>, refuse: fn(&Victim, &str, &[u8]) -> String) {
    let victim = Victim::new();
    let mut said = Vec::new();
    for (what, bytes) in cases {
        let why = refuse(&victim, what, &bytes);
        // One line is enough of a list of a hundred thousand.
        let why: String = why.lines().take(4).collect::<Vec<_>>().join("\n  ");
        said.push(format!("{what}: {why}\n"));
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.add_filter(r"[0-9a-f]{64}", "[DIGEST]");
    settings.bind(|| insta::assert_snapshot!(name, said.concat()));
}

#[test]
fn the_forgery_itself_is_right() {
    let victim = Victim::new();
    fs::write(victim.file(), Forgery::new().bytes()).unwrap();
    let file = victim.file();
    let ended = victim.limited(&["plan", file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(fs::read(packaged(&victim.place, victim.outside.path())).unwrap()[..9], *b"SHA256SUM");
}

#[test]
fn members() {
    let good = Forgery::new().members();
    let with = |at: usize, name: &str| {
        let mut members = good.clone();
        members.insert(at, (name.to_owned(), b"x".to_vec()));
        archive(&members)
    };
    let mut twice = good.clone();
    twice.insert(1, good[1].clone());
    let mut wrong_sums = good.clone();
    wrong_sums[0].1[0] ^= 1;
    let mut wrong_second = good.clone();
    wrong_second[0].1[90] ^= 1;
    table(
        "members",
        vec![
            ("a signature", with(2, "signatures/qa.sig")),
            ("a member that nothing lists", with(2, "notes.txt")),
            ("a member first", with(0, "notes.txt")),
            ("a member last", with(3, "notes.txt")),
            ("a member twice", archive(&twice)),
            ("no digests", archive(&good[1..])),
            ("no description", archive(&[good[0].clone(), good[2].clone()])),
            ("no payload", archive(&good[..2])),
            ("another order", archive(&[good[1].clone(), good[0].clone(), good[2].clone()])),
            ("another digest of the description", archive(&wrong_sums)),
            ("another digest of the payload", archive(&wrong_second)),
            ("large digests", archive(&[("SHA256SUMS".to_owned(), vec![b'0'; (64 << 10) + 1])])),
            ("nothing but zeros", vec![0; 10_240]),
            ("no archive", b"PK\x03\x04".repeat(1000)),
        ],
    );
}

#[test]
fn headers() {
    let good = archive(&Forgery::new().members());
    let first = |change: &dyn Fn(&mut tar::Header)| {
        let mut first = tar::Header::from_byte_slice(&good[..512]).clone();
        change(&mut first);
        first.set_cksum();
        [first.as_bytes(), &good[512..]].concat()
    };
    let kind = |kind: tar::EntryType| first(&move |header| header.set_entry_type(kind));
    let before = |kind: tar::EntryType, name: &str, content: &[u8]| {
        let mut extension = header(name, content.len() as u64);
        extension.set_entry_type(kind);
        extension.set_cksum();
        let mut bytes = Vec::new();
        append(&mut bytes, &extension, content);
        [&bytes[..], &good].concat()
    };
    table(
        "headers",
        vec![
            ("a directory", kind(tar::EntryType::Directory)),
            ("a symlink", kind(tar::EntryType::Symlink)),
            ("a hard link", kind(tar::EntryType::Link)),
            ("a device", kind(tar::EntryType::Char)),
            ("a FIFO", kind(tar::EntryType::Fifo)),
            ("a sparse file", kind(tar::EntryType::GNUSparse)),
            ("a PAX header", before(tar::EntryType::XHeader, "PaxHeader", b"18 path=../escape\n")),
            ("a PAX header with another size", before(tar::EntryType::XHeader, "PaxHeader", b"10 size=0\n")),
            (
                "a PAX header without an end",
                before(tar::EntryType::XHeader, "PaxHeader", b"999999999999 size=1"),
            ),
            ("a global PAX header", before(tar::EntryType::XGlobalHeader, "Pax", b"12 size=999\n")),
            (
                "a long name of GNU",
                before(
                    tar::EntryType::GNULongName,
                    "././@LongLink".trim_start_matches("./"),
                    b"../../etc/passwd\0",
                ),
            ),
            ("another mode", first(&|header| header.set_mode(0o4755))),
            ("another owner", first(&|header| header.set_uid(1))),
            ("another time", first(&|header| header.set_mtime(1))),
            ("an owner's name", first(&|header| header.set_username("root").unwrap())),
            (
                "a name out of the archive",
                first(&|header| header.as_mut_bytes()[..3].copy_from_slice(b"../")),
            ),
            ("a name that is not UTF-8", first(&|header| header.as_mut_bytes()[0] = 0xff)),
            ("a size beyond the file", first(&|header| header.set_size(1 << 40))),
            (
                "a size of 2^63",
                first(&|header| {
                    header.as_mut_bytes()[124..136]
                        .copy_from_slice(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]);
                }),
            ),
            ("a wrong checksum", [&good[..148], b"000000\0 ", &good[156..]].concat()),
        ],
    );
}

#[test]
fn descriptions() {
    let good = Forgery::new().members();
    let yaml = |text: &str| archive(&with_sums(text.as_bytes().to_vec(), good[2].1.clone()));
    let text = String::from_utf8(good[1].1.clone()).unwrap();
    let edited = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        yaml(&text.replace(from, to))
    };
    let more = |more: &str| yaml(&format!("{text}{more}"));
    let levels: Vec<_> =
        (1..9).map(|n| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(","))).collect();
    let aliases = format!("l0: &l0 [x,x,x,x,x,x,x,x,x,x]\n{}", levels.concat());
    let fields: Vec<_> = (0..60_000).map(|n| format!("unknown{n}: 1\n")).collect();
    table(
        "descriptions",
        vec![
            ("too large", yaml(&"#".repeat((1 << 20) + 1))),
            ("aliases that multiply", more(&aliases)),
            ("an alias of itself", more("outputs: &a [*a]\n")),
            ("lists in lists", more(&format!("outputs: {}", "[".repeat(900)))),
            ("lists in lists in lists", more(&format!("outputs: {}", "[".repeat(500_000)))),
            (
                "maps in maps by indentation",
                more(&(0..900).map(|n| " ".repeat(n) + "a:\n").collect::<Vec<_>>().concat()),
            ),
            ("lists in lists without brackets", more(&format!("outputs:\n  {}a\n", "- ".repeat(400_000)))),
            ("keys of keys", more(&format!("{}a\n", "? ".repeat(400_000)))),
            ("lists of maps of lists", more(&format!("outputs:\n  {}a\n", "- a: ".repeat(1_000)))),
            ("anchors upon anchors", more(&format!("outputs: {}\n", "&a ".repeat(200_000)))),
            ("tags upon tags", more(&format!("outputs: {}\n", "!a ".repeat(200_000)))),
            ("many commas", more(&format!("outputs: [{}]\n", "a,".repeat(500_000)))),
            ("many fields that are not known", more(&fields.concat())),
            ("many fields of one name", more(&"title: x\n".repeat(60_000))),
            ("many mistakes in a list", more(&format!("outputs: [{}]\n", "1,".repeat(150_000)))),
            ("an unknown field", more("owner: root\n")),
            ("a field twice", more("title: Other\n")),
            ("two documents", more("---\na: 1\n")),
            ("a tag", more("affects: !!binary aGk=\n")),
            ("a list", yaml("- a\n- b\n")),
            ("nothing", yaml("")),
            ("control characters", yaml("title: \u{1}\n")),
            ("no UTF-8", archive(&with_sums(b"title: \xff\n".to_vec(), good[2].1.clone()))),
            ("another format", edited("trigger/v1", "trigger/v2")),
            ("revision 0", edited("revision: 1", "revision: 0")),
            ("revision -1", edited("revision: 1", "revision: -1")),
            ("a revision that is too large", edited("revision: 1", "revision: 99999999999999999999999999")),
            ("another environment", edited("environment: model", "environment: test")),
            ("another payload", edited("payload/1.tar.zst", "../../etc/passwd")),
            ("no payload", edited("payloads:\n-", "payloads: []\nx:\n-")),
            (
                "two payloads",
                edited(
                    "payloads:\n",
                    "payloads:\n- {file: a, digest: 'sha256:0000000000000000000000000000000000000000000000000000000000000000', payload: 'sha256:0000000000000000000000000000000000000000000000000000000000000000', size: 1}\n",
                ),
            ),
            ("another title than the manifest", edited("title: Small", "title: Other")),
            ("another revision than the manifest", edited("revision: 1", "revision: 2")),
            ("other counts", edited("modules: 1", "modules: 2")),
        ],
    );
}

#[test]
fn the_description_of_one_and_the_payload_of_another() {
    let other = Forgery::of_modules(&put("bin/b")).members();
    let good = Forgery::new().members();
    let mixed: Members = vec![good[0].clone(), good[1].clone(), other[2].clone()];
    table("mixed", vec![("a payload of another trigger file", archive(&mixed))]);
}
