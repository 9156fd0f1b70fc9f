//! What an enhancement must keep to be migrated, whether it is being packaged or comes out of a
//! trigger file that anybody may have made.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    fmt,
};

use tmp_core::{
    Digest, EnhancementId, ModulePath,
    enhancement::{Command, Enhancement, Probe, SCHEMA, SqlRollback, TransactionMode},
    id::StepName,
    module::{Change, Content, ModuleChange},
    plan::is_engines_own,
};

use crate::{address, limits, mistake::Rule, rules};

/// What breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFault {
    /// The broken rule.
    pub rule: &'static Rule,
    /// Where.
    pub place: ManifestPlace,
    /// What is wrong.
    pub message: String,
    /// How to mend it; empty where the rule says it all.
    pub help: &'static str,
}

/// A place in a manifest: one of its lists, and an item of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestPlace {
    /// The field.
    pub field: &'static str,
    /// The item, from 0.
    pub item: Option<usize>,
    /// The field of the item.
    pub of_item: &'static str,
}

impl fmt::Display for ManifestPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field)?;
        self.item.map_or(Ok(()), |item| write!(f, "[{item}]"))?;
        if self.of_item.is_empty() { Ok(()) } else { write!(f, ".{}", self.of_item) }
    }
}

impl fmt::Display for ManifestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.rule.id, self.message)
    }
}

/// Every fault of `enhancement`.
pub(crate) fn faults(enhancement: &Enhancement) -> Vec<ManifestFault> {
    let mut check = Check { faults: Vec::new() };
    check.counts(enhancement);
    if !check.faults.is_empty() {
        // The time that the rest takes is bounded by these counts.
        return check.faults;
    }
    check.whole(enhancement);
    check.modules(&enhancement.modules);
    check.relations(enhancement);
    check.steps(enhancement);
    check.sizes(enhancement);
    check.faults
}

struct Check {
    faults: Vec<ManifestFault>,
}

const fn field(field: &'static str) -> ManifestPlace {
    ManifestPlace { field, item: None, of_item: "" }
}

const fn item(field: &'static str, item: usize, of_item: &'static str) -> ManifestPlace {
    ManifestPlace { field, item: Some(item), of_item }
}

impl Check {
    fn fault(&mut self, rule: &'static Rule, place: ManifestPlace, message: impl Into<String>) {
        self.helped(rule, place, message, "");
    }

    fn helped(
        &mut self,
        rule: &'static Rule,
        place: ManifestPlace,
        message: impl Into<String>,
        help: &'static str,
    ) {
        self.faults.push(ManifestFault { rule, place, message: message.into(), help });
    }

    fn whole(&mut self, enhancement: &Enhancement) {
        if enhancement.schema != SCHEMA {
            let message = format!("{:?} is not {SCHEMA:?}", enhancement.schema);
            self.fault(&rules::BAD_VALUE, field("schema"), message);
        }
        if enhancement.title.is_empty() || enhancement.title.chars().any(char::is_control) {
            self.fault(&rules::BAD_VALUE, field("title"), "the title is one line of text");
        }
        if enhancement.max_duration_s == Some(0) {
            self.fault(&rules::BAD_VALUE, field("max_duration"), "no migration takes no time");
        }
    }

    fn counts(&mut self, enhancement: &Enhancement) {
        for (name, count, most) in [
            ("modules", enhancement.modules.len(), limits::MODULES),
            ("sql", enhancement.sql.len(), limits::STEPS),
            ("control_objects", enhancement.control_objects.len(), limits::STEPS),
            ("batch", enhancement.batch.len(), limits::STEPS),
            ("after_rollback", enhancement.after_rollback.len(), limits::STEPS),
            ("verify", enhancement.verify.len(), limits::STEPS),
            ("requires", enhancement.requires.len(), limits::RELATIONS),
            ("together_with", enhancement.together_with.len(), limits::RELATIONS),
            ("conflicts_with", enhancement.conflicts_with.len(), limits::RELATIONS),
            ("batch", enhancement.batch.iter().map(|step| step.writes.len()).sum(), limits::STEPS),
        ] {
            if count > most {
                self.fault(&rules::LIMIT, field(name), format!("{count} items are more than {most}"));
            }
        }
    }

