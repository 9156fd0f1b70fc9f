//! Trigger files. The first byte says which part the rest is; what is around it is made to fit, so that digests keep no
//! input from the parsers behind them.
#![no_main]

use std::{
    collections::BTreeSet, fs::File, io::Write, os::fd::AsRawFd as _, os::unix::fs::FileExt as _, path::Path,
};

use libfuzzer_sys::fuzz_target;
use tmp_core::{Digest, contents::Contents as _};
use tmp_trigger::Trigger;

fuzz_target!(|input: &[u8]| {
    let Some((part, rest)) = input.split_first() else { return };
    let file = match part % 5 {
        0 => rest.to_owned(),
        1 => {
            let (yaml, packed) = split(rest);
            whole(yaml, packed)
        }
        2 => described("small", &[], rest, 4096),
        3 => of_payload(rest),
        _ => {
            let (manifest, content) = split(rest);
            let mut members = Vec::new();
            append(&mut members, "manifest.json", manifest);
            append(&mut members, &format!("content/{}", Digest::of(content).hex()), content);
            members.extend([0; 1024]);
            of_payload(&members)
        }
    };
    read(&file);
});

/// Reads a trigger file as `tmp` does. What is accepted gives away each of its contents.
fn read(bytes: &[u8]) {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let file: File = rustix::fs::memfd_create("trigger", flags).expect("memory for a file").into();
    file.write_all_at(bytes, 0).expect("memory for a file");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let Ok(trigger) = Trigger::open(Path::new(&path)) else { return };
    let Ok(verified) = trigger.verify() else { return };
    let inspection = serde_json::to_vec(&verified.inspect()).expect("what is accepted can be shown");
    assert!(!inspection.is_empty());
    let wanted: BTreeSet<_> = verified.enhancement().scripts().map(|script| script.digest).collect();
    verified.visit(&wanted, &mut |_, _, _| Ok(())).expect("what is accepted can be read again");
}

/// Two parts, the first as long as two bytes say.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return (bytes, &[]) };
    rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()))
}

/// A file around an uncompressed payload.
fn of_payload(payload: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.write_all(payload).expect("a frame");
    described("small", payload, &encoder.finish().expect("a frame"), payload.len())
}

/// A file around a compressed payload.
fn described(id: &str, payload: &[u8], packed: &[u8], size: usize) -> Vec<u8> {
    let yaml = format!(
        "schema: tmp/trigger/v1\nenhancement: {id}\nrevision: 1\ntitle: Small\nsystem: billing\n\
         environment: model\n\
         contents: {{modules: 1, sql: 0, control_objects: 0, batch: 0, after_rollback: 0, verify: 0}}\n\
         payloads:\n- {{file: payload/1.tar.zst, digest: '{}', payload: '{}', size: {size}}}\n",
        Digest::of(packed),
        Digest::of(payload),
    );
    whole(yaml.as_bytes(), packed)
}

/// A file of a description and a compressed payload.
fn whole(yaml: &[u8], packed: &[u8]) -> Vec<u8> {
    let mut yaml = yaml.to_owned();
    // A description may leave the digest of the payload to be filled in.
    let digest = Digest::of(packed).hex();
    if let Some(at) = yaml.windows(64).position(|window| window.iter().all(|byte| *byte == b'0')) {
        yaml[at..at + 64].copy_from_slice(digest.as_bytes());
    }
    let sums = format!("{}  trigger.yaml\n{digest}  payload/1.tar.zst\n", Digest::of(&yaml).hex());
    let mut bytes = Vec::new();
    append(&mut bytes, "SHA256SUMS", sums.as_bytes());
    append(&mut bytes, "trigger.yaml", &yaml);
    append(&mut bytes, "payload/1.tar.zst", packed);
    bytes.extend([0; 1024]);
    bytes
}

/// Appends a member with the one header that TMP writes.
fn append(bytes: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).expect("a short name");
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    header.set_cksum();
    bytes.extend(header.as_bytes());
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
}
