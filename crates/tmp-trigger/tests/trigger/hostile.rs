//! Trigger files that somebody made by hand.

use std::{
    fs,
    time::{Duration, Instant},
};

use tmp_core::Digest;
use tmp_trigger::{Trees, Trigger};

use crate::common::{pack, small};

type Members = Vec<(String, Vec<u8>)>;

fn header(name: &str, size: usize) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size as u64);
    header.set_cksum();
    header
}

fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in members {
        bytes.extend(header(name, content.len()).as_bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend([0; 1024]);
    bytes
}

fn compress(bytes: &[u8], window: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(window).unwrap();
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// A trigger file in its parts, right in all of them until a test changes one.
struct Forgery {
    manifest: String,
    contents: Members,
    title: String,
    /// What `trigger.yaml` says of the uncompressed size, where it lies.
    size: Option<u64>,
    window: u32,
    after_frame: Vec<u8>,
}

impl Forgery {
    fn new() -> Self {
        let content = b"#!/bin/sh\n".to_vec();
        let digest = Digest::of(&content);
        Self {
            manifest: format!(
                r#"{{"schema":"tmp/payload/v1","id":"small","revision":1,"title":"Small","system":"demo","modules":[{{"path":"bin/a","change":{{"put":{{"file":{{"digest":"{digest}","size":10,"mode":"0644"}}}}}},"kind":"program"}}]}}"#
            ),
            contents: vec![(format!("content/{}", digest.hex()), content)],
            title: "Small".to_owned(),
            size: None,
            window: 20,
            after_frame: Vec::new(),
        }
    }

    fn payload(&self) -> Vec<u8> {
        let mut members = vec![("manifest.json".to_owned(), self.manifest.clone().into_bytes())];
        members.extend(self.contents.iter().cloned());
        archive(&members)
    }

    fn members(&self) -> Members {
        self.around(&self.payload())
    }

    fn around(&self, payload: &[u8]) -> Members {
        let mut packed = compress(payload, self.window);
        packed.extend(&self.after_frame);
        let modules = self.manifest.matches("\"path\":").count();
        let yaml = format!(
            "schema: tmp/trigger/v1\nenhancement: small\nrevision: 1\ntitle: {}\nsystem: demo\nenvironment: model\n\
             contents: {{modules: {modules}, sql: 0, control_objects: 0, batch: 0, after_rollback: 0, verify: 0}}\n\
             payloads:\n- {{file: payload/1.tar.zst, digest: '{}', payload: '{}', size: {}}}\n",
            self.title,
            Digest::of(&packed),
            Digest::of(payload),
            self.size.unwrap_or(payload.len() as u64)
        );
        with_sums(yaml.into_bytes(), packed)
    }

    fn refused(&self) -> String {
        refused(&archive(&self.members()))
    }
}

fn with_sums(yaml: Vec<u8>, packed: Vec<u8>) -> Members {
    let (first, second) = (Digest::of(&yaml).hex(), Digest::of(&packed).hex());
    let sums = format!("{first}  trigger.yaml\n{second}  payload/1.tar.zst\n");
    vec![
        ("SHA256SUMS".to_owned(), sums.into_bytes()),
        ("trigger.yaml".to_owned(), yaml),
        ("payload/1.tar.zst".to_owned(), packed),
    ]
}

/// Why a trigger file of these bytes is refused.
fn refused(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.trigger");
    fs::write(&path, bytes).unwrap();
    let begun = Instant::now();
    let answer = Trigger::open(&path).and_then(Trigger::verify);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    answer.map_or_else(|error| error.fault.to_string(), |_| "accepted".to_owned())
}

#[test]
fn the_forgery_itself_is_right() {
    assert_eq!(Forgery::new().refused(), "accepted");
    let source = tempfile::tempdir().unwrap();
    let packaged = pack(&small(source.path()), source.path(), Trees::None).unwrap();
    assert_eq!(packaged.header.payloads[0].payload, Digest::of(&Forgery::new().payload()));
}

#[test]
fn outer_archives() {
    let good = Forgery::new().members();
    let mut said = Vec::new();
    let mut case =
        |what: &str, members: Members| said.push(format!("{what}: {}\n", refused(&archive(&members))));
    let extra = |at: usize, name: &str| {
        let mut members = good.clone();
        members.insert(at, (name.to_owned(), b"x".to_vec()));
        members
    };
    case("a signature", extra(2, "signatures/qa.sig"));
    case("an unknown member", extra(2, "notes.txt"));
    case("a member after the payload", extra(3, "notes.txt"));
    case("trigger.yaml twice", {
        let mut twice = good.clone();
        twice.insert(1, good[1].clone());
        twice
    });
    case("no digests", good[1..].to_vec());
    case("no payload", good[..2].to_vec());
    case("another order", vec![good[1].clone(), good[0].clone(), good[2].clone()]);
    case("a large description", with_sums(vec![b'#'; (1 << 20) + 1], Vec::new()));
    case("large digests", vec![("SHA256SUMS".to_owned(), vec![b'0'; (64 << 10) + 1])]);
    case("a description that is none", with_sums(b"- a\n- b\n".to_vec(), Vec::new()));
    case("a bomb of aliases", {
        let levels: Vec<_> = (1..9)
            .map(|n| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(",")))
            .collect();
        with_sums(format!("l0: &l0 [x,x,x,x,x,x,x,x,x,x]\n{}", levels.concat()).into_bytes(), Vec::new())
    });
    case("another format", {
        let yaml = String::from_utf8(good[1].1.clone()).unwrap().replace("trigger/v1", "trigger/v2");
        with_sums(yaml.into_bytes(), good[2].1.clone())
    });
    case("another payload", {
        let yaml = String::from_utf8(good[1].1.clone()).unwrap().replace("payload/1.tar", "../1.tar");
        with_sums(yaml.into_bytes(), good[2].1.clone())
    });
    case("digests of something else", {
        let mut members = good.clone();
        members[0].1[0] ^= 1;
        members
    });
    case("digests with a line more", {
        let mut members = good.clone();
        members[0].1.extend(b"\n");
        members
    });
    insta::assert_snapshot!("outer_archives", said.concat());
}

#[test]
fn headers_that_tmp_does_not_write() {
    let good = archive(&Forgery::new().members());
    let with = |change: &dyn Fn(&mut tar::Header)| {
        let mut first = tar::Header::from_byte_slice(&good[..512]).clone();
        change(&mut first);
        first.set_cksum();
        refused(&[first.as_bytes(), &good[512..]].concat())
    };
    let canonical = "at byte 0 of the trigger file: not the canonical header of a member";
    assert_eq!(with(&|header| header.set_mode(0o755)), canonical);
    assert_eq!(with(&|header| header.set_uid(1)), canonical);
    assert_eq!(with(&|header| header.set_mtime(1)), canonical);
    assert_eq!(with(&|header| header.set_username("root").unwrap()), canonical);
    for kind in
        [tar::EntryType::XHeader, tar::EntryType::GNULongName, tar::EntryType::Symlink, tar::EntryType::Link]
    {
        assert_eq!(with(&|header| header.set_entry_type(kind)), canonical);
    }
    assert_eq!(with(&|header| header.as_mut_bytes()[..3].copy_from_slice(b"../")), canonical);
    assert_eq!(with(&|header| header.as_mut_bytes()[0] = 0xff), canonical);
}

#[test]
fn inner_archives() {
    let mut said = Vec::new();
    let mut case = |what: &str, change: &dyn Fn(&mut Forgery)| {
        let mut forgery = Forgery::new();
        change(&mut forgery);
        said.push(format!("{what}: {}\n", forgery.refused()));
    };
    let manifest = |from: &'static str, to: &'static str| {
        move |forgery: &mut Forgery| {
            assert!(forgery.manifest.contains(from));
            forgery.manifest = forgery.manifest.replace(from, to);
        }
    };
    case("a path out of the root", &manifest("bin/a", "../a"));
    case("an absolute path", &manifest("bin/a", "/etc/passwd"));
    case("white space", &manifest("\"id\":", "\"id\": "));
    case("an unknown field", &manifest("\"id\":", "\"x\":1,\"id\":"));
    case("a field twice", &manifest("\"id\":", "\"id\":\"small\",\"id\":"));
    case("deep nesting", &|forgery| forgery.manifest = "[".repeat(1_000_000));
    case("no JSON", &|forgery| forgery.manifest = "\u{0}".to_owned());
    case("another format", &manifest("payload/v1", "payload/v2"));
    case("another title", &|forgery| forgery.title = "Other".to_owned());
    case("another size", &manifest("\"size\":10", "\"size\":11"));
    let modules = |list: &'static str| {
        move |forgery: &mut Forgery| {
            forgery.contents.clear();
            let start = forgery.manifest.find("[{").unwrap();
            forgery.manifest = format!("{}[{list}]}}", &forgery.manifest[..start]);
        }
    };
    case(
        "one path twice",
        &modules(
            r#"{"path":"a","change":"remove","kind":"program"},{"path":"a","change":"remove","kind":"program"}"#,
        ),
    );
    case(
        "twins",
        &modules(
            r#"{"path":"A","change":"remove","kind":"program"},{"path":"a","change":"remove","kind":"program"}"#,
        ),
    );
    case(
        "out of order",
        &modules(
            r#"{"path":"b","change":"remove","kind":"program"},{"path":"a","change":"remove","kind":"program"}"#,
        ),
    );
    case(
        "below a symlink",
        &modules(
            r#"{"path":"a","change":{"put":{"symlink":{"target":"/etc"}}},"kind":"program"},{"path":"a/b","change":{"put":{"directory":{"mode":"0755"}}},"kind":"program"}"#,
        ),
    );
    case(
        "an owner with a blank",
        &modules(r#"{"path":"a","change":"remove","owner":"a b","kind":"program"}"#),
    );
    case("a content more", &|forgery| forgery.contents.push(("content/x".to_owned(), vec![1])));
    case("a content twice", &|forgery| forgery.contents.push(forgery.contents[0].clone()));
    case("a content less", &|forgery| forgery.contents.clear());
    case("another content", &|forgery| forgery.contents[0].1 = b"#!/bin/ba\n".to_vec());
    case("a bomb that says so", &|forgery| forgery.size = Some(1 << 40));
    case("a bomb that does not", &|forgery| forgery.contents.push(("zeros".to_owned(), vec![0; 50 << 20])));
    case("fewer bytes than said", &|forgery| forgery.size = Some(forgery.payload().len() as u64 + 512));
    case("more bytes than said", &|forgery| forgery.size = Some(forgery.payload().len() as u64 - 512));
    case("no bytes at all", &|forgery| forgery.size = Some(0));
    case("a large window", &|forgery| forgery.window = 27);
    case("a second frame", &|forgery| forgery.after_frame = compress(b"x", 20));
    case("bytes after the frame", &|forgery| forgery.after_frame = b"x".to_vec());
    insta::assert_snapshot!("inner_archives", said.concat());
}

#[test]
fn counts_beyond_the_limits_are_refused_in_bounded_time() {
    let mut forgery = Forgery::new();
    let module = |n: usize| format!(r#"{{"path":"{n:07}","change":"remove","kind":"program"}}"#);
    let list: Vec<_> = (0..260_000).map(module).collect();
    forgery.contents.clear();
    let start = forgery.manifest.find("[{").unwrap();
    forgery.manifest = format!("{}[{}]}}", &forgery.manifest[..start], list.join(","));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.trigger");
    fs::write(&path, archive(&forgery.members())).unwrap();
    let error = Trigger::open(&path).unwrap().verify().unwrap_err().to_string();
    assert!(error.contains("modules: limit: 260000 items are more than 250000"), "{error}");
}

#[test]
fn what_is_wrong_inside_is_found_whatever_the_digests_say() {
    let forgery = Forgery::new();
    let mut payload = forgery.payload();
    let last = payload.len() - 1;
    payload[last] = 1;
    assert_eq!(
        refused(&archive(&forgery.around(&payload))),
        "the payload goes on after the last member that its manifest needs"
    );
    let mut yaml = String::from_utf8(forgery.members()[1].1.clone()).unwrap();
    let digest = Digest::of(&forgery.payload()).to_string();
    yaml = yaml.replace(&digest, &Digest::of(b"other").to_string());
    let answer = refused(&archive(&with_sums(yaml.into_bytes(), forgery.members()[2].1.clone())));
    assert!(answer.starts_with("the payload has the digest"), "{answer}");
}

#[test]
fn lists_that_would_take_long_are_refused_in_bounded_time() {
    let with = |list: &str| {
        let mut forgery = Forgery::new();
        forgery.manifest = format!("{},{list}}}", &forgery.manifest[..forgery.manifest.len() - 1]);
        forgery.refused()
    };
    let names: Vec<_> = (0..100_000).map(|n| format!("\"a{n}\"")).collect();
    let answer = with(&format!("\"requires\":[{}]", names.join(",")));
    assert!(answer.contains("requires: limit: 100000 items are more than 1000"), "{answer}");
    let globs = vec!["\"{a,{b,c}}\""; 20_000].join(",");
    let step = format!("{{\"name\":\"x\",\"run\":{{\"run\":[\"x\"],\"timeout_s\":1}},\"writes\":[{globs}]}}");
    let answer = with(&format!("\"batch\":[{step}]"));
    assert!(answer.contains("batch: limit: 20000 items are more than 10000"), "{answer}");
    let step = format!(
        "{{\"name\":\"x\",\"run\":{{\"run\":[\"x\"],\"timeout_s\":1}},\"writes\":[\"{}\"]}}",
        "{".repeat(100_000)
    );
    let answer = with(&format!("\"batch\":[{step}]"));
    assert!(answer.contains("a glob is longer than 1024 bytes"), "{answer}");
    let deep = "a/".repeat(1000);
    let mut forgery = Forgery::new();
    let modules: Vec<_> = (0..2_000)
        .map(|n| format!(r#"{{"path":"{deep}{n:05}","change":"remove","kind":"program"}}"#))
        .collect();
    forgery.contents.clear();
    let start = forgery.manifest.find("[{").unwrap();
    forgery.manifest = format!("{}[{}]}}", &forgery.manifest[..start], modules.join(","));
    let path = tempfile::NamedTempFile::new().unwrap();
    fs::write(path.path(), archive(&forgery.members())).unwrap();
    let begun = Instant::now();
    Trigger::open(path.path()).unwrap().verify().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
