//! Deliberate faults: each leaves out one thing that a promise rests on, so that the tests of that promise can be seen
//! to fail.
//!
//! They exist only in a build with `--cfg tmp_mutants`; any other build has no trace of them. `cargo xtask mutants`
//! makes such a build, turns on one fault after the other, and demands that each is caught.

/// Names the fault that a process has, in the environment of a build with `--cfg tmp_mutants`.
pub const VARIABLE: &str = "TMP_MUTANT";

/// Whether this process has the fault of this name.
#[cfg(not(tmp_mutants))]
#[inline]
pub const fn is(_: &str) -> bool {
    false
}

/// Whether this process has the fault of this name.
#[cfg(tmp_mutants)]
#[expect(clippy::disallowed_methods, reason = "a build for tests alone, and the one thing it is told")]
pub fn is(name: &str) -> bool {
    std::env::var_os(VARIABLE).is_some_and(|chosen| chosen == name)
}
