//! `tmp run`: migrates trigger files at once, one after the other.

use std::sync::{Arc, atomic::AtomicBool};

use camino::Utf8PathBuf;
use tmp_core::{Phase, clock::Clock as _, plan::Plan};
use tmp_disk::SystemClock;
use tmp_migrate::{Engine, MigrationSummary, Opened, Past};
use tmp_trigger::VerifiedTrigger;

use crate::{
    args::Globals,
    config::{Config, Site},
    exit::Exit,
    failure::Failure,
    in_place::{self, InPlace},
    journals,
    opening::{self, Crew},
    output::Output,
    planning,
    render::{
        outcome::Ended,
        series::{Part, Series},
    },
    signals,
    site::SiteFlag,
    trigger,
};

/// Arguments of `tmp run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The trigger files, each a migration of its own, in this order; stops at the first that does not commit
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Utf8PathBuf>,
    /// At once, outside of any window
    #[arg(long, requires = "reason")]
    now: bool,
    /// Why it cannot wait; recorded
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    site: SiteFlag,
}

/// A trigger file that was checked whole, and where it goes.
struct Ready<'a> {
    trigger: VerifiedTrigger,
    site: &'a Site,
}

impl Run {
    /// Checks every trigger file, recovers what is open at the site, then migrates one after the other.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        if !self.now {
            let message = "windows do not exist yet, so nothing says when this may run";
            return Err(Failure::new(Exit::NotNow, message)
                .rule("no-window")
                .help("`tmp run FILE --now --reason WHY` migrates at once"));
        }
        let config = Config::load(globals)?;
        let mut ready = Vec::new();
        for file in &self.files {
            let trigger = trigger::open(file)?;
            let site = trigger::site_of(&trigger, &config, &self.site, None)?;
            trigger::refuse_expired(&trigger, SystemClock::new().now())?;
            ready.push(Ready { trigger, site });
        }
        let stop = signals::install().map_err(Failure::unexpected)?;
        let reason = self.reason.as_deref();
        if let [only] = ready.as_slice() {
            return Visit::new(&config, only.site, reason, &stop, out).run(&only.trigger, out);
        }
        self.series(&config, &ready, &stop, out)
    }

    /// Migrates one after the other; stops at the first that is neither committed nor in place already.
    fn series(
        &self,
        config: &Config,
        ready: &[Ready<'_>],
        stop: &Arc<AtomicBool>,
        out: &mut Output,
    ) -> Result<Exit, Failure> {
        let mut series = Series::default();
        let mut visit: Option<Visit<'_>> = None;
        let mut ended = Ok(Exit::Done);
        let mut parts = self.files.iter().zip(ready);
        for (file, Ready { trigger, site }) in parts.by_ref() {
            let enhancement = trigger.enhancement();
            let part = Part {
                file: file.clone(),
                enhancement: enhancement.id.to_string(),
                revision: enhancement.revision.into(),
                site: site.to_string(),
            };
            let mut here = match visit.take() {
                Some(here) if std::ptr::eq(here.site, *site) => here,
                other => {
                    // The lock of one site is not held while another is worked on.
                    drop(other);
                    Visit::new(config, site, self.reason.as_deref(), stop, out)
                }
            };
            ended = here.next(trigger, out);
            match &ended {
                Ok(Exit::Done) => series.in_place.push(part),
                Ok(exit) => series.stopped(part, *exit),
                Err(failure) => series.stopped(part, failure.exit),
            }
            if !matches!(ended, Ok(Exit::Done)) {
                break;
            }
            visit = Some(here);
        }
        series.not_begun = parts.map(|(file, _)| file.clone()).collect();
        drop(visit);
        out.report(&series);
        ended
    }
}

/// One site, while trigger files are migrated into it. The engine is opened when the first of them needs it,
/// and what the journals tell is read once.
struct Visit<'a> {
    config: &'a Config,
    site: &'a Site,
    reason: Option<&'a str>,
    stop: Arc<AtomicBool>,
    crew: Crew,
    past: Past,
    engine: Option<Engine>,
}

/// What looking before opening found.
enum Look {
    Planned(Box<Plan>),
    Done(InPlace),
}

impl<'a> Visit<'a> {
    fn new(
        config: &'a Config,
        site: &'a Site,
        reason: Option<&'a str>,
        stop: &Arc<AtomicBool>,
        out: &Output,
    ) -> Self {
        let crew = Crew::of(site, stop, out);
        let past = Past::new(&opening::disk(), &config.state.value);
        Self { config, site, reason, stop: Arc::clone(stop), crew, past, engine: None }
    }

