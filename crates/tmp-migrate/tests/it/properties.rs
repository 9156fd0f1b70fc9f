//! Random trees, random enhancements, random failures: always exactly the old or exactly the new state.

use std::sync::Arc;

use crate::common::{Ended, Lab};
use proptest::prelude::*;
use tmp_core::{outcome::Outcome, plan::Switch};
use tmp_disk::{Fault, FaultDisk, RealDisk};
use tmp_testkit::{
    trees::{self, Change, TreeModel},
    walk,
};

fn lab(model: &TreeModel, changes: &[Change], switch: Switch) -> Lab {
    let mut lab = Lab::new();
    lab.switch = switch;
    std::fs::remove_dir(lab.root()).unwrap();
    std::fs::create_dir(lab.root()).unwrap();
    trees::build(model, &lab.root()).unwrap();
    lab.changes(model, changes);
    lab
}

fn tree_and_changes() -> impl Strategy<Value = (TreeModel, Vec<Change>)> {
    trees::tree(14).prop_flat_map(|model| {
        let changes = trees::changes(model.clone(), 8);
        (Just(model), changes)
    })
}

fn switches() -> impl Strategy<Value = Switch> {
    prop_oneof![Just(Switch::Files), Just(Switch::Atomic)]
}

fn faults() -> impl Strategy<Value = Fault> {
    let errno = prop_oneof![Just(5), Just(28), Just(13), Just(122)];
    prop_oneof![
        (1_u64..160).prop_map(|at| Fault::Stop { at }),
        (1_u64..160, errno, any::<bool>()).prop_map(|(at, errno, persistent)| Fault::Error {
            at,
            errno,
            persistent
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Undisturbed, the target becomes what the model says.
    #[test]
    fn a_migration_leads_to_the_model((model, changes) in tree_and_changes(), switch in switches()) {
        let mut lab = lab(&model, &changes, switch);
        let outcome = lab.migrate_on(Arc::new(RealDisk));
        prop_assert!(matches!(outcome, Ok(Outcome::Committed { .. })), "{:?}", outcome);
        let differences = trees::check(&trees::apply(&model, &changes), &lab.root()).unwrap();
        prop_assert!(differences.is_empty(), "{}", differences.join("\n"));
        prop_assert_eq!(lab.leftovers(), Vec::<String>::new());
    }

    /// A check that fails after everything was switched leaves no trace.
    #[test]
    fn a_failed_check_leaves_no_trace((model, changes) in tree_and_changes(), switch in switches()) {
        let mut lab = lab(&model, &changes, switch);
        lab.check("refuses", "exit 1");
        let before = lab.seen();
        let outcome = lab.migrate_on(Arc::new(RealDisk));
        prop_assert!(matches!(outcome, Ok(Outcome::RolledBack { .. })), "{:?}", outcome);
        let differences = walk::diff(&before.tree, &lab.seen().tree);
        prop_assert!(differences.is_empty(), "{}", differences.join("\n"));
        prop_assert_eq!(lab.leftovers(), Vec::<String>::new());
    }

    /// Whatever fails, whenever: exactly the old tree or exactly the new one, and nothing left over.
    #[test]
    fn any_fault_ends_before_or_after((model, changes) in tree_and_changes(), switch in switches(), fault in faults()) {
        let mut lab = lab(&model, &changes, switch);
        let before = lab.seen();
        let ended = lab.migrate_on(Arc::new(FaultDisk::new(Arc::new(RealDisk), fault)));
        prop_assert!(!matches!(ended, Ok(Outcome::RollbackFailed { .. } | Outcome::InDoubt { .. }) | Err(Ended::Plan(_))), "{:?}", ended);
        let recovered = lab.recover();
        let committed = match (&recovered, &ended) {
            (Some(outcome), _) | (None, Ok(outcome)) => matches!(outcome, Outcome::Committed { .. }),
            // Its last record was written and the answer to that was lost.
            (None, Err(_)) => !walk::diff(&before.tree, &lab.seen().tree).is_empty(),
        };
        let differences = if committed {
            trees::check(&trees::apply(&model, &changes), &lab.root()).unwrap()
        } else {
            walk::diff(&before.tree, &lab.seen().tree)
        };
        prop_assert!(differences.is_empty(), "{:?} {:?} {:?}\n{}", fault, ended, recovered, differences.join("\n"));
        prop_assert!(lab.recover().is_none());
        prop_assert_eq!(lab.leftovers(), Vec::<String>::new());
    }
}
