//! The journal's file: written record by record, read whole.

use std::io;

use time::OffsetDateTime;
use tmp_core::{
    Digest, MigrationId, Mode, Phase, mutant,
    phase::{FactKind, IllegalTransition},
};
use tmp_disk::{At, Dir, Disk, DiskError, OpenFile, read_whole, write_all_at};

use super::{
    fact::{Fact, Record},
    slot::{self, NotARecord, SLOT},
};

/// The file's name in the migration's folder.
const NAME: &str = "journal";

/// Slots that forward records leave free, so that the way back always fits.
const RESERVE: u64 = 64;

/// The most a journal may hold when it is read, in bytes.
const LARGEST: u64 = 4 << 30;

/// The journal of one migration, open for writing.
#[derive(Debug)]
pub struct Journal {
    file: OpenFile,
    migration: MigrationId,
    phase: Phase,
    sequence: u64,
    previous: Digest,
    /// Where the next record goes, in bytes.
    end: u64,
    /// How far the file is allocated, in bytes.
    allocated: u64,
    /// Records that were written since the last sync.
    pending: u16,
    /// Set when a write or sync failed: what is on the disk is unknown from then on.
    broken: bool,
}

/// A journal cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk failed. What is durable is unknown; only a new process may look.
    #[error("the journal of migration {migration} cannot be kept")]
    Disk {
        /// The migration.
        migration: MigrationId,
        /// What the disk said.
        source: DiskError,
    },
    /// There is no room for the record. Nothing was written; records of the way back still fit.
    #[error("no room for the journal of migration {migration}")]
    NoRoom {
        /// The migration.
        migration: MigrationId,
        /// What the disk said.
        source: DiskError,
    },
    /// An earlier write failed, so nothing may be written any more.
    #[error("the journal of migration {migration} failed before; recover with a new process")]
    Broken {
        /// The migration.
        migration: MigrationId,
    },
    /// A record does not follow from those before it.
    #[error("the journal of migration {migration} is not possible at record {sequence}")]
    Impossible {
        /// The migration.
        migration: MigrationId,
        /// The record's number from 0.
        sequence: u64,
        /// Why.
        source: IllegalTransition,
    },
    /// A record in the middle cannot be read, or the file is not a journal of this migration.
    #[error("the journal of migration {migration} is damaged at byte {offset}: {what}; nothing was changed")]
    Damaged {
        /// The migration.
        migration: MigrationId,
        /// Where in the file.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A newer release wrote it.
    #[error(
        "the journal of migration {migration} has format version {version}; this release knows versions 1 and 2"
    )]
    Version {
        /// The migration.
        migration: MigrationId,
        /// The version found.
        version: u16,
    },
}

impl Journal {
    /// Makes the journal of a new migration in `dir`, allocated for `size` bytes of records, with its
    /// first record. Nothing is durable on return: the caller syncs [`Journal::handle`] and `dir`.
    ///
    /// # Errors
    /// The disk failed; the folder is to be thrown away.
    pub fn create(
        disk: &dyn Disk,
        dir: &Dir,
        migration: &MigrationId,
        size: u64,
        at: OffsetDateTime,
        begin: &Fact,
    ) -> Result<Self, JournalError> {
        let wrap = |source| JournalError::Disk { migration: migration.clone(), source };
        let mode = Mode::from_bits(0o600);
        let file = disk
            .create_file(At::new(dir, NAME), mode)
            .map_err(|source| wrap(DiskError { doing: "create", path: NAME.into(), source }))?;
        let allocated = size.next_multiple_of(SLOT) + RESERVE * SLOT;
        let mut journal = Self::empty(file, migration, 0);
        disk.allocate(&journal.file, allocated)
            .map_err(|source| wrap(DiskError { doing: "allocate", path: NAME.into(), source }))?;
        journal.allocated = allocated;
        journal.append(disk, &Record { at, fact: begin.clone() })?;
        journal.pending = 0;
        Ok(journal)
    }

    /// The file, for whoever makes it durable together with others.
    pub fn handle(&self) -> OpenFile {
        self.file.clone()
    }

    /// Reads the journal in `dir` and opens it for more. A torn tail is ignored, and overwritten by
    /// the next record. What was read is durable on return.
    ///
    /// # Errors
    /// It cannot be read whole; nothing may be changed on the strength of it.
    pub fn open(
        disk: &dyn Disk,
        dir: &Dir,
        migration: &MigrationId,
    ) -> Result<(Self, Vec<Record>), JournalError> {
        let (journal, records, strays) =
            Self::replayed(disk, dir, migration, disk.open_file_to_write(At::new(dir, NAME)))?;
        // A record of the torn tail must not be taken for one that follows what is written next.
        for stray in strays {
            write_all_at(disk, &journal.file, stray, &[0; 8]).map_err(|source| {
                let source = DiskError { doing: "write", path: NAME.into(), source };
                JournalError::Disk { migration: migration.clone(), source }
            })?;
        }
        if mutant::is("journal-trust") {
            return Ok((journal, records));
        }
        // A process that was killed before its sync leaves records that can be read and are not durable.
        disk.sync_file(&journal.file).map_err(|source| {
            let source = DiskError { doing: "sync", path: NAME.into(), source };
            JournalError::Disk { migration: migration.clone(), source }
        })?;
        Ok((journal, records))
    }

