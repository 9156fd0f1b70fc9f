//! Trigger files made by hand: consistent in everything but what a test breaks.

use std::io::Write as _;

use tmp_core::Digest;

pub(super) type Members = Vec<(String, Vec<u8>)>;

/// The parts of a trigger file.
#[derive(Clone)]
pub(super) struct Forgery {
    pub(super) manifest: String,
    pub(super) contents: Members,
    /// Instead of the archive of the two.
    pub(super) payload: Option<Vec<u8>>,
    /// What `trigger.yaml` says of the uncompressed size, where it lies.
    pub(super) size: Option<u64>,
    /// Appended to `trigger.yaml`.
    pub(super) more_yaml: String,
    pub(super) revision: u64,
    pub(super) window: u32,
    pub(super) after_frame: Vec<u8>,
}

pub(super) const CONTENT: &[u8] = b"#!/bin/sh\n";

impl Forgery {
    /// One that is right: it puts `bin/a`.
    pub(super) fn new() -> Self {
        Self::of_modules(&put("bin/a"))
    }

    /// With the single content that [`put`] names, and these modules.
    pub(super) fn of_modules(modules: &str) -> Self {
        let contents =
            if modules.contains("\"file\"") { vec![(member(CONTENT), CONTENT.to_vec())] } else { Vec::new() };
        Self {
            manifest: format!(
                r#"{{"schema":"tmp/payload/v1","id":"small","revision":1,"title":"Small","system":"billing","modules":[{modules}]}}"#
            ),
            contents,
            payload: None,
            size: None,
            more_yaml: String::new(),
            revision: 1,
            window: 20,
            after_frame: Vec::new(),
        }
    }

    /// With `fields` after the modules.
    pub(super) fn with(fields: &str) -> Self {
        let good = Self::new();
        Self { manifest: format!("{},{fields}}}", good.manifest.strip_suffix('}').unwrap()), ..good }
    }

    /// With another manifest.
    pub(super) fn edited(from: &str, to: &str) -> Self {
        let good = Self::new();
        assert!(good.manifest.contains(from), "{from}");
        Self { manifest: good.manifest.replace(from, to), ..good }
    }

    pub(super) fn uncompressed(&self) -> Vec<u8> {
        let mut members = vec![("manifest.json".to_owned(), self.manifest.clone().into_bytes())];
        members.extend(self.contents.iter().cloned());
        self.payload.clone().unwrap_or_else(|| archive(&members))
    }

    /// Digests, description, payload.
    pub(super) fn members(&self) -> Members {
        let payload = self.uncompressed();
        let mut packed = compress(&payload, self.window);
        packed.extend(&self.after_frame);
        let count = |field: &str| self.manifest.matches(field).count();
        let yaml = format!(
            "schema: tmp/trigger/v1\nenhancement: small\nrevision: {}\ntitle: Small\nsystem: billing\n\
             environment: model\n\
             contents: {{modules: {}, sql: 0, control_objects: 0, batch: 0, after_rollback: 0, verify: 0}}\n\
             payloads:\n- {{file: payload/1.tar.zst, digest: '{}', payload: '{}', size: {}}}\n{}",
            self.revision,
            count("\"path\":"),
            Digest::of(&packed),
            Digest::of(&payload),
            self.size.unwrap_or(payload.len() as u64),
            self.more_yaml,
        );
        with_sums(yaml.into_bytes(), packed)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        archive(&self.members())
    }
}

/// The three members with digests that fit.
pub(super) fn with_sums(yaml: Vec<u8>, packed: Vec<u8>) -> Members {
    let (first, second) = (Digest::of(&yaml).hex(), Digest::of(&packed).hex());
    let sums = format!("{first}  trigger.yaml\n{second}  payload/1.tar.zst\n");
    vec![
        ("SHA256SUMS".to_owned(), sums.into_bytes()),
        ("trigger.yaml".to_owned(), yaml),
        ("payload/1.tar.zst".to_owned(), packed),
    ]
}

/// The member of a payload that holds `content`.
pub(super) fn member(content: &[u8]) -> String {
    format!("content/{}", Digest::of(content).hex())
}

/// A module that puts [`CONTENT`] to `path`, which is JSON text without the quotes.
pub(super) fn put(path: &str) -> String {
    let digest = Digest::of(CONTENT);
    format!(
        r#"{{"path":"{path}","change":{{"put":{{"file":{{"digest":"{digest}","size":10,"mode":"0755"}}}}}},"kind":"program"}}"#
    )
}

/// A module that removes `path`.
pub(super) fn remove(path: &str) -> String {
    format!(r#"{{"path":"{path}","change":"remove","kind":"program"}}"#)
}

/// The one header that TMP writes.
pub(super) fn header(name: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    header
}

pub(super) fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in members {
        append(&mut bytes, &header(name, content.len() as u64), content);
    }
    bytes.extend([0; 1024]);
    bytes
}

/// Appends a member with its filling.
pub(super) fn append(bytes: &mut Vec<u8>, header: &tar::Header, content: &[u8]) {
    bytes.extend(header.as_bytes());
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
}

pub(super) fn compress(bytes: &[u8], window: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(window).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
