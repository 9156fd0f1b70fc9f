//! Every rule that an error can name, of all crates.

use tmp_trigger::Rule;

use crate::rules;

/// The rules of descriptions and trigger files, of the command line, and of plans.
pub(crate) fn rules() -> impl Iterator<Item = &'static Rule> {
    tmp_trigger::rules().iter().chain(rules::ALL.iter().copied()).chain(rules::PLAN.iter().copied())
}
