//! A snapshot as a plain tar.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use tar::{Builder, EntryType, Header};
use tmp_core::module::{Attributes, Timestamp};
use tmp_disk::Extent;

use crate::{Archive, ArchiveError, Entry, EntryPath, FileEntry, Objects, SnapshotId, reading::runs};

const BLOCK: usize = 512;

/// The longest name, and text of a link, that a header holds.
const NAME: usize = 100;

/// The largest owner and group that the octal digits of a header hold.
const OWNER: u32 = 0o7_777_777;

/// The latest time that the octal digits of a header hold.
const TIME: u64 = 0o77_777_777_777;

impl Archive {
    /// Writes all entries of a snapshot as a POSIX.1-2001 (pax) tar, in constant memory: modes, owners by
    /// number, times to the nanosecond, extended attributes (`SCHILY.xattr`), hard links, and holes as
    /// GNU sparse format 1.0. Absence cannot be said in a tar and databases are not modules: neither is
    /// in it. GNU tar restores it with `tar -xp --numeric-owner --xattrs --xattrs-include='*'`.
    ///
    /// # Errors
    /// There is no such snapshot or it is damaged; the name of an extended attribute is not UTF-8; or
    /// `out` failed. What was written until then is of no use.
    pub fn export(&self, id: &SnapshotId, out: &mut dyn Write) -> Result<(), ArchiveError> {
        let snapshot = self.read(id)?;
        let objects = self.objects(&snapshot.info)?;
        let mut export = Export { builder: Builder::new(out), objects, groups: HashMap::new() };
        for (path, entry) in &snapshot.entries {
            export.entry(path, entry)?;
        }
        export.builder.finish().map_err(failed(&EntryPath::root()))
    }
}

struct Export<'a> {
    builder: Builder<&'a mut dyn Write>,
    objects: Objects<'a>,
    /// The name under which each hard-link group has its content.
    groups: HashMap<u64, Vec<u8>>,
}

/// Records of a pax header.
type Records = Vec<(String, Vec<u8>)>;

fn failed(path: &EntryPath) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.clone();
    move |source| ArchiveError::Export { path, source }
}

impl Export<'_> {
    fn entry(&mut self, path: &EntryPath, entry: &Entry) -> Result<(), ArchiveError> {
        match entry {
            Entry::Absent => Ok(()),
            Entry::Directory { attributes } => {
                let name = [if path.as_bytes().is_empty() { b"." } else { path.as_bytes() }, b"/"].concat();
                self.head(EntryType::Directory, &name, &[], 0, attributes, Vec::new())
            }
            Entry::Symlink { target, attributes } => {
                self.head(EntryType::Symlink, path.as_bytes(), target, 0, attributes, Vec::new())
            }
            Entry::File(file) => {
                if let Some(group) = file.link_group {
                    if let Some(first) = self.groups.get(&group).cloned() {
                        let name = path.as_bytes();
                        return self
                            .head(EntryType::Link, name, &first, 0, &file.attributes, Vec::new())
                            .map_err(failed(path));
                    }
                    self.groups.insert(group, path.as_bytes().to_vec());
                }
                return self.file(path, file);
            }
        }
        .map_err(failed(path))
    }

    fn file(&mut self, path: &EntryPath, file: &FileEntry) -> Result<(), ArchiveError> {
        let (map, records) = match &file.extents {
            None => (Vec::new(), Vec::new()),
            Some(extents) => sparse(path, extents, file.content.size),
        };
        let data = file
            .extents
            .as_ref()
            .map_or(file.content.size, |extents| extents.iter().map(|extent| extent.length).sum());
        let size = map.len() as u64 + data;
        let body = self.head(EntryType::Regular, path.as_bytes(), &[], size, &file.attributes, records);
        body.and_then(|()| self.builder.get_mut().write_all(&map)).map_err(failed(path))?;
        let out = self.builder.get_mut();
        self.objects.each_piece(&file.content, &mut |offset, length, bytes| {
            let bytes = bytes.unwrap_or_default();
            for (_, run) in runs(file.extents.as_deref(), offset, length) {
                out.write_all(bytes.get(run).unwrap_or_default()).map_err(failed(path))?;
            }
            Ok(())
        })?;
        let rest = usize::try_from(size % BLOCK as u64).unwrap_or_default();
        let padding = vec![0; (BLOCK - rest) % BLOCK];
        out.write_all(&padding).map_err(failed(path))
    }

    /// Writes the headers of an entry whose `size` bytes follow.
    fn head(
        &mut self,
        kind: EntryType,
        name: &[u8],
        link: &[u8],
        size: u64,
        attributes: &Attributes,
        mut records: Records,
    ) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(attributes.mode.bits());
        header.set_size(size);
        header.set_uid(u64::from(attributes.uid.min(OWNER)));
        header.set_gid(u64::from(attributes.gid.min(OWNER)));
        header.set_mtime(u64::try_from(attributes.mtime.seconds).unwrap_or(0).min(TIME));
        let old = header.as_old_mut();
        for (field, value, record) in [(&mut old.name, name, "path"), (&mut old.linkname, link, "linkpath")] {
            if value.len() > NAME && !records.iter().any(|(name, _)| name == "GNU.sparse.name") {
                records.push((record.to_owned(), value.to_vec()));
            }
            for (to, from) in field.iter_mut().zip(value) {
                *to = *from;
            }
        }
        header.set_cksum();
        records.extend(extended(size, attributes)?);
        self.builder.append_pax_extensions(records.iter().map(|(name, value)| (&**name, &**value)))?;
        self.builder.append(&header, io::empty())
    }
}

