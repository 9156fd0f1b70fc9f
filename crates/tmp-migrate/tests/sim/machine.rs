//! A state machine of random length: random change sets are migrated one after the other, killed, without power,
//! recovered, killed in that, migrated again and reversed, on one disk that forgets.

use std::sync::Arc;

use proptest::prelude::*;
use tmp_core::{Mode, contents::Contents, module::Kind, outcome::Outcome, plan::Plan};
use tmp_disk::{At, Disk, Fault, FaultDisk, set_attributes, write_sparse_new};
use tmp_migrate::{CommandPolicy, ReversalRequest, plan_reversal};
use tmp_testkit::trees::{self, Change, NodeContent, TreeModel, What};

use crate::{
    eye::View,
    matrix::setting,
    world::{ROOT, Way, World, attributes, migrate, recover},
};

/// What happens just before an effect, if there are so many.
#[derive(Debug, Clone, Copy)]
enum Strike {
    Nothing,
    Kill(u64),
    Loss(u64, u64),
}

/// One change set and what happens to it.
#[derive(Debug, Clone)]
struct Round {
    changes: Vec<Change>,
    migration: Strike,
    recovery: Strike,
    /// Whether it is taken out again, and what happens then.
    reversal: Option<Strike>,
}

fn strike(effects: u64) -> BoxedStrategy<Strike> {
    prop_oneof![
        1 => Just(Strike::Nothing),
        2 => (1..effects).prop_map(Strike::Kill),
        3 => (1..effects, any::<u64>()).prop_map(|(at, seed)| Strike::Loss(at, seed)),
    ]
    .boxed()
}

/// A round, and the tree that it leaves.
fn round(model: TreeModel) -> BoxedStrategy<(TreeModel, Round)> {
    let changes = trees::changes(model.clone(), 9).boxed();
    let reversal = prop::option::weighted(0.3, strike(200));
    let round = (changes, strike(250), strike(120), reversal);
    round
        .prop_map(move |(changes, migration, recovery, reversal)| {
            let next = if reversal.is_some() { model.clone() } else { trees::apply(&model, &changes) };
            (next, Round { changes, migration, recovery, reversal })
        })
        .boxed()
}

/// A tree and rounds that follow from each other.
fn rounds() -> BoxedStrategy<(TreeModel, Vec<Round>)> {
    let mut all = trees::tree(12).prop_map(|model| (model.clone(), model, Vec::new())).boxed();
    for _ in 0..3 {
        all = all
            .prop_flat_map(|(first, model, rounds)| {
                round(model).prop_map(move |(model, round)| {
                    let mut rounds: Vec<Round> = rounds.clone();
                    rounds.push(round);
                    (first.clone(), model, rounds)
                })
            })
            .boxed();
    }
    all.prop_map(|(first, _, rounds)| (first, rounds)).boxed()
}

/// The disk and the time.
struct Machine {
    world: World,
    milliseconds: u64,
}

impl Machine {
    fn new(way: Way, model: &TreeModel) -> Self {
        let world = World::new(way);
        build(&world, model);
        world.settle();
        Self { world, milliseconds: 1000 }
    }

    fn later(&mut self) -> u64 {
        self.milliseconds += 1_000_000;
        self.milliseconds
    }

    fn view(&self) -> View {
        View::of(&self.world.disk, ROOT)
    }

    /// Something happens to what is done on the disk, and what is done then is what the disk is left with.
    fn struck<T>(&mut self, strike: Strike, act: impl FnOnce(&World, Arc<dyn Disk>) -> T) -> T {
        let at = match strike {
            Strike::Nothing => u64::MAX,
            Strike::Kill(at) | Strike::Loss(at, _) => at,
        };
        let disk = FaultDisk::new(Arc::new(self.world.disk.clone()), Fault::Stop { at });
        let done = act(&self.world, Arc::new(disk));
        self.world.disk = match strike {
            Strike::Nothing | Strike::Kill(_) => self.world.disk.after_kill(),
            Strike::Loss(_, seed) => self.world.disk.power_loss(seed),
        };
        done
    }

