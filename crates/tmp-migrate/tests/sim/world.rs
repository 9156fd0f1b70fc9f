//! A system on a simulated file system, an enhancement for it, and the engine's ways with both.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use time::OffsetDateTime;
use tmp_core::{
    Digest, EnvironmentName, Mode, ModulePath,
    clock::Clock,
    contents::{Contents, Visitor},
    enhancement::{Check, Enhancement, Probe},
    event::Silent,
    module::{Attributes, Change, Content, ItemKind, Kind, ModuleChange},
    outcome::Outcome,
    plan::{Plan, Provenance, Switch, Target},
};
use tmp_disk::{At, Dir, Disk, SimDisk, ensure_dirs, set_attributes, write_new};
use tmp_migrate::{
    CommandPolicy, Engine, EngineError, Opened, Party, PlanRequest, Recovered, Workplace, plan,
};

use crate::change_sets::System;

pub(crate) const ROOT: &str = "/site/live";
pub(crate) const WORK: &str = "/site/.tmp-work-live";
pub(crate) const STATE: &str = "/state";

/// Contents by digest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Payload(BTreeMap<Digest, Vec<u8>>);

impl Contents for Payload {
    fn visit(&self, wanted: &BTreeSet<Digest>, visit: &mut Visitor<'_>) -> io::Result<()> {
        for digest in wanted {
            let bytes = self.0.get(digest).ok_or(io::ErrorKind::NotFound)?;
            visit(digest, bytes.len() as u64, &mut bytes.as_slice())?;
        }
        Ok(())
    }
}

/// A clock that goes on by a millisecond whenever it is asked, the same in every run.
#[derive(Debug, Default)]
pub(crate) struct Ticking(AtomicU64);

impl Ticking {
    /// One that begins so many milliseconds later.
    pub(crate) fn after(milliseconds: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(milliseconds)))
    }
}

impl Clock for Ticking {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap() + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) {
        self.0.fetch_add(u64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

/// How modules change places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// One by one, by exchanging names.
    Files,
    /// One by one, where names cannot be exchanged.
    WithoutExchange,
    /// The whole tree at once.
    Atomic,
}

/// A system and an enhancement for it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) switch: Switch,
    pub(crate) enhancement: Enhancement,
    pub(crate) payload: Payload,
}

impl World {
    /// An empty system, in which an engine was opened once, and an enhancement without changes. Everything is
    /// durable.
    pub(crate) fn new(way: Way) -> Self {
        let disk = SimDisk::like("ext4");
        let world = Self {
            disk: if way == Way::WithoutExchange { disk.without_exchange() } else { disk },
            switch: if way == Way::Atomic { Switch::Atomic } else { Switch::Files },
            enhancement: Enhancement::new("change".parse().unwrap(), "lab".parse().unwrap(), "A change"),
            payload: Payload::default(),
        };
        let root = world.dir("");
        let attributes = Attributes { mode: Mode::DIRECTORY, ..attributes() };
        set_attributes(&world.disk, At::itself(&root), Kind::Directory, &attributes).unwrap();
        assert!(matches!(
            Engine::open(world.workplace(Arc::new(world.disk.clone()), 0)),
            Ok(Opened::Ready(_))
        ));
        world.settle();
        world
    }

    /// Adds modules that stay as they are.
    pub(crate) fn with_bystanders(self) -> Self {
        self.write("kept", "kept");
        self.write("lib/kept", "kept too");
        self.settle();
        self
    }

    /// The same with another copy of the system.
    pub(crate) fn again(&self) -> Self {
        Self {
            disk: self.disk.after_kill(),
            switch: self.switch,
            enhancement: self.enhancement.clone(),
            payload: self.payload.clone(),
        }
    }

    pub(crate) fn dir(&self, path: &str) -> Dir {
        ensure_dirs(&self.disk, &Path::new(ROOT).join(path)).unwrap()
    }

    /// Makes durable whatever was written.
    pub(crate) fn settle(&self) {
        self.disk.sync_all(&self.dir("")).unwrap();
    }

