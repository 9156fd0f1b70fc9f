//! Every rule that an error can name, of all crates.

use tmp_trigger::Rule;

use crate::rules;

/// The rules of descriptions and trigger files, of the command line, of plans, and of rehearsals.
pub(crate) fn rules() -> impl Iterator<Item = &'static Rule> {
    let own = [rules::ALL, rules::PLAN, rules::atomic::ALL, rules::grants::ALL, rules::REHEARSAL];
    tmp_trigger::rules().iter().chain(own.into_iter().flatten().copied())
}
