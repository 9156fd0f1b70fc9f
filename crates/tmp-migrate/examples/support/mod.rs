//! What an embedder brings to the engine: a place, contents.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    io,
    path::Path,
    sync::Arc,
};

use camino::Utf8Path;
use tmp_core::{
    Digest, EnvironmentName, Mode,
    contents::{Contents, Visitor},
    enhancement::{Enhancement, Script},
    module::{Change, Content, ItemKind, ModuleChange},
    plan::{Provenance, Switch, Target},
};
use tmp_disk::{RealDisk, SystemClock};
use tmp_migrate::Workplace;

/// What `main` answers.
pub(crate) type Done<T = ()> = Result<T, Box<dyn Error>>;

/// Where the engine works: the system is in `live`, the engine's own files are beside it.
pub(crate) fn workplace(dir: &Path) -> Done<Workplace> {
    let base = Utf8Path::from_path(dir).ok_or("the temporary directory has a name that is not UTF-8")?;
    let target = Target {
        system: "billing".parse()?,
        environment: EnvironmentName::Model,
        site: "here".parse()?,
        root: base.join("live"),
        work: base.join(".tmp-work"),
        url: None,
        ignore: Vec::new(),
        ephemeral: true, // the temporary directory may be in memory
        switch: Switch::Files,
    };
    let clock = Arc::new(SystemClock::new());
    Ok(Workplace { target, state: base.join("state"), disk: Arc::new(RealDisk), clock })
}

/// New content by its digest.
#[derive(Default)]
pub(crate) struct Payload(BTreeMap<Digest, Vec<u8>>);

impl Payload {
    /// A file that takes the place of whatever is at `path`.
    pub(crate) fn put(&mut self, path: &str, text: &str) -> Done<ModuleChange> {
        let Script { digest, size, .. } = self.script(path, text);
        let change = Change::Put(Content::File { digest, size, mode: Mode::PROGRAM });
        Ok(ModuleChange { path: path.parse()?, change, expected: None, owner: None, kind: ItemKind::Program })
    }

    /// A text that a step runs.
    pub(crate) fn script(&mut self, name: &str, text: &str) -> Script {
        let digest = Digest::of(text.as_bytes());
        self.0.insert(digest, text.into());
        Script { name: name.into(), digest, size: text.len() as u64 }
    }

    /// What a plan says of where these contents are from; a trigger file has digests of its own.
    pub(crate) fn provenance(&self) -> Provenance {
        let all: Vec<u8> = self.0.keys().flat_map(|digest| digest.to_string().into_bytes()).collect();
        let digest = Digest::of(&all);
        Provenance { trigger: digest, payload: digest, reason: Some("an example".into()) }
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

/// An enhancement of these modules and nothing else.
pub(crate) fn enhancement(id: &str, modules: Vec<ModuleChange>) -> Done<Enhancement> {
    Ok(Enhancement { modules, ..Enhancement::new(id.parse()?, "billing".parse()?, "An example") })
}
