//! How many points of each matrix are tried: in a sample, within the time that a change may take; in a long run, all of
//! the matrices that the guarantees ask to be whole, and of the others what fits into an hour.

use tmp_testkit::matrix::Package::{self, Atomic, Commands, Failing, Files, Large, Sqlite};

use super::kind::Kind;
use crate::crash::proof::Choice;

/// Every point there is.
pub(super) const ALL: u64 = u64::MAX;

/// How many points of a matrix are chosen.
pub(super) fn points(kind: Kind, package: Package, choice: Choice) -> u64 {
    let (short, long) = match (kind, package) {
        (Kind::Kill, Files | Sqlite) => (60, ALL),
        (Kind::Kill, Commands) => (40, ALL),
        (Kind::Kill, Atomic) => (40, 500),
        (Kind::Kill, Failing) => (30, 500),
        (Kind::Kill, Large) => (16, 200),
        (Kind::Error, Files) => (80, ALL),
        (Kind::Error, Sqlite) => (80, 1500),
        (Kind::Error, Commands) => (50, 600),
        (Kind::Error, Atomic) => (40, 300),
        (Kind::Error, Failing) => (30, 600),
        (Kind::Error, Large) => (16, 100),
        (Kind::Tear | Kind::Short | Kind::ShortRead, Large) => (6, 50),
        (Kind::Tear | Kind::Short | Kind::ShortRead, _) => (14, 150),
        (Kind::Twice, Files) => (420, ALL),
        (Kind::Twice, Sqlite) => (330, 500),
        (Kind::Twice, Atomic) => (110, 150),
        (Kind::Twice, Commands) => (100, 150),
        (Kind::Twice, Failing) => (60, 100),
        (Kind::Twice, Large) => (16, 30),
        (Kind::Thrice, Files) => (110, 160),
        (Kind::Thrice, Sqlite) => (90, 120),
        (Kind::Thrice, Atomic | Commands) => (30, 40),
        (Kind::Thrice, Failing) => (20, 40),
        (Kind::Thrice, Large) => (8, 10),
        (Kind::ReadError | Kind::Signal, Large) => (8, 30),
        (Kind::ReadError, Failing) => (24, 600),
        (Kind::ReadError, _) => (24, 300),
        (Kind::Signal, _) => (24, 80),
    };
    choice.count(short, long)
}
