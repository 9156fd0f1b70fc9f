//! Permission bits.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The twelve permission bits of a file or directory. Written in octal as text, such as `"0644"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(u16);

/// A text or number is not a mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a mode: three or four octal digits in quotes, such as \"0644\"")]
pub struct ModeError {
    /// The text, shortened.
    pub text: String,
}

impl Mode {
    /// Read and written by the owner, read by all.
    pub const FILE: Self = Self(0o644);
    /// The same, and run by all.
    pub const PROGRAM: Self = Self(0o755);
    /// A directory that all may enter and list.
    pub const DIRECTORY: Self = Self(0o755);

    /// The permission bits of `bits`; file type bits are left out.
    pub const fn from_bits(bits: u32) -> Self {
        Self((bits & 0o7777) as u16)
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// The mode a file is packaged with: what its owner may run, all may run; umask and platform
    /// play no part.
    pub const fn normalised(bits: u32) -> Self {
        if bits & 0o100 == 0 { Self::FILE } else { Self::PROGRAM }
    }

    /// Whether a program started from this file takes another identity (set-user-id, set-group-id).
    pub const fn changes_identity(self) -> bool {
        self.0 & 0o6000 != 0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        match u16::from_str_radix(text, 8) {
            Ok(bits) if octal => Ok(Self(bits)),
            _ => Err(ModeError { text: text.chars().take(80).collect() }),
        }
    }
}

impl TryFrom<String> for Mode {
    type Error = ModeError;

    fn try_from(text: String) -> Result<Self, ModeError> {
        text.parse()
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        mode.to_string()
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-7]{3,4}$",
            "description": "Permission bits in octal, in quotes: \"0644\"."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_in_octal() {
        assert_eq!("0640".parse::<Mode>().unwrap().to_string(), "0640");
        assert_eq!("755".parse::<Mode>().unwrap(), Mode::PROGRAM);
        assert!("4755".parse::<Mode>().unwrap().changes_identity());
        for bad in ["", "8", "0o644", "+644", "64", "00644", "0698"] {
            assert!(bad.parse::<Mode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn packaging_knows_two_modes() {
        assert_eq!(Mode::normalised(0o100_600), Mode::FILE);
        assert_eq!(Mode::normalised(0o100_711), Mode::PROGRAM);
    }
}
