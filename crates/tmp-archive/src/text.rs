//! Bytes that are nearly always text, in JSON.
//!
//! They are written as that text. What is not UTF-8, or begins with the prefix itself, is written as
//! `hex:` and lower-case hexadecimal. So every sequence of bytes has exactly one form.

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
use tmp_core::hex;

const PREFIX: &str = "hex:";

/// The text that stands for `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with(PREFIX) => text.to_owned(),
        _ => format!("{PREFIX}{}", hex::encode(bytes)),
    }
}

/// The bytes that a text stands for; `None` for one that [`encode`] never writes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix(PREFIX) else { return Some(text.as_bytes().to_vec()) };
    hex::decode(digits).filter(|bytes| encode(bytes) == text)
}

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    decode(&text)
        .ok_or_else(|| D::Error::custom(format!("{text:?} is not text or hexadecimal as written here")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(encode("late fee.py".as_bytes()), "late fee.py");
        assert_eq!(encode(b"\xff\x00"), "hex:ff00");
        assert_eq!(encode(b"hex:61"), "hex:6865783a3631");
        assert_eq!(decode("hex:61"), None, "text has one form");
        assert_eq!(decode("hex:6"), None);
    }

    proptest! {
        #[test]
        fn every_sequence_of_bytes_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