/// What the fields of a header do not hold.
fn extended(size: u64, attributes: &Attributes) -> io::Result<Records> {
    let mut records = vec![("mtime".to_owned(), decimal(attributes.mtime).into_bytes())];
    if size > TIME {
        records.push(("size".to_owned(), size.to_string().into_bytes()));
    }
    for (name, id) in [("uid", attributes.uid), ("gid", attributes.gid)] {
        if id > OWNER {
            records.push((name.to_owned(), id.to_string().into_bytes()));
        }
    }
    for (name, value) in &attributes.xattrs {
        let name = std::str::from_utf8(name).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, "the name of an extended attribute is not UTF-8")
        })?;
        // As GNU tar does it: the name ends at the first '='.
        let name = name.replace('%', "%25").replace('=', "%3D");
        records.push((format!("SCHILY.xattr.{name}"), value.clone()));
    }
    Ok(records)
}

/// Seconds since 1970 as a decimal number, negative before.
fn decimal(time: Timestamp) -> String {
    let Timestamp { seconds, nanoseconds } = time;
    if seconds < 0 && nanoseconds > 0 {
        format!("-{}.{:09}", seconds.unsigned_abs() - 1, 1_000_000_000_u32.saturating_sub(nanoseconds))
    } else {
        format!("{seconds}.{nanoseconds:09}")
    }
}

/// The map that stands before a sparse file's data, and the records that say so: GNU tar manual,
/// appendix "Storing Sparse Files", format 1.0.
fn sparse(path: &EntryPath, extents: &[Extent], size: u64) -> (Vec<u8>, Records) {
    let end = Extent { offset: size, length: 0 };
    let runs = extents.iter().chain([&end]).flat_map(|extent| [extent.offset, extent.length]);
    let numbers = [extents.len() as u64 + 1].into_iter().chain(runs);
    let mut map: Vec<u8> = numbers.flat_map(|number| format!("{number}\n").into_bytes()).collect();
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    let record = |name: &str, value: &[u8]| (format!("GNU.sparse.{name}"), value.to_vec());
    let records = vec![
        record("major", b"1"),
        record("minor", b"0"),
        record("name", path.as_bytes()),
        record("realsize", size.to_string().as_bytes()),
    ];
    (map, records)
}