    /// Migrates by a plan, struck as it is, and recovers, struck as that is. Answers whether it is in place.
    fn disturbed(
        &mut self,
        plan: &Plan,
        contents: &dyn Contents,
        strikes: (Strike, Strike),
    ) -> Result<bool, TestCaseError> {
        let before = self.view();
        let (began, recovered) = (self.later(), self.later());
        let told =
            self.struck(strikes.0, |world, disk| migrate(world.workplace(disk, began), plan, contents));
        let then = self.struck(strikes.1, |world, disk| recover(world.workplace(disk, recovered)));
        let at_last = self.later();
        let end = recover(self.world.workplace(Arc::new(self.world.disk.clone()), at_last));
        let end = end.map_err(|error| TestCaseError::fail(format!("{error} after {told:?}, {then:?}")))?;
        let committed = |outcome: &Outcome| matches!(outcome, Outcome::Committed { .. });
        let unchanged = self.view() == before;
        if plan.operations.is_empty() {
            prop_assert!(unchanged);
            return Ok(true);
        }
        for outcome in [told.as_ref().ok(), then.as_ref().ok().and_then(Option::as_ref), end.as_ref()] {
            let Some(outcome) = outcome else { continue };
            prop_assert_ne!(committed(outcome), unchanged, "it was told {:?}", outcome);
        }
        Ok(!unchanged)
    }

    fn round(&mut self, model: &TreeModel, round: &Round) -> Result<(), TestCaseError> {
        let before = self.view();
        let next = trees::apply(model, &round.changes);
        self.world.enhancement.modules.clear();
        self.change(model, &round.changes);
        let now = self.later();
        let plan = self.world.plan(now);
        let payload = self.world.payload.clone();
        let mut migration = plan.migration.clone();
        if !self.disturbed(&plan, &payload, (round.migration, round.recovery))? {
            // Back as before: it is planned and migrated again, undisturbed.
            let now = self.later();
            let plan = self.world.plan(now);
            migration = plan.migration.clone();
            self.disturbed(&plan, &payload, (Strike::Nothing, Strike::Nothing))?;
        }
        as_the_model(&self.view(), &next)?;
        if let Some(mut strike) = round.reversal.filter(|_| !plan.operations.is_empty()) {
            loop {
                let now = self.later();
                let workplace = self.world.workplace(Arc::new(self.world.disk.clone()), now);
                let request = ReversalRequest {
                    migration: &migration,
                    reason: "a test",
                    lose: &[],
                    commands: &CommandPolicy::Forbidden,
                    utilities: &std::collections::BTreeMap::new(),
                };
                let (plan, contents) = plan_reversal(&workplace, &request, &mut []).unwrap();
                if self.disturbed(&plan, &contents, (strike, Strike::Nothing))? {
                    break;
                }
                strike = Strike::Nothing;
            }
            let plain = |view: View| view.without_inodes().without_times_of_directories();
            let (found, expected) = (plain(self.view()), plain(before));
            prop_assert!(found == expected, "reversed:\n{}", found.differences(&expected));
        }
        Ok(())
    }

    /// Puts changes into the enhancement.
    fn change(&mut self, model: &TreeModel, changes: &[Change]) {
        let mut now = model.clone();
        for change in changes {
            let goes = match (&change.what, now.0.get(&change.path).map(|node| &node.content)) {
                (What::PutDirectory { .. }, Some(NodeContent::Directory)) => false,
                (_, there) => matches!(there, Some(NodeContent::Directory)),
            };
            let below: Vec<String> = now.below(&change.path).cloned().collect();
            for path in below.iter().filter(|_| goes) {
                self.world.remove(path);
            }
            let path = change.path.as_str();
            match &change.what {
                What::PutFile { bytes, mode } => self.world.put(path, bytes, Mode::from_bits(*mode), None),
                What::PutDirectory { mode } => self.world.directory(path, Mode::from_bits(*mode)),
                What::PutSymlink { target } => self.world.link(path, target),
                What::Remove => self.world.remove(path),
            }
            now = trees::apply(&now, std::slice::from_ref(change));
        }
    }
}