    /// Migrates one of several, unless an operator has asked to stop.
    fn next(&mut self, trigger: &VerifiedTrigger, out: &mut Output) -> Result<Exit, Failure> {
        if self.stop.load(std::sync::atomic::Ordering::Relaxed) {
            let message = "an operator stopped the run between two migrations; nothing is half done";
            return Err(Failure::new(Exit::NotNow, message).help("run the same files again to go on"));
        }
        self.run(trigger, out)
    }

    fn run(&mut self, trigger: &VerifiedTrigger, out: &mut Output) -> Result<Exit, Failure> {
        let all = journals::known(self.past.history())?;
        let (engine, look) = match self.engine.take() {
            Some(engine) => (engine, self.look(trigger, &all)?),
            None => match self.open(trigger, &all, out)? {
                Some(opened) => opened,
                None => return Ok(Exit::Done),
            },
        };
        let engine = self.engine.insert(engine);
        match look {
            Look::Done(done) => {
                out.report(&done);
                Ok(Exit::Done)
            }
            Look::Planned(plan) => {
                let outcome =
                    engine.migrate(&plan, trigger, &mut self.crew.party()).map_err(opening::stopped)?;
                self.crew.rest(out);
                if outcome.report().phase != Phase::CleanedUp {
                    // What is left to do about it is done when the engine is opened next.
                    self.engine = None;
                }
                let exit = Exit::of(&outcome);
                let (id, revision) = (plan.enhancement.id.as_str(), plan.enhancement.revision.into());
                out.report(&Ended::new(id, revision, self.site.to_string(), false, outcome));
                Ok(exit)
            }
        }
    }

    /// Opens the engine, after a look at what stands in the way; `None` where there is nothing to do.
    fn open(
        &mut self,
        trigger: &VerifiedTrigger,
        all: &[MigrationSummary],
        out: &mut Output,
    ) -> Result<Option<(Engine, Look)>, Failure> {
        let open =
            all.iter().any(|summary| journals::is_at(summary, self.site) && journals::is_open(summary));
        // What stands in the way is said before anything is made, unless an open migration would be
        // mistaken for the target.
        let mut look = if open { None } else { Some(self.look(trigger, all)?) };
        if let Some(Look::Done(done)) = &look {
            out.report(done);
            return Ok(None);
        }
        let engine = match opening::open(opening::workplace(self.config, self.site))? {
            Opened::Ready(engine) => engine,
            Opened::Interrupted(interrupted) => {
                look = None;
                let summary = interrupted.summary();
                let (engine, outcome) = opening::settle(interrupted, &mut self.crew, out)?;
                let (id, revision) = (summary.enhancement.as_str(), summary.revision.into());
                let ended = Ended::new(id, revision, self.site.to_string(), true, outcome);
                out.report(&ended.reversing(summary.reverses.is_some()));
                match engine {
                    Ok(engine) => engine,
                    Err(exit) => return Err(blocked(self.site, &summary, exit)),
                }
            }
        };
        if let Some(look) = look {
            return Ok(Some((engine, look)));
        }
        let all = journals::known(self.past.history())?;
        let look = self.look(trigger, &all)?;
        Ok(Some((engine, look)))
    }

    fn look(&mut self, trigger: &VerifiedTrigger, all: &[MigrationSummary]) -> Result<Look, Failure> {
        if let Some(done) = in_place::look(self.config, trigger, self.site, all)? {
            return Ok(Look::Done(done));
        }
        let objections = trigger::objections(trigger, self.site, all);
        if !objections.is_empty() {
            return Err(planning::refused(self.site, objections));
        }
        let request =
            planning::Request { config: self.config, site: self.site, trigger, reason: self.reason };
        request.make(&mut self.past, &mut self.crew).map(|plan| Look::Planned(Box::new(plan)))
    }
}

fn blocked(site: &Site, summary: &MigrationSummary, exit: Exit) -> Failure {
    let message = format!("{site} is blocked by migration {}; nothing else was done", summary.id);
    let help = match summary.phase {
        Phase::RollbackFailed => format!("put the target right, then `tmp resolve {site} --reason …`"),
        _ => "see `tmp status`".into(),
    };
    Failure::new(exit, message).rule("interrupted").help(help)
}
