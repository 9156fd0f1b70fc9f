//! `tmp run`: migrates one trigger file at once.

use std::sync::{Arc, atomic::AtomicBool};

use camino::Utf8PathBuf;
use tmp_core::{Phase, clock::Clock as _, plan::Plan};
use tmp_disk::SystemClock;
use tmp_migrate::{Engine, MigrationSummary, Opened};
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
    render::outcome::Ended,
    signals,
    site::SiteFlag,
    trigger,
};

/// Arguments of `tmp run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The trigger file
    file: Utf8PathBuf,
    /// At once, outside of any window
    #[arg(long, requires = "reason")]
    now: bool,
    /// Why it cannot wait; recorded
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    site: SiteFlag,
}

impl Run {
    /// Recovers what is open at the site, then migrates.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        if !self.now {
            let message = "windows do not exist yet, so nothing says when this may run";
            return Err(Failure::new(Exit::NotNow, message)
                .rule("no-window")
                .help("`tmp run FILE --now --reason WHY` migrates at once"));
        }
        let config = Config::load(globals)?;
        let trigger = trigger::open(&self.file)?;
        let site = trigger::site_of(&trigger, &config, &self.site, None)?;
        trigger::refuse_expired(&trigger, SystemClock::new().now())?;
        let stop = signals::install().map_err(Failure::unexpected)?;
        let migration =
            Migration { config: &config, site, trigger: &trigger, reason: self.reason.as_deref(), stop };
        migration.run(out)
    }
}

struct Migration<'a> {
    config: &'a Config,
    site: &'a Site,
    trigger: &'a VerifiedTrigger,
    reason: Option<&'a str>,
    stop: Arc<AtomicBool>,
}

/// What looking before opening found.
enum Look {
    Planned(Box<Plan>),
    Done(InPlace),
}

impl Migration<'_> {
    fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let mut crew = Crew::of(self.site, &self.stop, out);
        let all = journals::all(self.config)?;
        let open =
            all.iter().any(|summary| journals::is_at(summary, self.site) && journals::is_open(summary));
        // What stands in the way is said before anything is made, unless an open migration would be
        // mistaken for the target.
        let mut look = if open { None } else { Some(self.look(&all, &mut crew)?) };
        if let Some(Look::Done(done)) = &look {
            out.report(done);
            return Ok(Exit::Done);
        }
        let engine = match opening::open(opening::workplace(self.config, self.site))? {
            Opened::Ready(engine) => engine,
            Opened::Interrupted(interrupted) => {
                look = None;
                let summary = interrupted.summary();
                let (engine, outcome) = opening::settle(interrupted, &mut crew, out)?;
                let (id, revision) = (summary.enhancement.as_str(), summary.revision.into());
                let ended = Ended::new(id, revision, self.site.to_string(), true, outcome);
                out.report(&ended.reversing(summary.reverses.is_some()));
                match engine {
                    Ok(engine) => engine,
                    Err(exit) => return Err(blocked(self.site, &summary, exit)),
                }
            }
        };
        let look = match look {
            Some(look) => look,
            None => self.look(&journals::all(self.config)?, &mut crew)?,
        };
        match look {
            Look::Done(done) => {
                out.report(&done);
                Ok(Exit::Done)
            }
            Look::Planned(plan) => self.migrate(engine, &plan, crew, out),
        }
    }

    fn look(&self, all: &[MigrationSummary], crew: &mut Crew) -> Result<Look, Failure> {
        if let Some(done) = in_place::look(self.config, self.trigger, self.site, all)? {
            return Ok(Look::Done(done));
        }
        let objections = trigger::objections(self.trigger, self.site, all);
        if !objections.is_empty() {
            return Err(planning::refused(self.site, objections));
        }
        planning::make(self.config, self.site, self.trigger, self.reason, crew)
            .map(|plan| Look::Planned(Box::new(plan)))
    }

    fn migrate(
        &self,
        mut engine: Engine,
        plan: &Plan,
        mut crew: Crew,
        out: &mut Output,
    ) -> Result<Exit, Failure> {
        let outcome = engine.migrate(plan, self.trigger, &mut crew.party()).map_err(opening::stopped)?;
        drop(crew);
        drop(engine);
        let exit = Exit::of(&outcome);
        let (id, revision) = (plan.enhancement.id.as_str(), plan.enhancement.revision.into());
        out.report(&Ended::new(id, revision, self.site.to_string(), false, outcome));
        Ok(exit)
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