    fn modules(&mut self, modules: &[ModuleChange]) {
        self.twins(modules);
        if !modules.is_sorted_by(|a, b| a.path <= b.path) {
            self.fault(
                &rules::BAD_VALUE,
                field("modules"),
                "the modules are not in the order of their paths",
            );
        }
        // In the order of the paths, what a module lies below comes before it, so a stack will do.
        let mut closed: Vec<(&ModulePath, &'static str)> = Vec::new();
        for (at, module) in modules.iter().enumerate() {
            while closed.last().is_some_and(|(above, _)| !module.path.is_below(above)) {
                closed.pop();
            }
            if let (Some((above, becomes)), Change::Put(_)) = (closed.last(), &module.change) {
                let message = format!("{} cannot be put below {above}, which {becomes}", module.path);
                self.fault(&rules::MODULE_CONFLICT, item("modules", at, ""), message);
            }
            match &module.change {
                Change::Put(Content::File { .. }) => closed.push((&module.path, "becomes a file")),
                Change::Put(Content::Symlink { .. }) => closed.push((&module.path, "becomes a symlink")),
                Change::Remove => closed.push((&module.path, "is removed")),
                Change::Put(Content::Directory { .. }) => {}
            }
            self.module(at, module);
        }
    }

    /// Compares digests of the keys, which take less memory than the keys of a large enhancement.
    fn twins(&mut self, modules: &[ModuleChange]) {
        let key = |module: &ModuleChange| Digest::of(module.path.twin_key().as_bytes());
        let mut keys: Vec<_> = modules.iter().enumerate().map(|(at, module)| (key(module), at)).collect();
        keys.sort_unstable();
        let mut twins: Vec<(usize, String)> = Vec::new();
        for group in keys.chunk_by(|(key, _), (next, _)| key == next).filter(|group| group.len() > 1) {
            let mut named = group.iter().filter_map(|(_, at)| Some((*at, &modules.get(*at)?.path)));
            let Some((_, first)) = named.next() else { continue };
            let mut paths = BTreeSet::from([first]);
            twins.extend(named.map(|(at, path)| {
                let twice = !paths.insert(path);
                (at, if twice { format!("{path} is changed twice") } else { alike(path, first) })
            }));
        }
        twins.sort_unstable();
        for (at, message) in twins {
            self.fault(&rules::DUPLICATE_MODULE, item("modules", at, ""), message);
        }
    }

    fn module(&mut self, at: usize, module: &ModuleChange) {
        if let Change::Put(Content::Symlink { target }) = &module.change
            && (target.is_empty() || target.len() > 4095 || target.contains('\0'))
        {
            let message = format!("the target of the symlink {} cannot be one", module.path);
            self.fault(&rules::PATH, item("modules", at, ""), message);
        }
        if module.owner.as_deref().is_some_and(|owner| !is_owner(owner)) {
            let message = format!("{:?} is not an owner", module.owner.as_deref().unwrap_or_default());
            self.fault(&rules::OWNER, item("modules", at, "owner"), message);
        }
    }

    fn relations(&mut self, enhancement: &Enhancement) {
        let lists: [(&'static str, &[EnhancementId]); 3] = [
            ("requires", &enhancement.requires),
            ("together_with", &enhancement.together_with),
            ("conflicts_with", &enhancement.conflicts_with),
        ];
        for (name, list) in lists {
            for (at, id) in list.iter().enumerate() {
                let place = item(name, at, "");
                if *id == enhancement.id {
                    self.fault(&rules::RELATION, place, format!("{id} is this enhancement itself"));
                }
                if list.iter().take(at).any(|other| other == id) {
                    self.fault(&rules::RELATION, place, format!("{id} is named twice"));
                }
                let wanted = enhancement.requires.contains(id) || enhancement.together_with.contains(id);
                if name == "conflicts_with" && wanted {
                    self.fault(&rules::RELATION, place, format!("{id} is wanted as well as unwanted"));
                }
            }
        }
    }

    fn steps(&mut self, enhancement: &Enhancement) {
        let mut names = BTreeMap::new();
        let mut alone = false;
        for (at, change) in enhancement.sql.iter().enumerate() {
            self.name(&mut names, &change.name, "sql", at);
            if !enhancement.databases.contains_key(&change.database) {
                let message = format!("{} is not declared under databases", change.database);
                self.fault(&rules::DATABASE, item("sql", at, "database"), message);
            }
            match change.transaction {
                TransactionMode::None => alone = true,
                TransactionMode::Shared if alone => {
                    let message = format!("{} comes after a change without a transaction", change.name);
                    self.fault(&rules::SQL_ORDER, item("sql", at, ""), message);
                }
                TransactionMode::Shared => {}
            }
            if matches!(&change.rollback, SqlRollback::Irreversible { why } if why.trim().is_empty()) {
                let message = "say why it cannot be taken back";
                self.fault(&rules::BAD_VALUE, item("sql", at, "rollback"), message);
            }
        }
        for (at, step) in enhancement.batch.iter().enumerate() {
            self.name(&mut names, &step.name, "batch", at);
            self.command(&step.run, item("batch", at, "run"));
            if let Some(rollback) = &step.rollback {
                self.command(rollback, item("batch", at, "rollback"));
            }
            for glob in &step.writes {
                if let Err(message) = crate::glob::check(glob) {
                    self.fault(&rules::WRITES, item("batch", at, "writes"), message);
                }
            }
        }
        for (at, command) in enhancement.after_rollback.iter().enumerate() {
            self.command(command, item("after_rollback", at, "run"));
        }
        for (at, check) in enhancement.verify.iter().enumerate() {
            self.name(&mut names, &check.name, "verify", at);
            self.probe(&check.probe, at);
            self.digest(enhancement, &check.probe, at);
        }
    }

    fn probe(&mut self, probe: &Probe, at: usize) {
        match probe {
            Probe::Command(command) => self.command(command, item("verify", at, "run")),
            Probe::Http { url, status } => {
                let known = ["http://", "https://", "{site.url}"];
                let rest = url.replace("{site.url}", "");
                let odd = rest.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '{' | '}'));
                if address::has_credentials(url) {
                    let (place, message) = (item("verify", at, "http"), address::CREDENTIALS);
                    self.helped(address::rule(), place, message, address::HELP);
                } else if odd || !known.iter().any(|start| url.starts_with(start)) {
                    let message = format!("{url:?} is not an address: http://…, https://… or {{site.url}}…");
                    self.fault(&rules::BAD_VALUE, item("verify", at, "http"), message);
                }
                if !(100..=599).contains(status) {
                    let message = format!("{status} is not a status of HTTP");
                    self.fault(&rules::BAD_VALUE, item("verify", at, "status"), message);
                }
            }
            Probe::Digest { .. } => {}
        }
    }