    pub(crate) fn parent<'a>(&self, path: &'a str) -> (Dir, &'a str) {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        (self.dir(parent), name)
    }

    /// A file that stands before, with an owner, an old time and extended attributes.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let (dir, name) = self.parent(path);
        drop(write_new(&self.disk, At::new(&dir, name), Mode::FILE, &mut text.as_bytes()).unwrap());
        set_attributes(&self.disk, At::new(&dir, name), Kind::File, &attributes()).unwrap();
    }

    /// A symlink that stands before.
    pub(crate) fn write_link(&self, path: &str, target: &str) {
        let (dir, name) = self.parent(path);
        self.disk.create_symlink(At::new(&dir, name), target.as_bytes()).unwrap();
        set_attributes(&self.disk, At::new(&dir, name), Kind::Symlink, &attributes()).unwrap();
    }

    pub(crate) fn put(&mut self, path: &str, bytes: impl AsRef<[u8]>, mode: Mode, owner: Option<&str>) {
        let bytes = bytes.as_ref();
        let digest = Digest::of(bytes);
        self.payload.0.insert(digest, bytes.to_vec());
        self.change(path, Change::Put(Content::File { digest, size: bytes.len() as u64, mode }), owner);
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.change(path, Change::Put(Content::Symlink { target: target.into() }), None);
    }

    pub(crate) fn directory(&mut self, path: &str, mode: Mode) {
        self.change(path, Change::Put(Content::Directory { mode }), None);
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.change(path, Change::Remove, None);
    }

    fn change(&mut self, path: &str, change: Change, owner: Option<&str>) {
        let (path, owner): (ModulePath, _) = (path.parse().unwrap(), owner.map(str::to_owned));
        self.enhancement.modules.retain(|module| module.path != path);
        let module = ModuleChange { path, change, expected: None, owner, kind: ItemKind::Program };
        self.enhancement.modules.push(module);
        self.enhancement.modules.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// Lets a check at the end fail, so that everything is taken back.
    pub(crate) fn refuse(&mut self) {
        let probe = Probe::Digest { path: "kept".parse().unwrap(), digest: Digest::of(b"another") };
        self.enhancement.verify.push(Check { name: "refuses".parse().unwrap(), probe, within_s: 0 });
    }

    /// Where the engine works, on this disk, so many milliseconds after the first time.
    pub(crate) fn workplace(&self, disk: Arc<dyn Disk>, milliseconds: u64) -> Workplace {
        self.workplace_at(disk, Ticking::after(milliseconds))
    }

    /// The same with another clock.
    pub(crate) fn workplace_at(&self, disk: Arc<dyn Disk>, clock: Arc<dyn Clock>) -> Workplace {
        Workplace {
            target: Target {
                system: "lab".parse().unwrap(),
                environment: EnvironmentName::Model,
                site: "bench".parse().unwrap(),
                root: ROOT.into(),
                work: WORK.into(),
                url: None,
                ignore: Vec::new(),
                ephemeral: false,
                switch: self.switch,
            },
            state: STATE.into(),
            disk,
            clock,
        }
    }

    pub(crate) fn plan(&self, milliseconds: u64) -> Plan {
        let digest = Digest::of(b"a trigger");
        let provenance = Provenance { trigger: digest, payload: digest, reason: None };
        let request = PlanRequest {
            enhancement: &self.enhancement,
            provenance: &provenance,
            commands: &CommandPolicy::Forbidden,
            privileged_modules: true,
            utilities: &BTreeMap::new(),
            steps: &[],
        };
        plan(&self.workplace(Arc::new(self.disk.clone()), milliseconds), &request, &mut []).unwrap()
    }

    /// Migrates on `disk`.
    pub(crate) fn migrate(&self, plan: &Plan, disk: Arc<dyn Disk>) -> Result<Outcome, Option<EngineError>> {
        migrate(self.workplace(disk, 2000), plan, &self.payload)
    }

    /// Recovers on `disk`; `None` where nothing is open.
    pub(crate) fn recover(&self, disk: Arc<dyn Disk>) -> Result<Option<Outcome>, String> {
        recover(self.workplace(disk, 1_000_000))
    }
}

/// Migrates; an error without cause is one of opening the engine.
pub(crate) fn migrate(
    workplace: Workplace,
    plan: &Plan,
    contents: &dyn Contents,
) -> Result<Outcome, Option<EngineError>> {
    let Ok(Opened::Ready(mut engine)) = Engine::open(workplace) else { return Err(None) };
    let stop = AtomicBool::new(false);
    let mut party = Party { databases: &mut [], steps: &mut [], observer: &mut Silent, stop: &stop };
    engine.migrate(plan, contents, &mut party).map_err(Some)
}

/// Recovers; `None` where nothing is open.
pub(crate) fn recover(workplace: Workplace) -> Result<Option<Outcome>, String> {
    match Engine::open(workplace) {
        Ok(Opened::Ready(_)) => Ok(None),
        Ok(Opened::Interrupted(open)) => {
            let stop = AtomicBool::new(false);
            let mut party = Party { databases: &mut [], steps: &mut [], observer: &mut Silent, stop: &stop };
            match open.recover(&mut party) {
                Ok(Recovered::Settled(_, outcome)) => Ok(Some(outcome)),
                Ok(Recovered::Blocked(outcome)) => Err(format!("recovery is blocked: {outcome:?}")),
                Err(error) => Err(format!("recovery failed: {error:?}")),
            }
        }
        Err(error) => Err(format!("the engine does not open: {error:?}")),
    }
}

/// What everything has that stood before.
pub(crate) fn attributes() -> Attributes {
    let xattrs =
        [(b"user.note".to_vec(), b"kept".to_vec()), (b"security.selinux".to_vec(), b"label".to_vec())];
    Attributes {
        mode: Mode::FILE,
        uid: 1000,
        gid: 1000,
        mtime: (1_600_000_000, 7).into(),
        xattrs: xattrs.into(),
    }
}

impl System for World {
    fn write(&self, path: &str, text: &str) {
        Self::write(self, path, text);
    }

    fn write_link(&self, path: &str, target: &str) {
        Self::write_link(self, path, target);
    }

    fn put(&mut self, path: &str, text: &str, mode: Mode, owner: Option<&str>) {
        Self::put(self, path, text, mode, owner);
    }

    fn link(&mut self, path: &str, target: &str) {
        Self::link(self, path, target);
    }

    fn directory(&mut self, path: &str) {
        Self::directory(self, path, Mode::DIRECTORY);
    }

    fn remove(&mut self, path: &str) {
        Self::remove(self, path);
    }
}
