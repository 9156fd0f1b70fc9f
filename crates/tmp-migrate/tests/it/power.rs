//! Power is lost at every call of a migration, on a simulated file system that then keeps any part of what
//! was not synced. Before recovery every path holds complete old or complete new content; after it the
//! tree is exactly as before or exactly as after.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use crate::common::Lab;
use tmp_core::{
    Digest, EnvironmentName, Mode,
    enhancement::{Check, Probe},
    event::{Event, Observer, Silent},
    id::StepName,
    module::{Attributes, Change, Content, Kind},
    outcome::Outcome,
    plan::{Plan, Provenance, Switch, Target},
    step::{Step, StepContext, StepError},
};
use tmp_disk::{
    At, Dir, Disk, Fault, FaultDisk, ObservedContent, SimDisk, SystemClock, ensure_dirs, observe,
    set_attributes, write_new,
};
use tmp_migrate::{CommandPolicy, Engine, Opened, Party, PlanRequest, Recovered, Workplace, plan};

const ROOT: &str = "/site/live";

/// What stands at each path below the root: content, and attributes.
type Tree = BTreeMap<String, (ObservedContent, Attributes)>;

/// The system before: files, a directory that goes, a directory whose mode changes.
fn system() -> SimDisk {
    let sim = SimDisk::like("ext4");
    for (path, text) in [
        ("bin/app", "old app, which is longer"),
        ("bin/tool", "old tool"),
        ("etc/conf", "old conf"),
        ("lib/gone", "gone"),
        ("lib/old/a", "a"),
        ("lib/old/deep/b", "b"),
        ("kept/file", "kept"),
    ] {
        let full = Path::new(ROOT).join(path);
        let dir = ensure_dirs(&sim, full.parent().unwrap()).unwrap();
        let at = At { dir: &dir, name: full.file_name().unwrap() };
        let written = write_new(&sim, at, Mode::FILE, &mut text.as_bytes()).unwrap();
        drop(written);
        let (uid, gid) = (1000, 1000);
        let old = Attributes {
            mode: Mode::FILE,
            uid,
            gid,
            mtime: (1_600_000_000, 7).into(),
            xattrs: BTreeMap::new(),
        };
        set_attributes(&sim, at, Kind::File, &old).unwrap();
    }
    sim.sync_all(&sim.open_root(Path::new("/")).unwrap()).unwrap();
    sim
}

fn lab(switch: Switch) -> Lab {
    let mut lab = Lab::new();
    lab.switch = switch;
    lab.put("bin/app", "new app");
    lab.put("bin/added", "added");
    lab.put("fresh/dir/file", "fresh");
    lab.remove("lib/gone");
    for path in ["lib/old", "lib/old/a", "lib/old/deep", "lib/old/deep/b"] {
        lab.remove(path);
    }
    lab.put("bin/tool/inside", "a directory now");
    lab.change("bin/tool", Change::Put(Content::Directory { mode: Mode::DIRECTORY }));
    lab.change("etc", Change::Put(Content::Directory { mode: Mode::from_bits(0o750) }));
    // A tree that is exchanged gets a copy of what changes in place.
    let kept = Content::File { digest: lab.payload.add(b"kept"), size: 4, mode: Mode::PROGRAM };
    lab.change("kept/file", Change::Put(kept));
    lab
}

fn workplace(switch: Switch, disk: Arc<dyn Disk>) -> Workplace {
    Workplace {
        target: Target {
            system: "lab".parse().unwrap(),
            environment: EnvironmentName::Model,
            site: "bench".parse().unwrap(),
            root: ROOT.into(),
            work: "/site/.tmp-work-live".into(),
            url: None,
            ignore: Vec::new(),
            ephemeral: false,
            switch,
        },
        state: "/state".into(),
        disk,
        clock: Arc::new(SystemClock::new()),
    }
}

fn planned(lab: &Lab, disk: &SimDisk) -> Plan {
    let digest = Digest::of(b"a trigger");
    let provenance = Provenance { trigger: digest, payload: digest, reason: None };
    let request = PlanRequest {
        enhancement: &lab.enhancement,
        provenance: &provenance,
        commands: &CommandPolicy::Forbidden,
        privileged_modules: false,
        utilities: &BTreeMap::new(),
        steps: &lab.steps,
    };
    plan(&workplace(lab.switch, Arc::new(disk.clone())), &request, &mut []).unwrap()
}

/// Remembers how many effects there had been when the migration turned round.
struct Turn {
    disk: Arc<FaultDisk>,
    at: u64,
}

impl Observer for Turn {
    fn event(&mut self, event: &Event) {
        if matches!(event, Event::TurnedBack { .. }) {
            self.at = self.disk.effects();
        }
    }
}

/// Migrates on `disk`; whether an outcome came of it and it was a commit.
fn migrate(lab: &Lab, plan: &Plan, disk: Arc<dyn Disk>) -> Option<bool> {
    migrate_watched(lab, plan, disk, &mut Silent)
}

