//! Makes the manifest of an enhancement out of its description and the files beside it, and finds
//! everything that is wrong with them on the way.

mod base;
mod candidate;
mod label;
mod modules;
mod steps;
mod surroundings;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;
use tmp_core::{
    Digest,
    enhancement::{DatabaseEngine, Enhancement, SCHEMA, TransactionMode},
};

use crate::{
    document::{Document, FieldPath, LONGEST},
    header::Attachment,
    manifest::{self, ManifestPlace},
    mistake::{Mistake, Mistakes, Rule},
    package::Trees,
    rules,
    source::{EnhancementFile, FILE, Span, TEXTS},
    sources::{SourceFault, Sources},
    tree::{Place, SourceTree},
};

/// Checks SQL scripts when they are packaged. The command line wires it to tmp-sql.
pub trait ScriptCheck {
    /// Everything that keeps `text` from running as it must.
    fn check(
        &self,
        engine: DatabaseEngine,
        transaction: TransactionMode,
        role: ScriptRole,
        text: &[u8],
    ) -> Vec<ScriptMistake>;
}

/// What a script is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptRole {
    /// It makes the change.
    Apply,
    /// It takes the change back.
    Rollback,
    /// It decides whether the change is right.
    Verify,
}

/// Something that keeps a script from running as it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptMistake {
    /// The line, from 1.
    pub line: u64,
    /// The column in characters, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

/// An enhancement that can be packaged.
#[derive(Debug)]
pub struct Checked {
    /// What `enhancement.yaml` says.
    pub source: EnhancementFile,
    /// What its manifest will say.
    pub enhancement: Enhancement,
    /// The files that people are referred to.
    pub attachments: Vec<Attachment>,
    /// What is allowed and should be known.
    pub warnings: Vec<Mistake>,
    pub(crate) contents: BTreeMap<Digest, Place>,
}

/// Checks the enhancement in `tree` whole and changes nothing.
///
/// # Errors
/// Everything that is wrong with `enhancement.yaml`, the files beside it and its scripts.
pub fn check(tree: &Arc<dyn SourceTree>, scripts: &dyn ScriptCheck) -> Result<Checked, Mistakes> {
    assemble(tree, &Trees::None, scripts)
}

pub(crate) fn assemble(
    tree: &Arc<dyn SourceTree>,
    trees: &Trees,
    scripts: &dyn ScriptCheck,
) -> Result<Checked, Mistakes> {
    let name = tree.shown(FILE);
    let unreadable =
        |message: &str| Mistakes::new(vec![Mistake::of_file(&rules::FILE, &name, message.to_owned(), "")]);
    let sources = Sources::new(tree);
    let file = sources.file(FILE).map_err(|fault| unreadable(&fault.message))?;
    let bytes = file
        .read_bounded(LONGEST as u64 + 1)
        .map_err(|error| unreadable(&format!("it cannot be read: {error}")))?;
    let stand_in = json!({
        "schema": crate::source::SCHEMA, "id": "unnamed", "revision": 1, "title": "untitled", "system": "unnamed"
    });
    let document = Document::<EnhancementFile>::read(&name, &bytes, TEXTS, &stand_in);
    let Some(source) = document.value.clone() else {
        return Err(document.finish(Vec::new()).err().unwrap_or_else(|| Mistakes::new(Vec::new())));
    };
    let mut assembly = Assembly {
        document: &document,
        source: &source,
        sources,
        scripts,
        mistakes: Vec::new(),
        warnings: Vec::new(),
        contents: BTreeMap::new(),
    };
    let label = assembly.label(tree.label());
    let modules = assembly.modules(trees);
    let origins: Vec<_> = modules.iter().map(|(_, origin)| *origin).collect();
    let enhancement = Enhancement {
        schema: SCHEMA.to_owned(),
        id: source.id.clone(),
        revision: source.revision,
        title: source.title.clone(),
        system: source.system.clone(),
        databases: source.databases.iter().map(|(name, entry)| (name.clone(), entry.engine)).collect(),
        modules: modules.into_iter().map(|(module, _)| module).collect(),
        sql: assembly.sql(),
        control_objects: assembly.control_objects(),
        batch: steps::batch(&source),
        after_rollback: steps::after_rollback(&source),
        verify: assembly.checks(),
        requires: source.requires.clone(),
        together_with: source.together_with.clone(),
        conflicts_with: source.conflicts_with.clone(),
        max_duration_s: source.max_duration.as_ref().map(Span::seconds),
    };
    let attachments = assembly.surroundings();
    assembly.manifest(&enhancement, &origins);
    let Assembly { mistakes, warnings, contents, .. } = assembly;
    let mut source = document.finish(mistakes)?;
    source.label = label;
    Ok(Checked { source, enhancement, attachments, warnings, contents })
}

struct Assembly<'a> {
    document: &'a Document<EnhancementFile>,
    source: &'a EnhancementFile,
    sources: Sources,
    scripts: &'a dyn ScriptCheck,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    contents: BTreeMap<Digest, Place>,
}

impl Assembly<'_> {
    fn wrong(
        &mut self,
        rule: &'static Rule,
        path: &FieldPath,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.mistakes.push(self.document.mistake(rule, path, message.into(), help));
    }

    fn wrong_source(&mut self, path: &FieldPath, fault: SourceFault) {
        self.wrong(fault.rule, path, fault.message, fault.help);
    }

    /// Turns the faults of the manifest into mistakes of the description.
    fn manifest(&mut self, enhancement: &Enhancement, origins: &[Option<usize>]) {
        for fault in manifest::faults(enhancement) {
            if fault.rule == &rules::DATABASE && self.document.lost("databases") {
                continue;
            }
            let path = place_of(&fault.place, origins);
            self.wrong(fault.rule, &path, fault.message, fault.help);
        }
    }
}

/// Where the description says what the manifest has at `place`.
fn place_of(place: &ManifestPlace, origins: &[Option<usize>]) -> FieldPath {
    let list = FieldPath::top().field(place.field);
    let item = match place.item {
        Some(at) if place.field == "modules" => origins.get(at).copied().flatten(),
        item => item,
    };
    match item {
        Some(at) if place.of_item.is_empty() => list.index(at),
        Some(at) => list.index(at).field(place.of_item),
        None => list,
    }
}
