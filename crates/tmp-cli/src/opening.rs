//! What the engine is opened with at a site, and what its refusals mean for the caller.

use std::sync::{Arc, atomic::AtomicBool};

use tmp_archive::ArchiveError;
use tmp_core::{
    database::{Database, DatabaseError},
    outcome::Outcome,
    plan::Target,
};
use tmp_disk::{Disk, RealDisk, SystemClock};
use tmp_migrate::{Engine, EngineError, Interrupted, OpenError, Opened, Party, Recovered, Workplace};
use tmp_sql::SqliteDatabase;

use crate::{
    config::{Config, Site},
    exit::Exit,
    failure::Failure,
    observer::Teller,
    output::Output,
};

/// The disk of this machine.
pub(crate) fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// Where the engine works.
pub(crate) fn workplace(config: &Config, site: &Site) -> Workplace {
    Workplace {
        target: Target {
            system: site.system.clone(),
            environment: site.environment,
            site: site.name.clone(),
            root: site.root.clone(),
            work: site.work.clone(),
            url: site.url.clone(),
            ignore: site.ignore.clone(),
            ephemeral: site.ephemeral,
            switch: site.switch,
        },
        state: config.state.value.clone(),
        disk: disk(),
        clock: Arc::new(SystemClock::new()),
    }
}

/// The site's databases, not yet connected.
pub(crate) fn databases(site: &Site) -> Vec<Box<dyn Database>> {
    let open = |(name, file): (&tmp_core::DatabaseName, &camino::Utf8PathBuf)| {
        Box::new(SqliteDatabase::new(name.clone(), file.clone())) as Box<dyn Database>
    };
    site.databases.iter().map(open).collect()
}

/// Opens the engine of a site.
///
/// # Errors
/// It cannot be opened; the modules and databases of the site were not touched.
pub(crate) fn open(workplace: Workplace) -> Result<Opened, Failure> {
    Engine::open(workplace).map_err(refused)
}

/// Why an engine cannot be opened, and what helps.
fn refused(error: OpenError) -> Failure {
    let (exit, help) = match &error {
        OpenError::Locked { .. } | OpenError::Archive(ArchiveError::Held { .. }) => {
            (Exit::NotNow, "try again when it has ended")
        }
        OpenError::Probe(_) => {
            (Exit::PreCheck, "put the root and its work directory on a local disk: ext4, XFS, btrfs")
        }
        OpenError::NoRoom { .. } => (Exit::PreCheck, "make room; nothing was changed"),
        OpenError::OtherState { .. } => {
            (Exit::PreCheck, "a root has one state directory; see `tmp config show --origin`")
        }
        OpenError::Disk(_) | OpenError::Archive(_) => {
            (Exit::PreCheck, "nothing was changed; see `tmp doctor`")
        }
        OpenError::Journal(_) | OpenError::Folder(_) => {
            (Exit::InDoubt, "nothing was changed; a person must look at the journal")
        }
    };
    Failure::caused(exit, error).help(help)
}

/// Opens the engine of a site for the sake of the migration that is open there; `None` where none is. Whether
/// there is room to begin one does not matter then.
///
/// # Errors
/// As [`open`], but for a lack of room.
pub(crate) fn interrupted(workplace: Workplace) -> Result<Option<Interrupted>, Failure> {
    match Engine::open(workplace) {
        Ok(Opened::Interrupted(open)) => Ok(Some(open)),
        Ok(Opened::Ready(_)) | Err(OpenError::NoRoom { .. }) => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

/// Opens the engine of a site at which nothing is open.
///
/// # Errors
/// As [`open`]; or a migration is open, which comes first.
pub(crate) fn ready(config: &Config, site: &Site) -> Result<Engine, Failure> {
    match open(workplace(config, site))? {
        Opened::Ready(engine) => Ok(engine),
        Opened::Interrupted(open) => {
            let message = format!("migration {} is open at {site}", open.summary().id);
            Err(Failure::new(Exit::PreCheck, message).rule("interrupted").help("`tmp recover` first"))
        }
    }
}

/// What the engine said when it could not go on.
pub(crate) fn stopped(error: EngineError) -> Failure {
    let (exit, help) = match &error {
        EngineError::NotBegun { .. } => (Exit::PreCheck, "nothing was changed"),
        EngineError::NotReady { source: DatabaseError::Busy { .. } } => {
            (Exit::NotNow, "nothing was changed; run it again when whoever holds the database has let it go")
        }
        EngineError::Outdated { .. } => (Exit::NotNow, "nothing was changed; run it again to plan anew"),
        EngineError::NotReady { .. } => (Exit::PreCheck, "nothing was changed; see `tmp doctor`"),
        EngineError::Unresolved { .. } => {
            (Exit::RollbackFailed, "the target stays blocked; put it right and resolve again")
        }
        EngineError::NoExchange { .. } => {
            let help = "put the root on ext4, XFS or btrfs, or write `switch: files` for the site";
            return Failure::caused(Exit::PreCheck, error).rule("atomic-exchange").help(help);
        }
        _ => (Exit::Error, "what was reached is in the journal; `tmp recover` settles it"),
    };
    Failure::caused(exit, error).help(help)
}

/// Everything beside the engine that a migration or a recovery needs.
pub(crate) struct Crew {
    databases: Vec<Box<dyn Database>>,
    teller: Teller,
    stop: Arc<AtomicBool>,
}

impl Crew {
    /// The crew of a site, with the handlers of signals installed.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub(crate) fn of(site: &Site, stop: &Arc<AtomicBool>, out: &Output) -> Self {
        Self { databases: databases(site), teller: Teller::new(out), stop: Arc::clone(stop) }
    }

    /// The databases alone, for a plan.
    pub(crate) fn databases(&mut self) -> &mut [Box<dyn Database>] {
        &mut self.databases
    }

    /// Ends what is drawn of one migration, before its outcome is told.
    pub(crate) fn rest(&mut self, out: &Output) {
        self.teller = Teller::new(out);
    }

    /// What the engine is handed.
    pub(crate) fn party(&mut self) -> Party<'_> {
        Party { databases: &mut self.databases, steps: &mut [], observer: &mut self.teller, stop: &self.stop }
    }
}

/// Settles an interrupted migration and reports what came of it. `Err` carries the exit code of what
/// blocks the site.
pub(crate) fn settle(
    interrupted: Interrupted,
    crew: &mut Crew,
    out: &mut Output,
) -> Result<(Result<Engine, Exit>, Outcome), Failure> {
    let summary = interrupted.summary();
    out.message(&format!(
        "{} r{} (migration {}) was interrupted while {}; recovering",
        summary.enhancement, summary.revision, summary.id, summary.phase
    ));
    match interrupted.recover(&mut crew.party()).map_err(stopped)? {
        Recovered::Settled(engine, outcome) => Ok((Ok(engine), outcome)),
        Recovered::Blocked(outcome) => Ok((Err(Exit::of(&outcome)), outcome)),
    }
}
