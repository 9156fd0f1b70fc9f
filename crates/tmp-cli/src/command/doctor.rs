//! `tmp doctor`: is everything in place for a migration? Looks, and tries the file system in TMP's own
//! work directory; removes what dead rehearsals left, and changes nothing else.

use std::{collections::BTreeSet, ffi::OsStr, path::Path};

use camino::Utf8Path;
use serde::Serialize;
use tmp_core::plan::Switch;
use tmp_disk::{At, Dir, Disk, Durability, Tree, exposed, probe};
use tmp_migrate::{History, MigrationSummary, Utility, rehearse::leftovers};

use crate::{
    args::Globals,
    config::{Config, Site},
    exit::Exit,
    failure::Failure,
    journals, opening,
    output::{Output, Report},
    render,
};

#[derive(Debug, Serialize)]
struct Examined {
    healthy: bool,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    about: String,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Warning,
    Fault,
}

impl Report for Examined {
    const SCHEMA: &'static str = "tmp.doctor/v1";

    fn text(&self) -> String {
        let line = |finding: &Finding| {
            let level = match finding.level {
                Level::Ok => "ok   ",
                Level::Warning => "warn ",
                Level::Fault => "FAULT",
            };
            format!("{level}  {}: {}\n", finding.about, finding.text)
        };
        self.findings.iter().map(line).collect()
    }
}

/// Examines the state directory and every site.
pub(crate) fn run(globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
    let config = Config::load(globals)?;
    let disk = opening::disk();
    let mut doctor = Examination { findings: Vec::new() };
    doctor.ok("configuration", config.file.value.to_string());
    let ephemeral = !config.sites.is_empty() && config.sites.iter().all(|site| site.ephemeral);
    doctor.place("state directory", disk.as_ref(), &config.state.value, ephemeral);
    doctor.private("state directory", disk.as_ref(), &config.state.value);
    doctor.copies(disk.as_ref(), &config.state.value);
    let all = match journals::readable(&config) {
        Ok(all) => all,
        Err(failure) => {
            doctor.fault("journals", failure.to_string());
            History::default()
        }
    };
    for unreadable in &all.unreadable {
        doctor.fault("journals", format!("{}: {}", unreadable.id, unreadable.why));
    }
    let all = all.migrations;
    for site in &config.sites {
        doctor.rehearsals(&config, site);
        let here: Vec<_> = all.iter().filter(|summary| journals::is_at(summary, site)).collect();
        doctor.site(&disk, site, &here);
    }
    if config.sites.is_empty() {
        doctor.warn("sites", "none is configured".into());
    }
    for (name, utility) in &config.utilities {
        doctor.utility(name, utility);
    }
    let healthy = doctor.findings.iter().all(|finding| finding.level != Level::Fault);
    out.report(&Examined { healthy, findings: doctor.findings });
    Ok(if healthy { Exit::Done } else { Exit::PreCheck })
}

struct Examination {
    findings: Vec<Finding>,
}

impl Examination {
    fn push(&mut self, level: Level, about: &str, text: String) {
        self.findings.push(Finding { level, about: about.to_owned(), text });
    }

    fn ok(&mut self, about: &str, text: String) {
        self.push(Level::Ok, about, text);
    }

    fn warn(&mut self, about: &str, text: String) {
        self.push(Level::Warning, about, text);
    }

    fn fault(&mut self, about: &str, text: String) {
        self.push(Level::Fault, about, text);
    }

    /// The file system of a directory, or of the nearest above it that is there, and what is free on it.
    fn place(&mut self, about: &str, disk: &dyn Disk, path: &Utf8Path, ephemeral: bool) {
        let made = if path.exists() { "" } else { " (made at the first migration)" };
        match nearest(disk, path).and_then(|dir| disk.file_system(&dir)) {
            Ok(system) => {
                let text =
                    format!("{path}{made}; {}, {} free", system.name, render::bytes(system.free_bytes));
                match system.durability {
                    Durability::Local => self.ok(about, text),
                    Durability::Ephemeral if ephemeral => {
                        self.warn(about, text + "; forgets on power loss, as configured");
                    }
                    Durability::Ephemeral => self.fault(about, text + "; forgets on power loss"),
                    Durability::Remote => self.fault(about, text + "; not a local disk"),
                }
            }
            Err(error) => self.fault(about, format!("{path}: {error}")),
        }
    }

    /// Whether others could change what TMP keeps in a directory.
    fn private(&mut self, about: &str, disk: &dyn Disk, path: &Utf8Path) {
        let Ok(dir) = disk.open_root(path.as_std_path()) else { return };
        match disk.stat(At::itself(&dir)) {
            Ok(stat) => {
                if let Some(why) = stat.as_ref().and_then(exposed) {
                    self.fault(about, format!("{path}: {why}"));
                }
            }
            Err(error) => self.fault(about, format!("{path}: {error}")),
        }
    }

    /// Copies of databases in the state directory that belong to an archive being made.
    fn copies(&mut self, disk: &dyn Disk, state: &Utf8Path) {
        let names = disk.open_root(state.as_std_path()).and_then(|dir| disk.list(&dir)).unwrap_or_default();
        for name in names.iter().filter_map(|name| name.to_str()).filter(|name| name.starts_with("create-")) {
            let text = "holds copies of databases: an archive is being made, or the making of one was killed; \
                        the next `tmp archive create` of that site removes them";
            self.warn("state directory", format!("{name} {text}"));
        }
    }

