//! What reached a disk, in order, and what of it a loss of power may leave.

use std::{fs::File, io, os::unix::fs::FileExt};

use super::{FileSystem, dice::Dice};

/// What a disk writes whole when nothing else is said.
const BLOCK: usize = 4096;
/// What a disk writes whole in any case.
const SECTOR: usize = 512;

/// One request that reached a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEntry {
    /// Bytes written.
    Write {
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// All that was written before is durable from here on.
    Flush,
}

/// All requests since recording began, in the order in which they were answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiskLog {
    /// The requests.
    pub entries: Vec<LogEntry>,
}

impl DiskLog {
    /// How many flushes there are.
    pub fn flushes(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry, LogEntry::Flush)).count()
    }

    /// Brings a file with the content of the disk when recording began to what a loss of power after so many
    /// requests may leave. What was flushed is there. Of every block of 4 KiB that was written since, the dice say
    /// whether it is there, is lost, or, where the file system bears that, is torn: some of its
    /// sectors of 512 bytes new, the others old. Without dice all that was written is
    /// there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn replay(&self, requests: usize, dice: Option<u64>, on: FileSystem, disk: &File) -> io::Result<()> {
        let done = self.entries.get(..requests).unwrap_or(&self.entries);
        let durable = done.iter().rposition(|entry| *entry == LogEntry::Flush).unwrap_or(0);
        let mut dice = dice.map(Dice::new);
        for (number, entry) in done.iter().enumerate() {
            let LogEntry::Write { offset, bytes } = entry else { continue };
            match &mut dice {
                Some(dice) if number >= durable => unsettled(disk, *offset, bytes, on, dice)?,
                _ => disk.write_all_at(bytes, *offset)?,
            }
        }
        Ok(())
    }
}

fn unsettled(disk: &File, offset: u64, bytes: &[u8], on: FileSystem, dice: &mut Dice) -> io::Result<()> {
    for (number, block) in bytes.chunks(BLOCK).enumerate() {
        let at = offset + (number * BLOCK) as u64;
        match dice.below(8) {
            0..=3 => disk.write_all_at(block, at)?,
            4 if on.bears_torn_blocks(at - at % BLOCK as u64) => torn(disk, at, block, dice)?,
            _ => {}
        }
    }
    Ok(())
}

fn torn(disk: &File, at: u64, block: &[u8], dice: &mut Dice) -> io::Result<()> {
    for (number, sector) in block.chunks(SECTOR).enumerate() {
        if dice.below(2) == 0 {
            disk.write_all_at(sector, at + (number * SECTOR) as u64)?;
        }
    }
    Ok(())
}
