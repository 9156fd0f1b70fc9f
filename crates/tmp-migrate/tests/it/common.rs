//! A target, an enhancement and an engine for the tests: the engine's own parts on a real file system,
//! judged by the testkit's eye.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use camino::Utf8PathBuf;
use tempfile::TempDir;
use tmp_core::{
    Digest, EnvironmentName, Mode, ModulePath,
    contents::{Contents, Visitor},
    database::Database,
    enhancement::{
        BatchStep, Check, Command, DatabaseEngine, Enhancement, Probe, Script, SqlChange, SqlRollback,
        SqlVerify, TransactionMode,
    },
    event::{Event, Observer},
    module::{Change, Content, ItemKind, ModuleChange},
    outcome::Outcome,
    plan::{Plan, Provenance, Switch, Target},
    step::Step,
};
use tmp_disk::{Disk, RealDisk, SystemClock};
use tmp_migrate::{
    CommandPolicy, Engine, EngineError, Interrupted, OpenError, Opened, Party, PlanError, PlanRequest,
    Recovered, Utility, Workplace, plan,
};
use tmp_sql::SqliteDatabase;
use tmp_testkit::{
    sqlite::{self, DatabaseDump},
    trees::{self, NodeContent, TreeModel, What},
    walk::{self, TreeFingerprint},
};

use crate::{
    disks::Weak,
    sick::{Ails, Sick},
};

/// Contents by digest.
#[derive(Default, Clone)]
pub(crate) struct Payload(pub(crate) BTreeMap<Digest, Vec<u8>>);

impl Payload {
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.0.insert(digest, bytes.to_vec());
        digest
    }

    pub(crate) fn script(&mut self, name: &str, text: &str) -> Script {
        Script { name: name.into(), digest: self.add(text.as_bytes()), size: text.len() as u64 }
    }
}

impl Contents for Payload {
    fn visit(&self, wanted: &BTreeSet<Digest>, visit: &mut Visitor<'_>) -> io::Result<()> {
        for digest in wanted {
            let bytes = self.0.get(digest).ok_or(io::ErrorKind::NotFound)?;
            visit(digest, bytes.len() as u64, &mut bytes.as_slice())?;
        }
        Ok(())
    }
}

/// Remembers events.
#[derive(Default)]
pub(crate) struct Events(pub(crate) Vec<Event>);

impl Observer for Events {
    fn event(&mut self, event: &Event) {
        self.0.push(event.clone());
    }
}

/// Does something at every event.
struct Watch<'a, F> {
    watch: F,
    stop: &'a AtomicBool,
}

impl<F: FnMut(&Event, &AtomicBool) + Send> Observer for Watch<'_, F> {
    fn event(&mut self, event: &Event) {
        (self.watch)(event, self.stop);
    }
}

/// A target in a folder of its own.
pub(crate) struct Lab {
    pub(crate) dir: TempDir,
    pub(crate) payload: Payload,
    pub(crate) enhancement: Enhancement,
    pub(crate) database: bool,
    pub(crate) url: Option<String>,
    pub(crate) ignore: Vec<String>,
    pub(crate) steps: Vec<Box<dyn Step>>,
    pub(crate) utilities: BTreeMap<String, Utility>,
    pub(crate) commands: CommandPolicy,
    pub(crate) privileged_modules: bool,
    /// Where the database lies, below the folder of the lab.
    pub(crate) database_file: &'static str,
    /// Where the work directory lies, below the folder of the lab.
    pub(crate) work: &'static str,
    /// How modules are switched.
    pub(crate) switch: Switch,
    /// Whether the root may lie on a file system that forgets.
    pub(crate) ephemeral: bool,
    /// Another clock than the machine's.
    pub(crate) clock: Option<Arc<dyn tmp_core::clock::Clock>>,
    /// What ails the disk of its database.
    pub(crate) ails: Option<Ails>,
}

/// Everything the testkit sees of a target.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) tree: TreeFingerprint,
    pub(crate) database: Option<DatabaseDump>,
}

impl Lab {
    /// An empty root, no database.
    pub(crate) fn new() -> Self {
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::create_dir_all(dir.path().join("site/live")).unwrap();
        let enhancement = Enhancement::new("change".parse().unwrap(), "lab".parse().unwrap(), "A change");
        Self {
            dir,
            payload: Payload::default(),
            enhancement,
            database: false,
            url: None,
            ignore: Vec::new(),
            steps: Vec::new(),
            utilities: BTreeMap::new(),
            commands: CommandPolicy::Allowed,
            privileged_modules: true,
            database_file: "site/app.db",
            work: "site/.tmp-work-live",
            switch: Switch::Files,
            ephemeral: false,
            clock: None,
            ails: None,
        }
    }

