//! What a `tmp.yaml` must keep beyond its schema.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use tmp_core::path::RESERVED;
use tmp_trigger::{
    Mistake, Rule, address,
    document::{Document, FieldPath, TextCheck},
};

use super::{
    grants,
    resolve::default_work,
    schema::{Commands, Database, Environment, Grants, Network, NotYet, Site, Switch, TmpYaml},
};
use crate::{files, rules};

/// The types whose texts have a grammar of their own.
pub(super) fn texts() -> [TextCheck; 4] {
    const HELP: &str =
        "1 to 64 lower-case letters, digits, '-', '_' and '.', beginning with a letter or digit";
    fn check<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<(), String> {
        text.parse::<T>().map(drop).map_err(|error| error.to_string())
    }
    [
        TextCheck { schema: "SystemName", check: check::<tmp_core::SystemName>, help: HELP },
        TextCheck { schema: "SiteName", check: check::<tmp_core::SiteName>, help: HELP },
        TextCheck { schema: "DatabaseName", check: check::<tmp_core::DatabaseName>, help: HELP },
        TextCheck {
            schema: "Size",
            check: |text| grants::bytes(text).map(drop),
            help: "a number of MiB or GiB, at least 16MiB: 512MiB, 2GiB",
        },
    ]
}

/// A document with every field that is required.
pub(super) fn stand_in() -> Value {
    json!({ "schema": "tmp/v1", "state": "state" })
}

/// Everything wrong with what the document means. Paths start at `folder`; `state` is the state
/// directory where the document's own does not count.
pub(super) fn mistakes(
    document: &Document<TmpYaml>,
    folder: &Utf8Path,
    state: Option<&Utf8Path>,
) -> Vec<Mistake> {
    let Some(value) = &document.value else { return Vec::new() };
    let mut check = Check { document, folder, mistakes: Vec::new() };
    check.top(value);
    let mut places = Vec::new();
    let systems = FieldPath::top().field("systems");
    for (name, system) in &value.systems {
        let at = systems.field(name.as_str());
        if let Some(granted) = &system.commands {
            check.grants(&at.field("commands"), granted, value.policy.commands);
        }
        for (name, environment) in [("model", &system.model), ("production", &system.production)] {
            if let Some(environment) = environment {
                check.environment(&at.field(name), environment, &mut places);
            }
        }
    }
    let state = state.map_or_else(|| files::join(folder, value.state.as_ref()), Utf8Path::to_owned);
    check.places(&places, &files::real(&state));
    check.mistakes
}

struct Check<'a> {
    document: &'a Document<TmpYaml>,
    folder: &'a Utf8Path,
    mistakes: Vec<Mistake>,
}

/// Where a site keeps things, as the kernel knows the paths.
struct Place {
    at: FieldPath,
    root: Utf8PathBuf,
    work: Utf8PathBuf,
    databases: BTreeMap<String, Utf8PathBuf>,
    switch: Switch,
}

