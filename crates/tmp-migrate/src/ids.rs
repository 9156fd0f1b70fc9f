//! New ids. Their order is the order in which they were made (UUID version 7, RFC 9562).

use time::OffsetDateTime;
use tmp_core::MigrationId;

/// A new id, sorting by `now`. Ids of one millisecond are in no order.
pub(crate) fn new_id(now: OffsetDateTime) -> MigrationId {
    id_at(u64::try_from(now.unix_timestamp()).unwrap_or_default(), now.nanosecond())
}

/// A new id that sorts by the millisecond after `last`, the least by which one is sure to follow.
pub(crate) fn id_after(last: &MigrationId) -> MigrationId {
    // The first 48 of 128 bits are the milliseconds since 1970.
    let milliseconds = u64::try_from(last.bits() >> 80).unwrap_or_default().saturating_add(1);
    let nanoseconds = u32::try_from(milliseconds % 1000).unwrap_or_default() * 1_000_000;
    id_at(milliseconds / 1000, nanoseconds)
}

fn id_at(seconds: u64, nanoseconds: u32) -> MigrationId {
    let timestamp = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds);
    MigrationId::from_bits(uuid::Uuid::new_v7(timestamp).as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_after_another_sorts_behind_it() {
        let mut last = new_id(OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(1_999));
        for _ in 0..3 {
            let next = id_after(&last);
            assert!(next > last, "{next} {last}");
            last = next;
        }
        assert_eq!(last.bits() >> 80, 2_002);
    }
}