    /// A check of a module that this enhancement puts must expect what it puts.
    fn digest(&mut self, enhancement: &Enhancement, probe: &Probe, at: usize) {
        let Probe::Digest { path, digest } = probe else { return };
        let at_path = enhancement.modules.binary_search_by(|module| module.path.cmp(path));
        let module = at_path.ok().and_then(|at| enhancement.modules.get(at));
        let passes = match module.map(|module| &module.change) {
            Some(Change::Put(Content::File { digest: put, .. })) => put == digest,
            Some(_) => false,
            None => true,
        };
        if !passes {
            let message = format!("{path} will not have the digest {digest}");
            self.fault(&rules::BAD_VALUE, item("verify", at, "digest"), message);
        }
    }

    fn name<'a>(
        &mut self,
        names: &mut BTreeMap<&'a StepName, (&'static str, usize)>,
        name: &'a StepName,
        list: &'static str,
        at: usize,
    ) {
        if is_engines_own(name) {
            let message = format!("{name} is the name of a step of TMP's own");
            let help = "give it another name: post-image, after-rollback and control-object-… are taken";
            self.helped(&rules::RESERVED_NAME, item(list, at, "name"), message, help);
        }
        match names.entry(name) {
            btree_map::Entry::Vacant(free) => drop(free.insert((list, at))),
            btree_map::Entry::Occupied(taken) => {
                let (list_before, before) = taken.get();
                let message = format!("{name} is the name of {list_before}[{before}] already");
                self.fault(&rules::DUPLICATE_NAME, item(list, at, "name"), message);
            }
        }
    }

    fn command(&mut self, command: &Command, place: ManifestPlace) {
        let program = command.run.first().map(String::as_str).unwrap_or_default();
        if program.is_empty() {
            self.fault(&rules::COMMAND, place, "there is no program to run");
        } else if program.contains('/') {
            let path = program.strip_prefix('/').unwrap_or(program);
            if let Err(error) = path.parse::<ModulePath>() {
                let message = format!("{program:?} is not the path of a program: {}", error.fault);
                let help = "name a program below the root (bin/reindex), one of the target host \
                            (/usr/bin/systemctl), or one that is looked up in PATH (systemctl)";
                self.helped(&rules::COMMAND, place, message, help);
            }
        }
        if command.run.iter().any(|part| part.contains('\0')) {
            self.fault(&rules::COMMAND, place, "an argument holds a NUL byte");
        }
        if command.timeout_s == 0 {
            self.fault(&rules::COMMAND, place, "no command takes no time");
        }
    }

    /// Every content has one size, and a script can be read whole.
    fn sizes(&mut self, enhancement: &Enhancement) {
        let mut sizes: Vec<_> = contents(enhancement).collect();
        sizes.sort_unstable();
        sizes.dedup();
        for same in sizes.chunk_by(|(digest, _), (next, _)| digest == next) {
            if let [(digest, _), _, ..] = same {
                let message = format!("{digest} is given two sizes");
                self.fault(&rules::BAD_VALUE, field("modules"), message);
            }
        }
        for script in enhancement.scripts() {
            if script.size > limits::SCRIPT {
                let message = format!("{} is longer than {} bytes", script.name, limits::SCRIPT);
                self.fault(&rules::LIMIT, field("sql"), message);
            }
        }
    }
}