impl Check<'_> {
    fn wrong(&mut self, rule: &'static Rule, at: &FieldPath, message: String, help: &str) {
        self.mistakes.push(self.document.mistake(rule, at, message, help));
    }

    fn not_yet(&mut self, at: &FieldPath, name: &str, value: Option<NotYet>, what: &str) {
        if value.is_some() {
            let message = format!("{what} not exist yet, so `{name}` would be ignored");
            self.wrong(&rules::NOT_YET, &at.field(name), message, "take it out until a release reads it");
        }
    }

    fn top(&mut self, value: &TmpYaml) {
        let top = FieldPath::top();
        self.not_yet(&top, "ledger", value.ledger, "ledgers do");
        self.not_yet(&top, "archive", value.archive, "archives outside the state directory do");
        self.not_yet(&top, "people", value.people, "people and their roles do");
        self.not_yet(&top, "windows", value.windows, "windows do");
        self.not_yet(&top, "freezes", value.freezes, "freezes do");
        self.not_yet(&top, "notify", value.notify, "notices do");
        self.not_yet(&top, "smtp", value.smtp, "notices do");
        let (at, policy) = (top.field("policy"), &value.policy);
        self.not_yet(&at, "sign_offs", policy.sign_offs, "sign-offs do");
        self.not_yet(&at, "developer_may_approve_own", policy.developer_may_approve_own, "sign-offs do");
        self.not_yet(&at, "rehearsal", policy.rehearsal, "rehearsals do");
        self.not_yet(&at, "signatures", policy.signatures, "signatures do");
        self.not_yet(&at, "on_rejected_acceptance", policy.on_rejected_acceptance, "acceptances do");
    }

    fn grants(&mut self, at: &FieldPath, granted: &Grants, policy: Option<Commands>) {
        if policy != Some(Commands::Confined) {
            let message = "grants count only where policy confines commands".to_owned();
            let help = "write `policy: {commands: confined}`, or take them out";
            self.wrong(&rules::grants::WITHOUT, at, message, help);
        }
        for (field, paths) in [("read", &granted.read), ("write", &granted.write)] {
            for (index, path) in paths.iter().enumerate().filter(|(_, path)| !grants::is_path(path)) {
                let message = format!("{path:?} is no path that can be granted");
                let help = "name a directory or a file, without `..`, and not `/`";
                self.wrong(&rules::grants::PATH, &at.field(field).index(index), message, help);
            }
        }
        if granted.network == Network::Any && !granted.connect.is_empty() {
            let message = "`network: any` grants every port, so `connect` would be ignored".to_owned();
            self.wrong(&rules::grants::NETWORK, &at.field("connect"), message, "take one of the two out");
        }
    }

    fn environment(&mut self, at: &FieldPath, environment: &Environment, places: &mut Vec<Place>) {
        self.not_yet(at, "window", environment.window, "windows do");
        self.not_yet(at, "phases", environment.phases, "phases do");
        self.not_yet(at, "warranty", environment.warranty, "warranties do");
        for (name, site) in &environment.sites {
            let at = at.field("sites").field(name.as_str());
            self.site(&at, site);
            let root = files::join(self.folder, site.root.as_ref());
            let work = site
                .work
                .as_ref()
                .map_or_else(|| default_work(&root), |work| files::join(self.folder, work.as_ref()));
            let databases = site.databases.iter().filter_map(|(name, database)| {
                let file = files::join(self.folder, database.sqlite.as_deref()?.as_ref());
                Some((name.to_string(), files::real(&file)))
            });
            let (databases, switch) = (databases.collect(), site.switch);
            places.push(Place { at, root: files::real(&root), work: files::real(&work), databases, switch });
        }
    }

    fn site(&mut self, at: &FieldPath, site: &Site) {
        self.not_yet(at, "quiet", site.quiet, "measures of low use do");
        for (field, text) in [("root", Some(&site.root)), ("work", site.work.as_ref())] {
            if text.is_some_and(String::is_empty) {
                let message = "the path is empty".to_owned();
                self.wrong(&rules::EMPTY_PATH, &at.field(field), message, "name a directory");
            }
        }
        if site.url.as_deref().is_some_and(address::has_credentials) {
            let message = address::CREDENTIALS.to_owned();
            self.wrong(address::rule(), &at.field("url"), message, address::HELP);
        }
        for (name, database) in &site.databases {
            self.database(&at.field("databases").field(name.as_str()), database);
        }
    }

    fn database(&mut self, at: &FieldPath, database: &Database) {
        self.not_yet(at, "postgres", database.postgres, "PostgreSQL targets do");
        self.not_yet(at, "mysql", database.mysql, "MySQL targets do");
        self.not_yet(at, "mariadb", database.mariadb, "MariaDB targets do");
        let later = database.postgres.or(database.mysql).or(database.mariadb);
        match &database.sqlite {
            Some(path) if path.is_empty() => {
                let message = "the path is empty".to_owned();
                self.wrong(&rules::EMPTY_PATH, &at.field("sqlite"), message, "name the file of the database");
            }
            None if later.is_none() => {
                let message = "it is not said where the database is".to_owned();
                self.wrong(&rules::DATABASE_PLACE, at, message, "write {sqlite: PATH}");
            }
            _ => {}
        }
    }

    /// Roots, work directories and databases must not get in each other's way.
    fn places(&mut self, places: &[Place], state: &Utf8Path) {
        for place in places {
            if state.starts_with(&place.root) {
                let message = format!("the root {} holds the state directory {state}", place.root);
                self.wrong(
                    &rules::NESTED,
                    &place.at.field("root"),
                    message,
                    "keep the state directory elsewhere",
                );
            }
            if place.work.starts_with(&place.root) && place.work != place.root.join(RESERVED) {
                let message = format!("the work directory {} lies inside the root", place.work);
                let help = "put it beside the root; inside it only ROOT/.tmp-work may be";
                self.wrong(&rules::NESTED, &place.at.field("work"), message, help);
            }
            if place.root.starts_with(&place.work) {
                let message = format!("the work directory {} holds the root", place.work);
                self.wrong(&rules::NESTED, &place.at.field("work"), message, "put it beside the root");
            }
            if place.switch == Switch::Atomic {
                self.exchanged(place);
            }
        }
        self.apart(places);
    }

    /// A tree that is exchanged as a whole holds nothing but modules.
    fn exchanged(&mut self, place: &Place) {
        if place.work == place.root.join(RESERVED) {
            let message =
                format!("the work directory {} lies in the tree that would be exchanged", place.work);
            let help =
                "name a `root` that is no mount itself, so that it lies beside it, or write `switch: files`";
            self.wrong(&rules::atomic::OWN, &place.at.field("switch"), message, help);
        }
        for (name, file) in place.databases.iter().filter(|(_, file)| file.starts_with(&place.root)) {
            let message = format!("the database {file} lies in the tree that would be exchanged under it");
            let help = "keep it outside of the root, or write `switch: files`";
            self.wrong(&rules::atomic::DATABASE, &place.at.field("databases").field(name), message, help);
        }
    }

    /// No two sites share a tree, a work directory or a database.
    fn apart(&mut self, places: &[Place]) {
        let help = "every site needs a tree, a work directory and databases of its own";
        let (mut roots, mut works, mut files) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (index, place) in places.iter().enumerate() {
            roots.entry(place.root.as_path()).or_insert(index);
            works.entry(place.work.as_path()).or_insert(index);
        }
        let above = |path: &Utf8Path, index: usize| {
            let found =
                path.ancestors().filter_map(|above| roots.get(above).copied()).find(|at| *at != index);
            found.and_then(|at| Some((at, places.get(at)?)))
        };
        for (index, place) in places.iter().enumerate() {
            if let Some((at, other)) = above(&place.root, index) {
                let (place, other) = if at < index { (place, other) } else { (other, place) };
                let message =
                    format!("the root {} and that of {} ({}) overlap", place.root, other.at, other.root);
                self.wrong(&rules::OVERLAP, &place.at.field("root"), message, help);
            } else if let Some(other) = works
                .get(place.work.as_path())
                .filter(|at| **at < index)
                .and_then(|at| places.get(*at))
                .or_else(|| above(&place.work, index).map(|(_, other)| other))
            {
                let message = format!("the work directory {} is not its own: see {}", place.work, other.at);
                self.wrong(&rules::OVERLAP, &place.at, message, help);
            }
            for (name, file) in &place.databases {
                let first = *files.entry(file.as_path()).or_insert(index);
                if let Some(other) = places.get(first).filter(|_| first < index) {
                    let message = format!("the database {file} is also one of {}", other.at);
                    self.wrong(&rules::OVERLAP, &place.at.field("databases").field(name), message, help);
                }
            }
        }
    }
}
