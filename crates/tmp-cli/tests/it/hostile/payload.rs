//! The inner archive and its compression.

use std::io::Write as _;

use tmp_core::Digest;

use super::{
    envelope::table,
    forgery::{CONTENT, Forgery, append, archive, compress, header, member, with_sums},
};

fn with_contents(change: impl Fn(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let mut forgery = Forgery::new();
    change(&mut forgery.contents);
    forgery.bytes()
}

/// A forgery whose uncompressed payload is this.
fn of_payload(payload: Vec<u8>) -> Vec<u8> {
    Forgery { payload: Some(payload), ..Forgery::new() }.bytes()
}

#[test]
fn contents() {
    let name = member(CONTENT);
    let other = b"#!/bin/ba\n".to_vec();
    table(
        "contents",
        vec![
            ("a content that nothing names", with_contents(|list| list.push((member(b"x"), b"x".to_vec())))),
            ("a content twice", with_contents(|list| list.push(list[0].clone()))),
            ("a content less", with_contents(Vec::clear)),
            ("other bytes", with_contents(|list| list[0].1 = b"#!/bin/ba\n".to_vec())),
            (
                "other bytes under their own name",
                with_contents(|list| list[0] = (member(&other), other.clone())),
            ),
            ("more bytes than said", with_contents(|list| list[0].1.push(b'x'))),
            ("fewer bytes than said", with_contents(|list| list[0].1.truncate(9))),
            ("a name out of the archive", with_contents(|list| list[0].0 = format!("content/x/{name}"))),
            ("another size in the manifest", Forgery::edited("\"size\":10", "\"size\":11").bytes()),
            (
                "a huge size in the manifest",
                Forgery::edited("\"size\":10", "\"size\":18446744073709551615").bytes(),
            ),
            ("another digest in the manifest", {
                let wrong = Digest::of(b"other").to_string();
                Forgery::edited(&Digest::of(CONTENT).to_string(), &wrong).bytes()
            }),
            ("no manifest", of_payload(archive(&[(name.clone(), CONTENT.to_vec())]))),
            ("the manifest last", {
                let manifest = ("manifest.json".to_owned(), Forgery::new().manifest.into_bytes());
                of_payload(archive(&[(name.clone(), CONTENT.to_vec()), manifest]))
            }),
            ("no end", {
                let whole = Forgery::new().uncompressed();
                of_payload(whole[..whole.len() - 1024].to_vec())
            }),
            ("half an end", {
                let whole = Forgery::new().uncompressed();
                of_payload(whole[..whole.len() - 512].to_vec())
            }),
            ("blocks after the end", of_payload([Forgery::new().uncompressed(), vec![0; 8192]].concat())),
            ("filling that is not zero", {
                let mut whole = Forgery::new().uncompressed();
                let at = whole.len() - 1025;
                whole[at] = 1;
                of_payload(whole)
            }),
        ],
    );
}

#[test]
fn headers_of_contents() {
    let of = |change: &dyn Fn(&mut tar::Header)| {
        let mut payload = archive(&[("manifest.json".to_owned(), Forgery::new().manifest.into_bytes())]);
        payload.truncate(payload.len() - 1024);
        let mut header = header(&member(CONTENT), CONTENT.len() as u64);
        change(&mut header);
        header.set_cksum();
        append(&mut payload, &header, CONTENT);
        payload.extend([0; 1024]);
        of_payload(payload)
    };
    let kind = |kind: tar::EntryType| of(&move |header| header.set_entry_type(kind));
    table(
        "headers_of_contents",
        vec![
            ("a directory", kind(tar::EntryType::Directory)),
            ("a symlink", kind(tar::EntryType::Symlink)),
            (
                "a symlink to a file of the machine",
                of(&|header| {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_link_name("/etc/passwd").unwrap();
                }),
            ),
            ("a hard link", kind(tar::EntryType::Link)),
            ("a device", kind(tar::EntryType::Block)),
            ("a PAX header", kind(tar::EntryType::XHeader)),
            ("a long name of GNU", kind(tar::EntryType::GNULongName)),
            ("another mode", of(&|header| header.set_mode(0o777))),
            ("a size beyond the payload", of(&|header| header.set_size(u64::MAX >> 1))),
        ],
    );
}

/// A frame of a good payload with the header of its content a million times after it.
fn million(good: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(&good[..good.len() - 1024]).unwrap();
    let headers = header(&member(CONTENT), 0).as_bytes().repeat(1000);
    for _ in 0..1000 {
        encoder.write_all(&headers).unwrap();
    }
    encoder.write_all(&[0; 1024]).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compression() {
    let good = Forgery::new();
    let sized = |size: u64| Forgery { size: Some(size), ..Forgery::new() }.bytes();
    let real = good.uncompressed().len() as u64;
    let packed = |packed: Vec<u8>| {
        let yaml = String::from_utf8(good.members()[1].1.clone()).unwrap();
        let digest = Digest::of(&good.members()[2].1).to_string();
        archive(&with_sums(yaml.replace(&digest, &Digest::of(&packed).to_string()).into_bytes(), packed))
    };
    let frame = compress(&good.uncompressed(), 20);
    table(
        "compression",
        vec![
            ("a bomb that says so", sized(1 << 40)),
            (
                "a bomb that does not",
                with_contents(|list| list.push(("zeros".to_owned(), vec![0; 100 << 20]))),
            ),
            (
                "a manifest that is a bomb",
                Forgery { manifest: " ".repeat(60 << 20), ..Forgery::new() }.bytes(),
            ),
            ("a manifest of zeros", Forgery { manifest: "\0".repeat(31 << 20), ..Forgery::new() }.bytes()),
            ("a content a million times", {
                let size = Some(512 * 1_000_000 + real);
                let forged = Forgery { size, ..Forgery::new() };
                let yaml = String::from_utf8(forged.members()[1].1.clone()).unwrap();
                let frame = million(&good.uncompressed());
                let (was, is) = (Digest::of(&forged.members()[2].1), Digest::of(&frame));
                archive(&with_sums(yaml.replace(&was.to_string(), &is.to_string()).into_bytes(), frame))
            }),
            ("a frame in a frame in a frame", {
                let inner = compress(&vec![0; 64 << 20], 20);
                packed(compress(&compress(&inner, 20), 20))
            }),
            ("a window that is too large", Forgery { window: 27, ..Forgery::new() }.bytes()),
            ("fewer bytes than promised", sized(real + 512)),
            ("more bytes than promised", sized(real - 512)),
            ("no bytes promised", sized(0)),
            ("no compression", packed(good.uncompressed())),
            ("nothing", packed(Vec::new())),
            ("a part of a frame", packed(frame[..frame.len() / 2].to_vec())),
            ("a second frame", Forgery { after_frame: compress(b"x", 20), ..Forgery::new() }.bytes()),
            (
                "a skippable frame",
                Forgery { after_frame: b"\x50\x2a\x4d\x18\x01\0\0\0x".to_vec(), ..Forgery::new() }.bytes(),
            ),
            ("a skippable frame first", packed([&b"\x50\x2a\x4d\x18\x01\0\0\0x"[..], &frame].concat())),
            ("bytes after the frame", Forgery { after_frame: b"x".to_vec(), ..Forgery::new() }.bytes()),
        ],
    );
}