fn alike(path: &ModulePath, twin: &ModulePath) -> String {
    format!("{path} and {twin} differ only in case or Unicode composition")
}

/// The content of every script in the order of their use, and of every module by digest; some more than once.
fn contents(enhancement: &Enhancement) -> impl Iterator<Item = (Digest, u64)> {
    let scripts = enhancement.scripts().map(|script| (script.digest, script.size));
    let files = enhancement.modules.iter().filter_map(|module| match &module.change {
        Change::Put(Content::File { digest, size, .. }) => Some((*digest, *size)),
        Change::Put(_) | Change::Remove => None,
    });
    let mut modules: Vec<_> = files.collect();
    modules.sort_unstable();
    modules.dedup();
    scripts.chain(modules)
}

/// The members of a payload after the manifest, each once: scripts as they are used, then the rest by digest.
pub(crate) fn members(enhancement: &Enhancement) -> Vec<(Digest, u64)> {
    let mut scripts = BTreeSet::new();
    let count = enhancement.scripts().count();
    let each = contents(enhancement).enumerate();
    let once = each.filter(
        |(at, (digest, _))| if *at < count { scripts.insert(*digest) } else { !scripts.contains(digest) },
    );
    let mut members: Vec<_> = once.map(|(_, member)| member).collect();
    members.dedup_by_key(|(digest, _)| *digest);
    members
}

fn is_owner(text: &str) -> bool {
    let part = |part: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        !part.is_empty() && part.len() <= 64 && part.bytes().all(plain) && !part.starts_with('-')
    };
    match text.split_once(':') {
        Some((user, group)) => part(user) && part(group),
        None => part(text),
    }
}