    fn site(&mut self, disk: &std::sync::Arc<dyn Disk>, site: &Site, here: &[&MigrationSummary]) {
        let about = site.to_string();
        let open: Vec<_> = here.iter().filter(|summary| journals::is_open(summary)).collect();
        for summary in &open {
            self.fault(
                &about,
                format!("migration {} is not settled ({}); `tmp recover`", summary.id, summary.phase),
            );
        }
        match Tree::open(disk, Path::new(&site.root)) {
            Ok(tree) => self.tree(disk.as_ref(), site, &tree, open.is_empty()),
            Err(error) => self.fault(&about, format!("{error}: {}", error.source)),
        }
        for mut database in opening::databases(site) {
            let about = format!("{about}, database {}", database.name());
            match database.inspect() {
                Ok(facts) => {
                    let mut text = format!("{}, {}", facts.version, render::bytes(facts.size));
                    for note in &facts.notes {
                        push!(text, "; {note}");
                    }
                    self.ok(&about, text);
                }
                Err(error) => self.fault(&about, error.to_string()),
            }
            database.release();
            if let Some(folder) = database.files().first().and_then(|file| file.parent()) {
                self.place(&about, disk.as_ref(), folder, site.ephemeral);
            }
        }
    }

    fn tree(&mut self, disk: &dyn Disk, site: &Site, tree: &Tree, settled: bool) {
        let about = site.to_string();
        let at_work = nearest(disk, &site.work);
        let mounts = disk.stat(At::itself(tree.root())).and_then(|root| {
            let work = at_work.as_ref().map_err(|error| std::io::Error::from(error.kind()))?;
            Ok((root, disk.stat(At::itself(work))?))
        });
        match mounts {
            Ok((Some(root), Some(work))) if root.mount == work.mount => {}
            Ok(_) => {
                let help = "leave `work:` out, or name a directory on that mount";
                self.fault(
                    &about,
                    format!("the work directory {} is not on the mount of the root; {help}", site.work),
                );
            }
            Err(error) => self.fault(&about, format!("the work directory {}: {error}", site.work)),
        }
        self.place(&about, disk, &site.root, site.ephemeral);
        self.private(&about, disk, &site.work);
        match disk.open_root(Path::new(&site.work)) {
            Ok(work) if settled => {
                self.probe(&about, tree, &work, site);
                self.leftovers(&about, disk, &work);
            }
            Ok(_) => self.warn(&about, "not probed while a migration is open".into()),
            Err(_) => self.ok(&about, format!("{} is made and probed at the first migration", site.work)),
        }
    }

    fn probe(&mut self, about: &str, tree: &Tree, work: &Dir, site: &Site) {
        match probe(tree, work, site.ephemeral) {
            Ok(found) if found.exchange => {
                self.ok(about, "every operation works here, the exchange of names too".into());
            }
            Ok(_) if site.switch == Switch::Atomic => {
                self.fault(about, "names cannot be exchanged here, which `switch: atomic` needs".into());
            }
            Ok(_) => {
                self.warn(
                    about,
                    "names cannot be exchanged here; files are linked aside and replaced".into(),
                );
            }
            Err(error) => self.fault(about, error.to_string()),
        }
    }

    fn leftovers(&mut self, about: &str, disk: &dyn Disk, work: &Dir) {
        let Ok(names) = disk.list(work) else { return };
        for name in names {
            let text = name.to_string_lossy();
            if text.starts_with("slots-") || text.starts_with("gc-") {
                self.warn(
                    about,
                    format!(
                        "{text} is left in the work directory; the next migration removes it, or keeps it aside \
                         where a person settled what it belongs to"
                    ),
                );
            }
        }
    }

    /// Removes what dead rehearsals of a site left, and says so.
    fn rehearsals(&mut self, config: &Config, site: &Site) {
        let about = site.to_string();
        match leftovers(&opening::workplace(config, site)) {
            Ok(removed) => removed.iter().for_each(|folder| {
                self.warn(&about, format!("a dead rehearsal had left {folder}; it is removed"));
            }),
            Err(error) => self.fault(&about, format!("{error}: {}", error.source)),
        }
    }

    /// One line for a utility, however many of its commands run the same program.
    fn utility(&mut self, name: &str, utility: &Utility) {
        let about = format!("utility {name}");
        let commands = [Some(&utility.export), Some(&utility.import), utility.verify.as_ref()];
        let programs = commands.into_iter().flatten().filter_map(|command| command.first());
        let programs: BTreeSet<&str> = programs.map(String::as_str).collect();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = |program: &str| {
            program.contains('/')
                || std::env::split_paths(&path).any(|folder| folder.join(OsStr::new(program)).is_file())
        };
        let missing: Vec<_> = programs.iter().copied().filter(|program| !found(program)).collect();
        if missing.is_empty() {
            self.ok(&about, programs.into_iter().collect::<Vec<_>>().join(", "));
        } else {
            self.fault(&about, format!("not in PATH: {}", missing.join(", ")));
        }
    }
}

fn nearest(disk: &dyn Disk, path: &Utf8Path) -> std::io::Result<Dir> {
    let mut found = disk.open_root(path.as_std_path());
    for ancestor in path.ancestors().skip(1) {
        match &found {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                found = disk.open_root(ancestor.as_std_path());
            }
            _ => break,
        }
    }
    found
}