fn migrate_watched(lab: &Lab, plan: &Plan, disk: Arc<dyn Disk>, observer: &mut dyn Observer) -> Option<bool> {
    let Ok(Opened::Ready(mut engine)) = Engine::open(workplace(lab.switch, disk)) else { return None };
    let stop = AtomicBool::new(false);
    let mut party = Party { databases: &mut [], steps: &mut [], observer, stop: &stop };
    let outcome = engine.migrate(plan, &lab.payload, &mut party);
    outcome.ok().map(|outcome| matches!(outcome, Outcome::Committed { .. }))
}

/// Recovers until nothing is open, which takes one recovery.
fn recover(lab: &Lab, disk: &SimDisk) {
    if let Opened::Interrupted(open) = Engine::open(workplace(lab.switch, Arc::new(disk.clone()))).unwrap() {
        let stop = AtomicBool::new(false);
        let mut party = Party { databases: &mut [], steps: &mut [], observer: &mut Silent, stop: &stop };
        assert!(matches!(open.recover(&mut party).unwrap(), Recovered::Settled(..)));
    }
    assert!(matches!(Engine::open(workplace(lab.switch, Arc::new(disk.clone()))).unwrap(), Opened::Ready(_)));
}

fn tree(disk: &SimDisk) -> Tree {
    fn walk(disk: &SimDisk, dir: &Dir, path: &str, tree: &mut Tree) {
        let mut names: Vec<OsString> = disk.list(dir).unwrap();
        names.sort();
        for name in names {
            let observed = observe(disk, At { dir, name: &name }).unwrap().unwrap();
            let path = format!("{path}/{}", name.display());
            if observed.stat.kind == Kind::Directory {
                walk(disk, &disk.open_dir(dir, &name).unwrap(), &path, tree);
            }
            let attributes = observed.attributes();
            tree.insert(path, (observed.content, attributes));
        }
    }
    let mut found = Tree::new();
    let root = disk.open_root(Path::new(ROOT)).unwrap();
    let itself = observe(disk, At { dir: &root, name: OsStr::new("") }).unwrap().unwrap();
    let attributes = itself.attributes();
    found.insert(String::new(), (itself.content, attributes));
    walk(disk, &root, "", &mut found);
    found
}

fn without_times(tree: &Tree) -> Tree {
    let mut tree = tree.clone();
    for (_, attributes) in tree.values_mut() {
        attributes.mtime = (0, 0).into();
    }
    tree
}

/// Before recovery: nothing torn, nothing empty, nothing that was in neither tree.
fn nothing_torn(now: &Tree, before: &Tree, after: &Tree, what: &str) {
    for (path, (content, _)) in now {
        let whole =
            [before, after].iter().any(|tree| tree.get(path).is_some_and(|(there, _)| there == content));
        assert!(whole, "{what}: {path} holds {content:?}");
    }
}

#[test]
fn power_lost_at_every_call_leaves_before_or_after() {
    power_lost_at_every_call_leaves_before_or_after_by(Switch::Files);
}

#[test]
fn power_lost_at_every_call_leaves_before_or_after_of_a_whole_tree() {
    power_lost_at_every_call_leaves_before_or_after_by(Switch::Atomic);
}

fn power_lost_at_every_call_leaves_before_or_after_by(switch: Switch) {
    let lab = lab(switch);
    let sound = system();
    let before = tree(&sound);
    let plan = planned(&lab, &sound);
    let counted = Arc::new(FaultDisk::new(Arc::new(sound.clone()), Fault::None));
    assert_eq!(migrate(&lab, &plan, counted.clone()), Some(true));
    let after = tree(&sound);
    let (mut backs, mut forwards) = (0, 0);
    for at in 1..=counted.effects() {
        let disk = system();
        let plan = planned(&lab, &disk);
        let claimed =
            migrate(&lab, &plan, Arc::new(FaultDisk::new(Arc::new(disk.clone()), Fault::Stop { at })));
        let what = format!("call {at}");
        let survived = disk.power_loss(at);
        nothing_torn(&tree(&survived), &before, &after, &what);
        recover(&lab, &survived);
        let now = tree(&survived);
        if without_times(&now) == without_times(&after) {
            forwards += 1;
        } else {
            assert_eq!(now, before, "{what}");
            assert_ne!(claimed, Some(true), "{what}: a migration that was reported committed is gone");
            backs += 1;
        }
    }
    assert!(backs > 30 && forwards > 3, "{backs} back, {forwards} forward");
}

#[test]
fn power_lost_at_every_call_of_the_way_back_leaves_before() {
    power_lost_at_every_call_of_the_way_back_leaves_before_by(Switch::Files);
}

#[test]
fn power_lost_at_every_call_of_the_way_back_leaves_before_of_a_whole_tree() {
    power_lost_at_every_call_of_the_way_back_leaves_before_by(Switch::Atomic);
}