    /// With a database beside the root that holds what `sql` makes.
    pub(crate) fn with_database(sql: &str) -> Self {
        let mut lab = Self::new();
        lab.database = true;
        rusqlite::Connection::open(lab.database_path()).unwrap().execute_batch(sql).unwrap();
        lab
    }

    /// With a module of each kind of move, and SQL that goes back by its script.
    pub(crate) fn of_all_moves() -> Self {
        let mut lab = Self::with_database("create table t(a); insert into t values (1);");
        lab.write("bin/app", "old app");
        lab.write("lib/gone", "gone");
        lab.put("bin/app", "new app");
        lab.put("bin/added", "added");
        lab.remove("lib/gone");
        lab.sql("010", "create table u(b);", Some("drop table u;"), None);
        lab
    }

    pub(crate) fn base(&self) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.dir.path().canonicalize().unwrap()).unwrap()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("site/live")
    }

    pub(crate) fn database_path(&self) -> PathBuf {
        self.dir.path().join(self.database_file)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn put(&mut self, path: &str, text: &str) {
        let content = Content::File {
            digest: self.payload.add(text.as_bytes()),
            size: text.len() as u64,
            mode: Mode::FILE,
        };
        self.change(path, Change::Put(content));
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.change(path, Change::Remove);
    }

    pub(crate) fn change(&mut self, path: &str, change: Change) {
        let path: ModulePath = path.parse().unwrap();
        self.enhancement.modules.retain(|module| module.path != path);
        self.enhancement.modules.push(ModuleChange {
            path,
            change,
            expected: None,
            owner: None,
            kind: ItemKind::Program,
        });
        self.enhancement.modules.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// Takes over changes as the testkit describes them.
    pub(crate) fn changes(&mut self, model: &TreeModel, changes: &[trees::Change]) {
        let mut now = model.clone();
        for change in changes {
            let goes = match (&change.what, now.0.get(&change.path).map(|node| &node.content)) {
                (What::PutDirectory { .. }, Some(NodeContent::Directory)) => false,
                (_, there) => matches!(there, Some(NodeContent::Directory)),
            };
            if goes {
                for below in now.below(&change.path).cloned().collect::<Vec<_>>() {
                    self.remove(&below);
                }
            }
            let what = match &change.what {
                What::PutFile { bytes, mode } => Change::Put(Content::File {
                    digest: self.payload.add(bytes),
                    size: bytes.len() as u64,
                    mode: Mode::from_bits(*mode),
                }),
                What::PutDirectory { mode } => {
                    Change::Put(Content::Directory { mode: Mode::from_bits(*mode) })
                }
                What::PutSymlink { target } => Change::Put(Content::Symlink { target: target.clone() }),
                What::Remove => Change::Remove,
            };
            self.change(&change.path, what);
            now = trees::apply(&now, std::slice::from_ref(change));
        }
    }

    /// One more SQL change; `rollback: None` goes back by the archive.
    pub(crate) fn sql(&mut self, name: &str, apply: &str, rollback: Option<&str>, verify: Option<&str>) {
        self.enhancement.databases.insert("main".parse().unwrap(), DatabaseEngine::Sqlite);
        let apply = self.payload.script(&format!("{name}.sql"), apply);
        let rollback = match rollback {
            Some(text) => SqlRollback::Script(self.payload.script(&format!("{name}.rollback.sql"), text)),
            None => SqlRollback::Archive,
        };
        let verify = verify.map(|text| SqlVerify {
            script: self.payload.script(&format!("{name}.verify.sql"), text),
            assert: true,
        });
        self.enhancement.sql.push(SqlChange {
            name: name.parse().unwrap(),
            database: "main".parse().unwrap(),
            transaction: TransactionMode::Shared,
            apply,
            rollback,
            verify,
        });
    }

    /// One more check by a shell command.
    pub(crate) fn check(&mut self, name: &str, shell: &str) {
        let run = vec!["sh".into(), "-c".into(), shell.into()];
        let probe = Probe::Command(Command { run, timeout_s: 20 });
        self.enhancement.verify.push(Check { name: name.parse().unwrap(), probe, within_s: 0 });
    }

    /// One more batch step of shell commands.
    pub(crate) fn batch(&mut self, name: &str, shell: &str, rollback: Option<&str>, writes: &[&str]) {
        let command =
            |text: &str| Command { run: vec!["sh".into(), "-c".into(), text.into()], timeout_s: 20 };
        self.enhancement.batch.push(BatchStep {
            name: name.parse().unwrap(),
            run: command(shell),
            rollback: rollback.map(command),
            writes: writes.iter().map(|glob| (*glob).to_owned()).collect(),
        });
    }

    pub(crate) fn workplace(&self, disk: Arc<dyn Disk>) -> Workplace {
        let base = self.base();
        Workplace {
            target: Target {
                system: "lab".parse().unwrap(),
                environment: EnvironmentName::Model,
                site: "bench".parse().unwrap(),
                root: base.join("site/live"),
                work: base.join(self.work),
                url: self.url.clone(),
                ignore: self.ignore.clone(),
                switch: self.switch,
                ephemeral: self.ephemeral,
            },
            state: base.join("state"),
            disk,
            clock: self.clock.clone().unwrap_or_else(|| Arc::new(SystemClock::new())),
        }
    }

    pub(crate) fn databases(&self) -> Vec<Box<dyn Database>> {
        let file = self.base().join(self.database_file);
        let open = || -> Box<dyn Database> {
            let database = SqliteDatabase::new("main".parse().unwrap(), file.clone());
            let inner = Box::new(database.with_busy_timeout(Duration::from_millis(200)));
            match &self.ails {
                None => inner,
                Some(ails) => Box::new(Sick { inner, ails: Arc::clone(ails) }),
            }
        };
        if self.database { vec![open()] } else { Vec::new() }
    }

    pub(crate) fn plan(&self) -> Result<Plan, PlanError> {
        self.plan_on(Arc::new(RealDisk))
    }

    pub(crate) fn plan_on(&self, disk: Arc<dyn Disk>) -> Result<Plan, PlanError> {
        self.plan_at(&self.workplace(disk))
    }

    pub(crate) fn plan_at(&self, workplace: &Workplace) -> Result<Plan, PlanError> {
        let provenance =
            Provenance { trigger: Digest::of(b"trigger"), payload: Digest::of(b"payload"), reason: None };
        let request = PlanRequest {
            enhancement: &self.enhancement,
            provenance: &provenance,
            commands: &self.commands,
            privileged_modules: self.privileged_modules,
            utilities: &self.utilities,
            steps: &self.steps,
        };
        plan(workplace, &request, &mut self.databases())
    }

    /// Opens the engine. A command that another test starts holds every lock of this process between
    /// its fork and its exec, so the lock is asked for more than once.
    pub(crate) fn open(&self, disk: Arc<dyn Disk>) -> Result<Opened, OpenError> {
        for _ in 0..100 {
            match Engine::open(self.workplace(Arc::clone(&disk))) {
                Err(OpenError::Locked { .. }) => std::thread::sleep(Duration::from_millis(10)),
                opened => return opened,
            }
        }
        Engine::open(self.workplace(disk))
    }

    pub(crate) fn interrupted(&self) -> Interrupted {
        match self.open(Arc::new(RealDisk)).unwrap() {
            Opened::Interrupted(interrupted) => interrupted,
            Opened::Ready(_) => panic!("nothing is open"),
        }
    }

    /// Plans on the real disk and migrates on `disk`.
    pub(crate) fn migrate_on(&mut self, disk: Arc<dyn Disk>) -> Result<Outcome, Ended> {
        self.migrate_watched(disk, |_, _| {})
    }

    /// The same, with something that is done at every event; it gets the flag that stops a migration.
    pub(crate) fn migrate_watched(
        &mut self,
        disk: Arc<dyn Disk>,
        watch: impl FnMut(&Event, &AtomicBool) + Send,
    ) -> Result<Outcome, Ended> {
        let plan = self.plan().map_err(Ended::Plan)?;
        self.migrate_planned(&plan, disk, watch)
    }

    /// The same with a plan made before.
    pub(crate) fn migrate_planned(
        &mut self,
        plan: &Plan,
        disk: Arc<dyn Disk>,
        watch: impl FnMut(&Event, &AtomicBool) + Send,
    ) -> Result<Outcome, Ended> {
        let payload = self.payload.clone();
        self.migrate_with(plan, &payload, disk, watch)
    }

    /// The same with contents from elsewhere.
    pub(crate) fn migrate_with(
        &mut self,
        plan: &Plan,
        contents: &dyn Contents,
        disk: Arc<dyn Disk>,
        watch: impl FnMut(&Event, &AtomicBool) + Send,
    ) -> Result<Outcome, Ended> {
        let Opened::Ready(mut engine) = self.open(disk).map_err(Ended::Open)? else { panic!("one is open") };
        let stop = AtomicBool::new(false);
        let mut observer = Watch { watch, stop: &stop };
        self.migrate_told(&mut engine, plan, contents, &mut observer, &stop).map_err(Ended::Engine)
    }

    /// Migrates with an engine that is open already, told to `observer`, until it is stopped.
    pub(crate) fn migrate_told(
        &mut self,
        engine: &mut Engine,
        plan: &Plan,
        contents: &dyn Contents,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Outcome, EngineError> {
        let mut databases = self.databases();
        let mut party = Party { databases: &mut databases, steps: &mut self.steps, observer, stop };
        engine.migrate(plan, contents, &mut party)
    }

    /// The same, with something that is done at every event.
    pub(crate) fn migrate_in(
        &mut self,
        engine: &mut Engine,
        plan: &Plan,
        contents: &dyn Contents,
        mut watch: impl FnMut(&Event) + Send,
    ) -> Result<Outcome, EngineError> {
        let stop = AtomicBool::new(false);
        let mut observer = Watch { watch: |event: &Event, _: &AtomicBool| watch(event), stop: &stop };
        self.migrate_told(engine, plan, contents, &mut observer, &stop)
    }

    /// Migrates and dies at the first event that `when` says yes to: without an outcome, but for a
    /// migration that was approved before.
    pub(crate) fn die_at(&mut self, mut when: impl FnMut(&Event) -> bool + Send) {
        let (disk, dead) = Weak::mortal();
        let ended = self.migrate_watched(disk, |event, _| {
            if when(event) {
                dead.store(true, Ordering::SeqCst);
            }
        });
        let died = matches!(ended, Err(Ended::Engine(_)) | Ok(Outcome::Committed { .. }));
        assert!(died, "it did not die: {ended:?}");
    }

    /// The folder of the only migration there was.
    pub(crate) fn folder(&self) -> PathBuf {
        let journals = self.dir.path().join("state/journal");
        let mut folders: Vec<_> =
            fs::read_dir(journals).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders.remove(0)
    }

    pub(crate) fn migrate(&mut self) -> Outcome {
        self.migrate_on(Arc::new(RealDisk)).unwrap()
    }

    /// Recovers on `disk` if a migration is open; `None` when none is.
    pub(crate) fn recover_on(&mut self, disk: Arc<dyn Disk>) -> Result<Option<Outcome>, Ended> {
        match self.open(disk).map_err(Ended::Open)? {
            Opened::Ready(_) => Ok(None),
            Opened::Interrupted(interrupted) => {
                let mut databases = self.databases();
                let mut events = Events::default();
                let stop = AtomicBool::new(false);
                let mut party = Party {
                    databases: &mut databases,
                    steps: &mut self.steps,
                    observer: &mut events,
                    stop: &stop,
                };
                match interrupted.recover(&mut party).map_err(Ended::Engine)? {
                    Recovered::Settled(_, outcome) | Recovered::Blocked(outcome) => Ok(Some(outcome)),
                }
            }
        }
    }

    pub(crate) fn recover(&mut self) -> Option<Outcome> {
        self.recover_on(Arc::new(RealDisk)).unwrap()
    }

    /// What the testkit sees of root and database.
    pub(crate) fn seen(&self) -> Seen {
        let database = self.database.then(|| sqlite::dump(&self.database_path()).unwrap());
        Seen { tree: walk::fingerprint(&self.root()).unwrap(), database }
    }

    /// The names in the work directory that are not there between migrations.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let work = self.dir.path().join("site/.tmp-work-live");
        let Ok(entries) = fs::read_dir(work) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "lock" && name != "ballast").collect()
    }
}

/// Why a migration has no outcome.
#[derive(Debug)]
pub(crate) enum Ended {
    Plan(PlanError),
    Open(OpenError),
    Engine(EngineError),
}

/// Nothing at all differs.
#[track_caller]
pub(crate) fn assert_same(before: &Seen, after: &Seen) {
    let mut lines = walk::diff(&before.tree, &after.tree);
    if let (Some(before), Some(after)) = (&before.database, &after.database) {
        lines.extend(sqlite::diff(before, after));
    }
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

pub(crate) fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}
