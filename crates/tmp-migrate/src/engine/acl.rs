//! What a change of mode does to an access control list.

use tmp_core::Mode;

/// The version before the entries, and the length of an entry: tag, permissions, id (`linux/posix_acl_xattr.h`).
const HEADER: usize = 4;
const ENTRY: usize = 8;

/// Tags of entries (`linux/posix_acl.h`).
const OWNER: u8 = 0x01;
const GROUP: u8 = 0x04;
const MASK: u8 = 0x10;
const OTHERS: u8 = 0x20;

/// The list after its file was given this mode: the bits of the group go to the mask, where there is one (acl(5)).
pub(super) fn with_mode(list: &[u8], mode: Mode) -> Vec<u8> {
    let mut list = list.to_vec();
    let has_mask = list.iter().skip(HEADER).step_by(ENTRY).any(|tag| *tag == MASK);
    for entry in list.get_mut(HEADER..).unwrap_or_default().chunks_exact_mut(ENTRY) {
        let [tag, _, permissions, ..] = entry else { continue };
        let shift = match *tag {
            OWNER => 6,
            MASK => 3,
            GROUP if !has_mask => 3,
            OTHERS => 0,
            _ => continue,
        };
        *permissions = u8::try_from(mode.bits() >> shift & 7).unwrap_or_default();
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u8, u8)]) -> Vec<u8> {
        let entry = |&(tag, permissions): &(u8, u8)| [tag, 0, permissions, 0, 255, 255, 255, 255];
        [2, 0, 0, 0].into_iter().chain(entries.iter().flat_map(entry)).collect()
    }

    #[test]
    fn the_group_of_a_mode_is_the_mask_where_there_is_one() {
        let masked = list(&[(OWNER, 6), (2, 4), (GROUP, 4), (MASK, 4), (OTHERS, 0)]);
        assert_eq!(
            with_mode(&masked, Mode::from_bits(0o751)),
            list(&[(OWNER, 7), (2, 4), (GROUP, 4), (MASK, 5), (OTHERS, 1)])
        );
        let plain = list(&[(OWNER, 6), (GROUP, 4), (OTHERS, 0)]);
        assert_eq!(with_mode(&plain, Mode::from_bits(0o751)), list(&[(OWNER, 7), (GROUP, 5), (OTHERS, 1)]));
        assert_eq!(with_mode(&[], Mode::from_bits(0o751)), [0; 0]);
    }
}