fn power_lost_at_every_call_of_the_way_back_leaves_before_by(switch: Switch) {
    let mut lab = lab(switch);
    let probe = Probe::Digest { path: "bin/app".parse().unwrap(), digest: Digest::of(b"another") };
    lab.enhancement.verify.push(Check { name: "wrong".parse().unwrap(), probe, within_s: 0 });
    let sound = system();
    let before = tree(&sound);
    let plan = planned(&lab, &sound);
    let counted = Arc::new(FaultDisk::new(Arc::new(sound.clone()), Fault::None));
    let mut turn = Turn { disk: Arc::clone(&counted), at: 0 };
    assert_eq!(migrate_watched(&lab, &plan, counted.clone(), &mut turn), Some(false));
    assert_eq!(tree(&sound), before);
    let (mut open, mut ended) = (0, 0);
    assert!(turn.at > 0);
    // One call more than there are: power is lost after the last, too.
    for at in turn.at + 1..=counted.effects() + 1 {
        let disk = system();
        let plan = planned(&lab, &disk);
        let claimed =
            migrate(&lab, &plan, Arc::new(FaultDisk::new(Arc::new(disk.clone()), Fault::Stop { at })));
        for seed in [at, at + 10_000, at + 20_000] {
            let what = format!("call {at}, seed {seed}");
            let survived = disk.power_loss(seed);
            if claimed == Some(false) {
                assert_eq!(tree(&survived), before, "{what}: it was reported rolled back");
                ended += 1;
            } else {
                open += 1;
            }
            recover(&lab, &survived);
            assert_eq!(tree(&survived), before, "{what}");
        }
    }
    assert!(open > 30 && ended > 0, "{open} open, {ended} ended");
}

/// A step that loses the power while it runs, after it has changed something that TMP cannot see.
struct Outside {
    name: StepName,
    disk: SimDisk,
    /// What could be found after each loss of power.
    survived: Arc<Mutex<Vec<SimDisk>>>,
    /// What was done outside, in order.
    done: Arc<Mutex<Vec<&'static str>>>,
}

impl Step for Outside {
    fn name(&self) -> &StepName {
        &self.name
    }

    fn describe(&self) -> String {
        "drains the load balancer".into()
    }

    fn describe_undo(&self) -> String {
        "fills it again".into()
    }

    fn apply(&mut self, _: &StepContext<'_>) -> Result<(), StepError> {
        self.done.lock().unwrap().push("drained");
        *self.survived.lock().unwrap() = (0..20).map(|seed| self.disk.power_loss(seed)).collect();
        Ok(())
    }

    fn undo(&mut self, _: &StepContext<'_>) -> Result<(), StepError> {
        self.done.lock().unwrap().push("filled");
        Ok(())
    }
}

/// What a step does may lie anywhere, so it has to be known that it began, whatever the power takes along.
#[test]
fn power_lost_while_a_step_runs_takes_it_back_and_runs_it_no_second_time() {
    let mut lab = lab(Switch::Files);
    let disk = system();
    let before = tree(&disk);
    let (survived, done) = (Arc::default(), Arc::default());
    let name: StepName = "drain".parse().unwrap();
    let step = |disk: &SimDisk| -> Box<dyn Step> {
        let (survived, done) = (Arc::clone(&survived), Arc::clone(&done));
        Box::new(Outside { name: name.clone(), disk: disk.clone(), survived, done })
    };
    lab.steps.push(step(&disk));
    let plan = planned(&lab, &disk);
    let Opened::Ready(mut engine) = Engine::open(workplace(lab.switch, Arc::new(disk.clone()))).unwrap()
    else {
        panic!("nothing is open")
    };
    let stop = AtomicBool::new(false);
    let (mut steps, mut observer) = ([step(&disk)], Silent);
    let mut party = Party { databases: &mut [], steps: &mut steps, observer: &mut observer, stop: &stop };
    assert!(matches!(engine.migrate(&plan, &lab.payload, &mut party).unwrap(), Outcome::Committed { .. }));
    let survived: Vec<SimDisk> = std::mem::take(&mut *survived.lock().unwrap());
    assert_eq!(survived.len(), 20);
    for (seed, disk) in survived.into_iter().enumerate() {
        done.lock().unwrap().clear();
        let Opened::Interrupted(open) = Engine::open(workplace(lab.switch, Arc::new(disk.clone()))).unwrap()
        else {
            panic!("seed {seed}: it is open")
        };
        let mut steps = [step(&disk)];
        let mut party = Party { databases: &mut [], steps: &mut steps, observer: &mut Silent, stop: &stop };
        let recovered = open.recover(&mut party).unwrap();
        assert!(matches!(recovered, Recovered::Settled(_, Outcome::RolledBack { .. })), "{recovered:?}");
        assert_eq!(*done.lock().unwrap(), ["filled"], "seed {seed}");
        assert_eq!(tree(&disk), before, "seed {seed}");
    }
}