/// Makes the tree of a model, parents first.
fn build(world: &World, model: &TreeModel) {
    for (path, node) in &model.0 {
        let (dir, name) = world.parent(path);
        let at = At::new(&dir, name);
        let mut attributes = attributes();
        attributes.mode = Mode::from_bits(node.mode);
        let kind = match &node.content {
            NodeContent::Directory => {
                world.disk.create_dir(at, Mode::DIRECTORY).unwrap();
                Kind::Directory
            }
            NodeContent::Symlink(target) => {
                world.disk.create_symlink(at, target.as_bytes()).unwrap();
                Kind::Symlink
            }
            NodeContent::File { hole, bytes } => {
                let extent = tmp_disk::Extent { offset: *hole, length: bytes.len() as u64 };
                let size = hole + bytes.len() as u64;
                let extents = if bytes.is_empty() { Vec::new() } else { vec![extent] };
                let mode = Mode::FILE;
                drop(write_sparse_new(&world.disk, at, mode, size, &extents, &mut bytes.as_slice()).unwrap());
                Kind::File
            }
            NodeContent::HardLink(_) => continue,
        };
        set_attributes(&world.disk, at, kind, &attributes).unwrap();
    }
    for (path, node) in &model.0 {
        if let NodeContent::HardLink(other) = &node.content {
            let ((from_dir, from), (to_dir, to)) = (world.parent(other), world.parent(path));
            world.disk.create_link(At::new(&from_dir, from), At::new(&to_dir, to)).unwrap();
        }
    }
}

/// Whether the tree is what the model says.
fn as_the_model(view: &View, model: &TreeModel) -> Result<(), TestCaseError> {
    let file = |content: &NodeContent| match content {
        NodeContent::File { hole, bytes } => {
            [vec![0; usize::try_from(*hole).unwrap()], bytes.clone()].concat()
        }
        _ => Vec::new(),
    };
    for (path, node) in &model.0 {
        let (kind, bytes, node) = match &node.content {
            NodeContent::Directory => (Kind::Directory, Vec::new(), node),
            NodeContent::Symlink(target) => (Kind::Symlink, target.as_bytes().to_vec(), node),
            NodeContent::HardLink(other) => (Kind::File, file(&model.0[other].content), &model.0[other]),
            content @ NodeContent::File { .. } => (Kind::File, file(content), node),
        };
        let Some(seen) = view.0.get(path) else {
            return Err(TestCaseError::fail(format!("{path} is missing")));
        };
        prop_assert_eq!((seen.kind, &seen.bytes), (kind, &bytes), "{}", path);
        let mode = Mode::from_bits(node.mode);
        prop_assert!(kind == Kind::Symlink || seen.mode == mode, "{}: {:?}", path, seen.mode);
    }
    let more = view.0.keys().filter(|path| !path.is_empty() && !model.0.contains_key(*path));
    prop_assert_eq!(more.collect::<Vec<_>>(), Vec::<&String>::new());
    Ok(())
}

fn cases() -> u32 {
    setting("TMP_MODEL_CASES").map_or(40, |cases| u32::try_from(cases).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever strikes whatever: always exactly before or exactly after, and everything can go on.
    #[test]
    fn random_histories_go_on_from_before_or_after(
        (model, rounds) in rounds(),
        way in prop_oneof![Just(Way::Files), Just(Way::Atomic)],
    ) {
        let mut machine = Machine::new(way, &model);
        let mut model = model;
        for round in &rounds {
            machine.round(&model, round)?;
            if round.reversal.is_none() {
                model = trees::apply(&model, &round.changes);
            }
        }
    }
}
