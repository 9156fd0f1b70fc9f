//! The kinds of faults, and how the numbers of a point are read.

use tmp_testkit::stepper::{Action, Counting, reads, writes};

use crate::crash::point::Point;

/// Errors of calls: number and name (errno(3), x86-64).
const ERRORS: [(i32, &str); 8] = [
    (28, "ENOSPC"),
    (5, "EIO"),
    (122, "EDQUOT"),
    (30, "EROFS"),
    (24, "EMFILE"),
    (12, "ENOMEM"),
    (13, "EACCES"),
    (4, "EINTR"),
];

/// Those that reading meets.
const READ_ERRORS: [u64; 4] = [5, 12, 13, 24];

/// How much of a write happens: half, and so little that the head of a record is torn from its body.
const PARTS: [u64; 2] = [2, 32];

/// SIGHUP, SIGINT, SIGTERM.
const SIGNALS: [u64; 3] = [1, 2, 15];

/// What is done to a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Kill,
    Tear,
    Error,
    ReadError,
    Short,
    ShortRead,
    Twice,
    Thrice,
    Signal,
}

impl Kind {
    pub(super) const ALL: [Self; 9] = [
        Self::Kill,
        Self::Tear,
        Self::Error,
        Self::ReadError,
        Self::Short,
        Self::ShortRead,
        Self::Twice,
        Self::Thrice,
        Self::Signal,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Tear => "tear",
            Self::Error => "error",
            Self::ReadError => "read-error",
            Self::Short => "short",
            Self::ShortRead => "short-read",
            Self::Twice => "twice",
            Self::Thrice => "thrice",
            Self::Signal => "signal",
        }
    }

    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Kill => "killed before a call of any kind",
            Self::Tear => "killed after part of a write",
            Self::Error => "a call that changes something fails, once or from then on",
            Self::ReadError => "a call that looks fails, once or from then on",
            Self::Short => "a call writes half and says so",
            Self::ShortRead => "a call reads half and says so",
            Self::Twice => "killed, and recover killed too",
            Self::Thrice => "killed, and two recovers killed too",
            Self::Signal => "a signal before a call of any kind",
        }
    }

    /// Which calls have numbers.
    pub(super) const fn counting(self) -> Counting {
        match self {
            Self::Kill | Self::Signal => Counting::Every,
            Self::ReadError | Self::ShortRead => Counting::Reading,
            Self::Tear | Self::Error | Self::Short | Self::Twice | Self::Thrice => Counting::Changing,
        }
    }

    /// How many recoveries are killed.
    pub(super) const fn recoveries(self) -> usize {
        match self {
            Self::Twice => 1,
            Self::Thrice => 2,
            _ => 0,
        }
    }

    /// Whether it can be done to a call of this name.
    pub(super) fn concerns(self, name: &str) -> bool {
        match self {
            Self::Tear | Self::Short => writes(name),
            Self::ShortRead => reads(name),
            _ => true,
        }
    }

    /// What follows the number of the call in each point.
    pub(super) fn variants(self) -> Vec<Vec<u64>> {
        let twice =
            |errors: &[u64]| errors.iter().flat_map(|errno| [vec![*errno, 0], vec![*errno, 1]]).collect();
        match self {
            Self::Error => twice(&ERRORS.map(|(errno, _)| u64::from(errno.unsigned_abs()))),
            Self::ReadError => twice(&READ_ERRORS),
            Self::Tear => PARTS.iter().map(|part| vec![*part]).collect(),
            Self::Signal => SIGNALS.iter().map(|signal| vec![*signal]).collect(),
            _ => vec![Vec::new()],
        }
    }

    /// What is done to `tmp run` at a point.
    pub(super) fn action(self, point: &Point) -> Result<Action, String> {
        let at = point.at(0)?;
        let number =
            |place| point.at(place).and_then(|n| i32::try_from(n).map_err(|error| error.to_string()));
        Ok(match self {
            Self::Kill | Self::Twice | Self::Thrice => Action::Kill(at),
            Self::Tear => Action::Tear { at, part: point.at(1)?.max(2) },
            Self::Short | Self::ShortRead => Action::Short(at),
            Self::Error | Self::ReadError => {
                Action::Fail { at, errno: number(1)?, persistent: number(2)? == 1 }
            }
            Self::Signal => Action::Signal { at, signal: number(1)? },
        })
    }

    /// A point, for people.
    pub(super) fn told(self, point: &Point) -> Result<String, String> {
        let name = |errno: i32| {
            ERRORS.iter().find(|(known, _)| *known == errno).map_or("another error", |(_, name)| name)
        };
        Ok(match self.action(point)? {
            Action::Fail { at, errno, persistent } => {
                format!(
                    "{} {} call {at}",
                    name(errno),
                    if persistent { "from then on at" } else { "once at" }
                )
            }
            Action::Signal { at, signal } => format!("signal {signal} before call {at}"),
            Action::Tear { at, part } => format!("killed when 1/{part} of call {at} was done"),
            Action::Short(at) => format!("half of call {at}"),
            Action::Kill(_) | Action::Count | Action::Wait(_) => match point.0.as_slice() {
                [at, rest @ ..] if !rest.is_empty() => {
                    format!("killed before call {at}, and recovers before calls {rest:?}")
                }
                _ => format!("killed before call {point}"),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_says_what_is_done() {
        let told = |kind: Kind, text: &str| kind.told(&text.parse().unwrap()).unwrap();
        assert_eq!(told(Kind::Kill, "5"), "killed before call 5");
        assert_eq!(told(Kind::Twice, "5.7"), "killed before call 5, and recovers before calls [7]");
        assert_eq!(told(Kind::Error, "5.28.1"), "ENOSPC from then on at call 5");
        assert_eq!(told(Kind::Signal, "5.15"), "signal 15 before call 5");
        assert!(Kind::Error.told(&"5".parse().unwrap()).is_err());
        assert_eq!(Kind::Error.variants().len(), 16);
    }
}
