//! Members of the two tar archives: one canonical header for each name and size (POSIX ustar, regular
//! file, mode 0644, owner and time zero). What is read is encoded again and compared, so there is one
//! way to read it.

use std::io;

use crate::error::TriggerFault;

/// The unit of a tar archive.
const BLOCK: u64 = 512;

/// Two zero blocks end an archive.
pub(crate) const END: [u8; 1024] = [0; 1024];

/// A tar header as bytes.
pub(crate) type Block = [u8; 512];

/// A block to read into.
pub(crate) const EMPTY: Block = [0; 512];

/// Name and size of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub name: String,
    pub size: u64,
}

impl Member {
    pub(crate) fn new(name: impl Into<String>, size: u64) -> Self {
        Self { name: name.into(), size }
    }

    /// The one header of this member. Sizes from 8 GiB are written in base 256, as GNU tar does.
    ///
    /// # Errors
    /// The name is none of a tar archive's, or longer than 100 bytes.
    pub(crate) fn encode(&self) -> io::Result<Block> {
        let mut header = tar::Header::new_ustar();
        header.set_path(&self.name)?;
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(self.size);
        header.set_cksum();
        Ok(*header.as_bytes())
    }

    /// Reads the header of the member `expected` from the block at `offset` of `archive`.
    ///
    /// # Errors
    /// The archive ends there, has another member there, or a header that TMP does not write.
    pub(crate) fn expect(
        block: &Block,
        expected: &str,
        archive: &'static str,
        offset: u64,
    ) -> Result<Self, TriggerFault> {
        if block.iter().all(|byte| *byte == 0) {
            return Err(TriggerFault::Missing { archive, expected: expected.to_owned() });
        }
        let member = Self::decode(block).ok_or(TriggerFault::Header { archive, offset })?;
        if member.name == expected {
            Ok(member)
        } else {
            let expected = expected.to_owned();
            Err(TriggerFault::Member { archive, expected, found: member.name })
        }
    }

    /// The member whose one header this is; `None` for any other block.
    fn decode(block: &Block) -> Option<Self> {
        let header = tar::Header::from_byte_slice(block);
        let name = String::from_utf8(header.path_bytes().into_owned()).ok()?;
        let member = Self { name, size: header.entry_size().ok()? };
        (member.encode().ok()? == *block).then_some(member)
    }

    /// The bytes of zero after the content.
    pub(crate) const fn padding(&self) -> u64 {
        padding(self.size)
    }

    /// All that the member takes: header, content and padding. Saturates.
    pub(crate) const fn extent(&self) -> u64 {
        self.size.saturating_add(padding(self.size)).saturating_add(BLOCK)
    }
}

const fn padding(size: u64) -> u64 {
    (BLOCK - size % BLOCK) % BLOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_one_header() {
        for size in [0, 1, 511, 512, 1 << 33, u64::from(u32::MAX) << 8] {
            let member = Member::new("content/ab", size);
            let block = member.encode().unwrap();
            assert_eq!(Member::decode(&block), Some(member.clone()));
            for at in 0..512 {
                let mut other = block;
                other[at] ^= 1;
                assert_eq!(Member::decode(&other), None, "byte {at}");
            }
        }
        assert!(Member::new("../x", 0).encode().is_err());
        assert!(Member::new("x".repeat(300), 0).encode().is_err());
        assert_eq!(Member::new("x", 513).extent(), 512 + 1024);
    }
}
