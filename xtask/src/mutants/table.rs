//! The deliberate faults, and the tests that catch each.

/// A fault that can be turned on in a build with `--cfg tmp_mutants`.
pub(crate) struct Mutant {
    /// Its name in the source.
    pub(crate) name: &'static str,
    /// What it leaves out or does wrongly.
    pub(crate) leaves_out: &'static str,
    /// The tests that must fail with it.
    pub(crate) caught_by: &'static [Catcher],
}

/// A test.
pub(crate) struct Catcher {
    /// The package it is in.
    pub(crate) package: &'static str,
    /// Its test target; `lib` for a unit test.
    pub(crate) target: &'static str,
    /// Its path in that target.
    pub(crate) test: &'static str,
}

impl Catcher {
    /// The test's name for people.
    pub(crate) fn shown(&self) -> String {
        format!("{} `{}`", self.package, self.test)
    }
}

const fn engine(test: &'static str) -> Catcher {
    Catcher { package: "tmp-migrate", target: "it", test }
}

const fn archive(test: &'static str) -> Catcher {
    Catcher { package: "tmp-archive", target: "archive", test }
}

const fn sql(target: &'static str, test: &'static str) -> Catcher {
    Catcher { package: "tmp-sql", target, test }
}

const fn disk(target: &'static str, test: &'static str) -> Catcher {
    Catcher { package: "tmp-disk", target, test }
}

const FORWARD: Catcher = engine("power::power_lost_at_every_call_leaves_before_or_after");
const BACK: Catcher = engine("power::power_lost_at_every_call_of_the_way_back_leaves_before");
const MODEL: Catcher = Catcher {
    package: "tmp-migrate",
    target: "sim",
    test: "matrix::a_sample_of_all_change_sets_ends_before_or_after",
};
const DEATHS: Catcher = engine("every_step::a_death_at_every_effect");

/// All of them.
pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "stage-barrier",
        leaves_out: "the barrier after staging: modules are switched in whose content may not be durable",
        caught_by: &[FORWARD],
    },
    Mutant {
        name: "switch-barrier",
        leaves_out: "the barrier after switching: the database may commit before the modules are durable",
        caught_by: &[FORWARD],
    },
    Mutant {
        name: "undo-barrier",
        leaves_out: "the barriers of the way back: ROLLED_BACK is recorded though nothing of it may be durable",
        caught_by: &[BACK],
    },
    Mutant {
        name: "directory-sync",
        leaves_out: "the sync of the directory in which another is made",
        caught_by: &[FORWARD],
    },
    Mutant {
        name: "journal-sync",
        leaves_out: "the sync of a journal's record: what follows is done before its intent is durable",
        caught_by: &[FORWARD],
    },
    Mutant {
        name: "journal-trust",
        leaves_out: "the sync of a journal that is opened again: what only the caches hold is acted on",
        caught_by: &[engine("journal::what_is_found_in_a_journal_is_durable_before_it_is_trusted")],
    },
    Mutant {
        name: "step-intent",
        leaves_out: "the sync of a step's intent: what it does outside begins before that is durable",
        caught_by: &[engine("power::power_lost_while_a_step_runs_takes_it_back_and_runs_it_no_second_time")],
    },
    Mutant {
        name: "journal-name",
        leaves_out: "an error of the sync that makes a journal's name durable is taken for success",
        caught_by: &[engine(
            "beginning::what_did_not_begin_has_no_journal_and_what_may_have_begun_is_recovered",
        )],
    },
    Mutant {
        name: "sqlite-full",
        leaves_out: "SQLite's directory sync: FULL in place of EXTRA",
        caught_by: &[sql("lib", "sqlite::session::tests::the_prelude_holds_in_both_journal_modes")],
    },
    Mutant {
        name: "commit-first",
        leaves_out: "the order: the database commits before the modules are switched",
        caught_by: &[DEATHS],
    },
    Mutant {
        name: "times",
        leaves_out: "the modification times of directories on the way back",
        caught_by: &[DEATHS],
    },
    Mutant {
        name: "identity",
        leaves_out: "the proof by identity: a module that somebody exchanged is taken for one that did not move",
        caught_by: &[engine("tampered::whatever_is_tampered_with_nothing_is_changed")],
    },
    Mutant {
        name: "retry-sync",
        leaves_out: "stopping after a failed sync: it is asked again, and the second answer believed",
        caught_by: &[disk("power_loss", "a_barrier_that_failed_stops_at_once")],
    },
    Mutant {
        name: "ballast",
        leaves_out: "giving up the ballast where the way back has no room",
        caught_by: &[engine("surroundings::a_way_back_without_room_for_the_database_takes_the_ballast")],
    },
    Mutant {
        name: "two-renames",
        leaves_out: "the exchange of names: the old module goes before the new one comes",
        caught_by: &[DEATHS],
    },
    Mutant {
        name: "unlink-first",
        leaves_out: "the order: parked modules are removed before the checks have passed",
        caught_by: &[engine("every_step::every_step_and_check_fails_in_turn")],
    },
    Mutant {
        name: "garbage-name",
        leaves_out: "the sync of the slots' other name before what lies in them is removed",
        caught_by: &[MODEL],
    },
    Mutant {
        name: "archive-sync",
        leaves_out: "the sync of what is written to the archive",
        caught_by: &[archive("faults::at_every_loss_of_power")],
    },
    Mutant {
        name: "archive-name",
        leaves_out: "the sync of the archive's folders",
        caught_by: &[archive("faults::at_every_loss_of_power")],
    },
    Mutant {
        name: "archive-verify",
        leaves_out: "reading the archive back before anything is touched",
        caught_by: &[engine("decay::of_any_block_is_noticed_before_anything_is_staged")],
    },
    Mutant {
        name: "stabilise",
        leaves_out: "making durable what recovery saw in the database before it is trusted",
        caught_by: &[sql("it", "settle::what_is_found_committed_is_committed_once_more")],
    },
    Mutant {
        name: "lock",
        leaves_out: "the lock: a second engine goes on though the first holds it",
        caught_by: &[disk("locks", "exactly_one_of_many_wins")],
    },
    Mutant {
        name: "nonce",
        leaves_out: "comparing the marker's nonce: somebody else's row counts as ours",
        caught_by: &[sql("it", "settle::a_foreign_nonce_is_an_error_that_names_the_migration")],
    },
];
