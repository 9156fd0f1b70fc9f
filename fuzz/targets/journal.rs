//! Journals and plans, replayed. The first byte says whether the rest is the file `journal`, the records in it, or a plan
//! and the records after the first; these are put into slots with checksums that hold.
#![no_main]

use std::{path::Path, sync::Arc};

use camino::Utf8Path;
use libfuzzer_sys::fuzz_target;
use tmp_core::{Digest, MigrationId, Mode};
use tmp_disk::{At, Dir, Disk, SimDisk, ensure_dirs, write_new};
use tmp_migrate::{Journal, history, log};

const ID: &str = "01a1fc59-0cbf-7fd5-bae8-7dc98c3c8970";

fuzz_target!(|input: &[u8]| {
    let Some((form, rest)) = input.split_first() else { return };
    let migration: MigrationId = ID.parse().expect("an id");
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let folder = ensure_dirs(disk.as_ref(), &Path::new("/state/journal").join(ID)).expect("a simulated disk");
    let mut lines = rest.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let journal = match form % 3 {
        0 => rest.to_owned(),
        1 => slots(&migration, lines.map(<[u8]>::to_vec)),
        _ => {
            let plan = lines.next().unwrap_or_default();
            put(disk.as_ref(), &folder, "plan.json", plan);
            let begin = format!(
                r#"{{"at":"2026-01-01T00:00:00Z","fact":{{"begin":{{"plan":"{}","root":"/live","boot":"b","pid":1}}}}}}"#,
                Digest::of(plan)
            );
            slots(&migration, std::iter::once(begin.into_bytes()).chain(lines.map(<[u8]>::to_vec)))
        }
    };
    put(disk.as_ref(), &folder, "journal", &journal);
    let state = Utf8Path::new("/state");
    let told = history(&disk, state).expect("a journal that cannot be read is told of, not failed at");
    assert_eq!(told.migrations.len() + told.unreadable.len(), 1);
    assert_eq!(log(&disk, state, &migration).is_ok(), told.unreadable.is_empty());
    // Opening it for more finds what reading finds, and clears its tail: reading finds the same after it.
    let read = Journal::read(disk.as_ref(), &folder, &migration).ok();
    let opened = Journal::open(disk.as_ref(), &folder, &migration).ok();
    assert_eq!(opened.map(|(journal, records)| (journal.phase(), records)), read);
    assert_eq!(Journal::read(disk.as_ref(), &folder, &migration).ok(), read);
});

fn put(disk: &dyn Disk, dir: &Dir, name: &str, mut bytes: &[u8]) {
    let _ =
        write_new(disk, At::new(dir, name), Mode::from_bits(0o600), &mut bytes).expect("a simulated disk");
}

/// Records as `docs/format/journal.md` has them.
fn slots(migration: &MigrationId, records: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let (mut bytes, mut previous) = (Vec::new(), [0; 32]);
    for (sequence, json) in (0_u64..).zip(records) {
        let mut record = b"TMPJ\x02\0\0\0".to_vec();
        record.extend(sequence.to_le_bytes());
        record.extend(migration.bits().to_be_bytes());
        record.extend(previous);
        record.extend(u32::try_from(json.len()).unwrap_or(u32::MAX).to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&record), &json);
        record.extend(checksum.to_le_bytes());
        record.extend(json);
        previous = *Digest::of(&record).as_bytes();
        record.resize(record.len().next_multiple_of(4096), 0);
        bytes.extend(record);
    }
    bytes
}