    /// Reads the journal in `dir` without opening it for more.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn read(
        disk: &dyn Disk,
        dir: &Dir,
        migration: &MigrationId,
    ) -> Result<(Phase, Vec<Record>), JournalError> {
        let (journal, records, _) = Self::replayed(disk, dir, migration, disk.open_file(At::new(dir, NAME)))?;
        Ok((journal.phase, records))
    }

    /// A journal without a record.
    fn empty(file: OpenFile, migration: &MigrationId, allocated: u64) -> Self {
        Self {
            file,
            migration: migration.clone(),
            phase: Phase::Planned,
            sequence: 0,
            previous: Digest::from_bytes([0; 32]),
            end: 0,
            allocated,
            pending: 0,
            broken: false,
        }
    }

    fn replayed(
        disk: &dyn Disk,
        dir: &Dir,
        migration: &MigrationId,
        file: io::Result<OpenFile>,
    ) -> Result<(Self, Vec<Record>, Vec<u64>), JournalError> {
        let wrap = |source| JournalError::Disk { migration: migration.clone(), source };
        let file = file.map_err(|source| wrap(DiskError { doing: "open", path: NAME.into(), source }))?;
        let bytes = read_whole(disk, At::new(dir, NAME), LARGEST).map_err(wrap)?;
        let mut journal = Self::empty(file, migration, bytes.len() as u64);
        let records = journal.replay(&bytes)?;
        let strays = journal.strays(&bytes)?;
        Ok((journal, records, strays))
    }

    /// Where the migration is.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Records a fact. It and everything announced before are durable on return.
    ///
    /// # Errors
    /// [`JournalError::Impossible`] and [`JournalError::NoRoom`]: nothing was written. Any other: what is durable is unknown and
    /// every later call fails.
    pub fn record(&mut self, disk: &dyn Disk, at: OffsetDateTime, fact: Fact) -> Result<Phase, JournalError> {
        if self.broken {
            return Err(JournalError::Broken { migration: self.migration.clone() });
        }
        self.append(disk, &Record { at, fact })?;
        if mutant::is("journal-sync") {
            return Ok(self.phase);
        }
        if let Err(source) = disk.sync_data(&self.file) {
            self.broken = true;
            let source = DiskError { doing: "sync", path: NAME.into(), source };
            return Err(JournalError::Disk { migration: self.migration.clone(), source });
        }
        self.pending = 0;
        Ok(self.phase)
    }

    /// Records a fact that need not be durable before the next one that [`Journal::record`] records. A
    /// process that dies does not take it along; a loss of power may, and then it was never recorded.
    ///
    /// # Errors
    /// As [`Journal::record`].
    pub fn announce(
        &mut self,
        disk: &dyn Disk,
        at: OffsetDateTime,
        fact: Fact,
    ) -> Result<Phase, JournalError> {
        if self.broken {
            return Err(JournalError::Broken { migration: self.migration.clone() });
        }
        self.append(disk, &Record { at, fact })?;
        Ok(self.phase)
    }

    /// Gives back what is allocated and was never used, once no record will follow. What cannot be given
    /// back takes room and does no harm.
    pub fn trim(&mut self, disk: &dyn Disk) {
        if disk.set_len(&self.file, self.end).is_ok() {
            self.allocated = self.end;
        }
    }

    fn append(&mut self, disk: &dyn Disk, record: &Record) -> Result<(), JournalError> {
        let next = self.transition(record)?;
        let json = serde_json::to_vec(record).map_err(|error| self.damaged(self.end, error.to_string()))?;
        let length = slot::slots(json.len()) * SLOT;
        let reserve = if leads_back(record.fact.kind()) { 0 } else { RESERVE * SLOT };
        if self.end + length + reserve > self.allocated {
            self.allocate(disk, self.end + length + RESERVE * SLOT)?;
        }
        let place = (self.sequence, self.pending);
        let (bytes, digest) = slot::encode(place, &self.migration, &self.previous, &json);
        if let Err(source) = write_all_at(disk, &self.file, self.end, &bytes) {
            self.broken = true;
            let source = DiskError { doing: "write", path: NAME.into(), source };
            return Err(JournalError::Disk { migration: self.migration.clone(), source });
        }
        self.phase = next;
        self.sequence += 1;
        self.previous = digest;
        self.end += length;
        self.pending = self.pending.saturating_add(1);
        Ok(())
    }

    /// Makes room up to `size` bytes, durably, so that no later record needs space.
    fn allocate(&mut self, disk: &dyn Disk, size: u64) -> Result<(), JournalError> {
        let migration = self.migration.clone();
        let fault = |doing, source| DiskError { doing, path: NAME.into(), source };
        disk.allocate(&self.file, size)
            .map_err(|source| JournalError::NoRoom { migration, source: fault("allocate", source) })?;
        disk.sync_file(&self.file).map_err(|source| {
            self.broken = true;
            JournalError::Disk { migration: self.migration.clone(), source: fault("sync", source) }
        })?;
        (self.allocated, self.pending) = (size, 0);
        Ok(())
    }

    fn transition(&self, record: &Record) -> Result<Phase, JournalError> {
        match (record.fact.kind(), self.sequence) {
            (None, 0) => Ok(Phase::Planned),
            (Some(kind), 1..) => self.phase.next(kind).map_err(|source| JournalError::Impossible {
                migration: self.migration.clone(),
                sequence: self.sequence,
                source,
            }),
            (None, _) => Err(self.damaged(self.end, "BEGIN is not the first record".into())),
            (Some(_), _) => Err(self.damaged(self.end, "the first record is not BEGIN".into())),
        }
    }

    fn replay(&mut self, bytes: &[u8]) -> Result<Vec<Record>, JournalError> {
        let mut records = Vec::new();
        while let Some(rest) = bytes.get(usize::try_from(self.end).unwrap_or(usize::MAX)..) {
            let Some((record, length, digest)) = self.next_record(rest)? else { break };
            self.phase = self.transition(&record)?;
            self.sequence += 1;
            self.previous = digest;
            self.end += length;
            records.push(record);
        }
        Ok(records)
    }

    /// The record at the beginning of `rest`; `None` where the tail begins.
    fn next_record(&self, rest: &[u8]) -> Result<Option<(Record, u64, Digest)>, JournalError> {
        let header = match slot::header(rest) {
            Ok(header) => header,
            Err(NotARecord::Garbage) => return Ok(None),
            Err(NotARecord::Version(version)) => {
                return Err(JournalError::Version { migration: self.migration.clone(), version });
            }
        };
        let Some((json, digest)) = slot::body(&header, rest) else { return Ok(None) };
        if header.migration != self.migration.bits() {
            return Err(self.damaged(self.end, "a record of another migration".into()));
        }
        if header.sequence != self.sequence || header.previous != self.previous {
            return Err(self.damaged(self.end, "a record that does not follow the one before".into()));
        }
        let record =
            serde_json::from_slice(json).map_err(|error| self.damaged(self.end, error.to_string()))?;
        Ok(Some((record, slot::slots(header.length) * SLOT, digest)))
    }

    /// Behind the last record there may be a torn one, but none that was written when that one was durable.
    /// Answers where others of the torn tail lie.
    fn strays(&self, bytes: &[u8]) -> Result<Vec<u64>, JournalError> {
        let mut strays = Vec::new();
        let tail = bytes.get(usize::try_from(self.end).unwrap_or(usize::MAX)..).unwrap_or_default();
        for (at, rest) in (0..tail.len()).step_by(4096).map(|at| (at, tail.get(at..).unwrap_or_default())) {
            let Ok(header) = slot::header(rest) else { continue };
            let later = header.migration == self.migration.bits() && header.sequence > self.sequence;
            if !later || slot::body(&header, rest).is_none() {
                continue;
            }
            // A journal is trimmed once its last record is durable.
            let end = self.end + at as u64 + slot::slots(header.length) * SLOT;
            let durable = header.sequence.saturating_sub(u64::from(header.pending));
            if durable > self.sequence || end == bytes.len() as u64 {
                let what =
                    format!("record {} cannot be read although {} can", self.sequence, header.sequence);
                return Err(self.damaged(self.end + at as u64, what));
            }
            strays.push(self.end + at as u64);
        }
        Ok(strays)
    }

    fn damaged(&self, offset: u64, what: String) -> JournalError {
        JournalError::Damaged { migration: self.migration.clone(), offset, what }
    }
}

/// Whether a record belongs to the way back, which may use the reserve.
const fn leads_back(kind: Option<FactKind>) -> bool {
    matches!(
        kind,
        Some(
            FactKind::RollingBack
                | FactKind::Compensating
                | FactKind::UndoIntent
                | FactKind::UndoDone
                | FactKind::RolledBack
                | FactKind::RollbackFailed
                | FactKind::Resolved
        )
    )
}
