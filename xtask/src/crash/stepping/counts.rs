//! How many points of each matrix are tried: in a sample, within the time that a change may take; in a long run,
//! wherever a whole matrix takes minutes, all of them.

use tmp_testkit::matrix::Package::{self, Atomic, Commands, Failing, Files, Large, Sqlite};

use super::kind::Kind;
use crate::crash::proof::Choice;

/// Every point there is.
pub(super) const ALL: u64 = u64::MAX;

/// How many points of a matrix are chosen.
pub(super) fn points(kind: Kind, package: Package, choice: Choice) -> u64 {
    let (short, long) = match (kind, package) {
        (Kind::Kill, Files | Sqlite) => (60, ALL),
        (Kind::Kill, Atomic | Commands) => (40, ALL),
        (Kind::Kill, Failing) => (30, 1500),
        (Kind::Kill, Large) => (16, 600),
        (Kind::Error, Files | Sqlite) => (80, ALL),
        (Kind::Error, Commands) => (50, ALL),
        (Kind::Error, Atomic) => (40, 1000),
        (Kind::Error, Failing) => (30, 1000),
        (Kind::Error, Large) => (16, 400),
        (Kind::Tear | Kind::Short | Kind::ShortRead, Large) => (6, 100),
        (Kind::Tear | Kind::Short | Kind::ShortRead, _) => (14, ALL),
        (Kind::Twice, Files) => (420, 3000),
        (Kind::Twice, Sqlite) => (330, 1500),
        (Kind::Twice, Atomic) => (110, 600),
        (Kind::Twice, Commands) => (100, 600),
        (Kind::Twice, Failing) => (60, 600),
        (Kind::Twice, Large) => (16, 100),
        (Kind::Thrice, Files) => (110, 500),
        (Kind::Thrice, Sqlite) => (90, 400),
        (Kind::Thrice, Atomic | Commands) => (30, 200),
        (Kind::Thrice, Failing) => (20, 200),
        (Kind::Thrice, Large) => (8, 40),
        (Kind::ReadError | Kind::Signal, Large) => (8, 200),
        (Kind::ReadError, _) => (24, 800),
        (Kind::Signal, _) => (24, 600),
    };
    choice.count(short, long)
}
