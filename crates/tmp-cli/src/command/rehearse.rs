//! `tmp rehearse`: forward, back and forward again on a throw-away clone of a site.

use std::sync::{Arc, atomic::AtomicBool};

use camino::{Utf8Path, Utf8PathBuf};
use tmp_core::{
    DatabaseName, EnvironmentName,
    database::{Database, DatabaseError},
};
use tmp_disk::RealDisk;
use tmp_migrate::rehearse::{Cast, Proof, Rehearsal, RehearsalError, Scratch, rehearse};
use tmp_sql::SqliteDatabase;
use tmp_trigger::{Output as Place, PackageOptions, Trees, VerifiedTrigger};

use super::{package, plan::environment};
use crate::{
    args::Globals,
    config::{Config, Site},
    exit::Exit,
    failure::Failure,
    files, journals,
    observer::Teller,
    opening,
    output::Output,
    planning,
    render::rehearsal::{Form, Rehearsed},
    scripts::SqlScripts,
    signals,
    site::SiteFlag,
    trigger,
};

/// The directory of the proofs in the state directory.
const PROOFS: &str = "rehearsals";

/// Arguments of `tmp rehearse`.
#[derive(Debug, clap::Args)]
pub(crate) struct Rehearse {
    /// The trigger file, or the directory of enhancement.yaml
    source: Utf8PathBuf,
    #[command(flatten)]
    site: SiteFlag,
    /// Rehearse it against this environment instead of its own (a directory: instead of the model)
    #[arg(long, value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Option<EnvironmentName>,
    /// Run its commands too: in the clone, but nothing confines them to it
    #[arg(long)]
    commands: bool,
    /// Print this report to standard output
    #[arg(long, value_name = "FORM", value_enum)]
    report: Option<Form>,
    /// Where the proof goes [default: rehearsals/ in the state directory]
    #[arg(long, value_name = "FILE")]
    proof: Option<Utf8PathBuf>,
}

impl Rehearse {
    /// Rehearses and keeps the proof. The site is only read.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        let config = Config::load(globals)?;
        let stop = signals::install().map_err(Failure::unexpected)?;
        let source = files::absolute(&self.source)?;
        if !source.is_dir() {
            let trigger = trigger::open(&self.source)?;
            return self.rehearse(&config, &trigger, &stop, out);
        }
        let id = tmp_core::MigrationId::from_bits(uuid::Uuid::now_v7().as_u128());
        let scratch =
            Scratch::create(&opening::disk(), &config.state.value, &id).map_err(Failure::unexpected)?;
        let rehearsed =
            self.packaged(&source, &scratch).and_then(|trigger| self.rehearse(&config, &trigger, &stop, out));
        let removed = scratch.remove().map_err(Failure::unexpected);
        rehearsed.and_then(|exit| removed.map(|()| exit))
    }

    /// The trigger file of a directory, packaged in the scratch folder.
    fn packaged(&self, dir: &Utf8Path, scratch: &Scratch) -> Result<VerifiedTrigger, Failure> {
        let options = PackageOptions {
            environment: self.environment.unwrap_or(EnvironmentName::Model),
            output: Place::Directory(scratch.path().as_std_path().to_owned()),
            trees: Trees::None,
        };
        let (source, read) = package::from_directory(dir);
        let packaged = tmp_trigger::package(&source, &options, &SqlScripts, &RealDisk)
            .map_err(|error| package::failed(error, &read))?;
        let file = Utf8PathBuf::try_from(packaged.path).map_err(Failure::unexpected)?;
        trigger::open(&file)
    }

    fn rehearse(
        &self,
        config: &Config,
        trigger: &VerifiedTrigger,
        stop: &Arc<AtomicBool>,
        out: &mut Output,
    ) -> Result<Exit, Failure> {
        let site = trigger::site_of(trigger, config, &self.site, self.environment)?;
        let all = journals::all(config)?;
        if let Some(open) =
            all.iter().find(|summary| journals::is_at(summary, site) && journals::is_open(summary))
        {
            let message = format!("migration {} is open at {site}: its clone would prove nothing", open.id);
            return Err(Failure::new(Exit::PreCheck, message)
                .rule("interrupted")
                .help("`tmp recover` first"));
        }
        let proof = self.proof(config, site, trigger, stop, out)?;
        let file = match &self.proof {
            Some(file) => files::absolute(file)?,
            None => config.state.value.join(PROOFS).join(proof.file_name()),
        };
        proof.write(&RealDisk, &file).map_err(Failure::unexpected)?;
        let exit = if proof.is_proven() { Exit::Done } else { Exit::PreCheck };
        let folder = if files::absolute(&self.source)?.is_dir() { self.source.clone() } else { "".into() };
        let rehearsed = Rehearsed { site: site.to_string(), file, proof, folder };
        match self.report {
            Some(form) => out.data(&rehearsed.in_form(form)?),
            None => out.report(&rehearsed),
        }
        Ok(exit)
    }

    fn proof(
        &self,
        config: &Config,
        site: &Site,
        trigger: &VerifiedTrigger,
        stop: &Arc<AtomicBool>,
        out: &Output,
    ) -> Result<Proof, Failure> {
        let (workplace, provenance) = (opening::workplace(config, site), trigger.provenance(None));
        let rehearsal = Rehearsal {
            workplace: &workplace,
            enhancement: trigger.enhancement(),
            provenance: &provenance,
            commands: self.commands,
            policy: &site.commands,
            privileged_modules: config.privileged_modules.value,
            utilities: &config.utilities,
            open: &open,
        };
        let (mut databases, mut teller) = (opening::databases(site), Teller::new(out));
        let mut silent = tmp_core::event::Silent;
        // A report is alone on standard output.
        let alone = self.report.is_some() && out.json();
        let mut cast = Cast {
            contents: trigger,
            databases: &mut databases,
            observer: if alone { &mut silent } else { &mut teller },
            stop,
        };
        rehearse(&rehearsal, &mut cast).map_err(|error| failed(site, error))
    }
}

/// The copy of a database.
fn open(name: &DatabaseName, file: &Utf8Path) -> Box<dyn Database> {
    Box::new(SqliteDatabase::new(name.clone(), file.to_owned()))
}

fn failed(site: &Site, error: RehearsalError) -> Failure {
    let (exit, help) = match error {
        RehearsalError::Plan(refused) => return planning::in_the_way(site, refused),
        RehearsalError::Stopped => (Exit::NotNow, "the clone is removed; rehearse again"),
        RehearsalError::Database(DatabaseError::Busy { .. }) => {
            (Exit::NotNow, "rehearse again when whoever holds the database has let it go")
        }
        _ => (Exit::Error, "the site was not changed; `tmp doctor` removes what may be left of the clone"),
    };
    Failure::caused(exit, error).help(help)
}
