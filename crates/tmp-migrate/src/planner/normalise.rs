//! Turns the modules of an enhancement into operations that do not depend on each other.
//!
//! No operation's path is a prefix of another's, but for directories whose mode alone changes. So any
//! subset of operations, in any order, is a state that the way back understands, and one barrier
//! covers them all. A directory that appears, disappears or changes its type is one operation with
//! everything in it.

use std::collections::BTreeMap;

use globset::GlobSet;
use tmp_core::{
    ModulePath,
    module::{Attributes, Change, Content, Expected, Kind, ModuleChange},
    plan::{Action, Operation, StagedModule},
};
use tmp_disk::{DiskError, Observed, ObservedContent, Stat, Tree, observe};

use super::{Normalised, PlanFault};

/// Plans every module; what stands in the way of one does not keep the others from being looked at.
pub(super) fn normalise(
    tree: &Tree,
    changes: &[ModuleChange],
    (ignore, forbidden): (&GlobSet, &[ModulePath]),
    restored: &BTreeMap<ModulePath, Attributes>,
    faults: &mut Vec<PlanFault>,
) -> Normalised {
    let by_path = changes.iter().map(|change| (change.path.clone(), change)).collect();
    let mut normaliser = Normaliser {
        tree,
        changes: by_path,
        ignore,
        forbidden,
        restored,
        faults,
        result: Normalised::default(),
    };
    let mut covered: Option<ModulePath> = None;
    for change in changes {
        if covered.as_ref().is_some_and(|top| change.path.is_below(top)) {
            normaliser.expectation(change);
            continue;
        }
        match normaliser.module(change) {
            Ok(top) => covered = top,
            Err(error) => {
                let help = "TMP must be able to look at the module; mend its permissions or its parent";
                normaliser.fault("unreadable", &change.path, crate::text(&error), help);
            }
        }
    }
    normaliser.result
}

struct Normaliser<'a> {
    tree: &'a Tree,
    changes: BTreeMap<ModulePath, &'a ModuleChange>,
    ignore: &'a GlobSet,
    forbidden: &'a [ModulePath],
    /// Attributes of modules that come from an archive: those are put whatever stands there.
    restored: &'a BTreeMap<ModulePath, Attributes>,
    faults: &'a mut Vec<PlanFault>,
    result: Normalised,
}

impl Normaliser<'_> {
    fn fault(&mut self, rule: &'static str, path: &ModulePath, message: impl Into<String>, help: &str) {
        self.faults.push(PlanFault::new(rule, path, message, help));
    }

    /// Plans one module and answers the path below which everything belongs to its operation.
    fn module(&mut self, change: &ModuleChange) -> Result<Option<ModulePath>, DiskError> {
        let stat = self.tree.stat(&change.path)?;
        let kind = stat.map_or(Kind::Absent, |stat| stat.kind);
        self.expectation(change);
        if let Some(top) = self.missing_parent(&change.path)? {
            return Ok(self.below_missing(change, top));
        }
        match (&change.change, kind) {
            (_, Kind::Special) => {
                let help = "devices, FIFOs and sockets are no modules; leave them out";
                self.fault("special", &change.path, "a special file stands there", help);
                Ok(None)
            }
            (Change::Remove, Kind::Absent) => {
                if change.expected.is_none() {
                    let help = "leave it out, or package against the tree as it is now (--base)";
                    self.fault("absent", &change.path, "it is to be removed and is not there", help);
                }
                Ok(None)
            }
            (Change::Put(Content::Directory { mode }), Kind::Directory) => {
                let now = stat.map_or(*mode, |stat| stat.mode);
                if change.owner.is_some() {
                    let help = "leave the owner out; set it once by hand, or by a batch step";
                    self.fault(
                        "owner",
                        &change.path,
                        "the owner of a directory in place is not changed",
                        help,
                    );
                }
                if now == *mode {
                    self.result.unchanged.push(change.path.clone());
                } else {
                    self.push(&change.path, kind, Action::SetMode { from: now, to: *mode });
                }
                Ok(None)
            }
            (Change::Put(content), _) => self.put(change, content, stat),
            (Change::Remove, _) => {
                self.subtree(&change.path, kind)?;
                self.push(&change.path, kind, Action::Remove);
                Ok(Some(change.path.clone()))
            }
        }
    }

    fn put(
        &mut self,
        change: &ModuleChange,
        content: &Content,
        stat: Option<Stat>,
    ) -> Result<Option<ModulePath>, DiskError> {
        let kind = stat.map_or(Kind::Absent, |stat| stat.kind);
        if let Some(stat) = stat {
            let made_anew = change.owner.is_some() || self.restored.contains_key(&change.path);
            if !made_anew && self.is_equal(&change.path, content, &stat)? {
                match content {
                    // A mode belongs to every name of a file: with several, this one gets a file of its own.
                    Content::File { mode, .. } if *mode != stat.mode && stat.links > 1 => {}
                    Content::File { mode, .. } if *mode != stat.mode => {
                        self.push(&change.path, kind, Action::SetMode { from: stat.mode, to: *mode });
                        return Ok(None);
                    }
                    _ => {
                        self.result.unchanged.push(change.path.clone());
                        return Ok(None);
                    }
                }
            }
            self.subtree(&change.path, kind)?;
        }
        let staged = self.staged_below(&change.path);
        self.push(&change.path, kind, Action::Put { staged });
        Ok(Some(change.path.clone()))
    }

    /// Whether the content that stands at `path` is what `content` says.
    fn is_equal(&self, path: &ModulePath, content: &Content, stat: &Stat) -> Result<bool, DiskError> {
        let worth_reading = match content {
            Content::File { size, .. } => stat.kind == Kind::File && stat.size == *size,
            Content::Symlink { .. } => stat.kind == Kind::Symlink,
            Content::Directory { .. } => false,
        };
        if !worth_reading {
            return Ok(false);
        }
        let Some(observed) = self.observe(path)? else { return Ok(false) };
        Ok(match (content, &observed.content) {
            (Content::File { digest, .. }, ObservedContent::File { digest: there, .. }) => digest == there,
            (Content::Symlink { target }, ObservedContent::Symlink { target: there }) => {
                target.as_bytes() == there.as_slice()
            }
            _ => false,
        })
    }

    fn observe(&self, path: &ModulePath) -> Result<Option<Observed>, DiskError> {
        match self.tree.locate(path)? {
            Some(place) => observe(self.tree.disk().as_ref(), place.at()),
            None => Ok(None),
        }
    }

    fn push(&mut self, path: &ModulePath, replaces: Kind, action: Action) {
        let staged = match &action {
            Action::Put { staged } => staged.as_slice(),
            Action::Remove | Action::SetMode { .. } => &[],
        };
        let below = staged.iter().map(|module| &module.path).filter(|below| *below != path);
        for path in std::iter::once(path).chain(below).filter(|path| self.ignore.is_match(path.as_str())) {
            let help = "it is ignored as live data in tmp.yaml; leave it out of the enhancement";
            self.faults.push(PlanFault::new("ignored", path, "an ignored path cannot be a module", help));
        }
        let hit = self.forbidden.iter().find(|file| *file == path || file.is_below(path));
        if let Some(file) = hit.filter(|_| !matches!(action, Action::SetMode { .. })) {
            let message = format!("it is or holds {file}, which belongs to a database or to TMP");
            self.fault("database-file", path, message, "leave it out of the enhancement");
        }
        self.result.operations.push(Operation { path: path.clone(), replaces, action });
    }

    /// The topmost directory above `path` that does not exist, if one does not.
    fn missing_parent(&self, path: &ModulePath) -> Result<Option<ModulePath>, DiskError> {
        let mut missing = None;
        for ancestor in path.ancestors() {
            match self.tree.stat(&ancestor)? {
                None => missing = Some(ancestor),
                Some(_) => break,
            }
        }
        Ok(missing)
    }

    /// A module in a directory that is not there: the directory appears with everything in it.
    fn below_missing(&mut self, change: &ModuleChange, top: ModulePath) -> Option<ModulePath> {
        if change.change == Change::Remove {
            if change.expected.is_none() {
                let help = "leave it out, or package against the tree as it is now (--base)";
                self.fault("absent", &change.path, "it is to be removed and is not there", help);
            }
            return None;
        }
        let staged = self.staged_below(&top);
        self.push(&top, Kind::Absent, Action::Put { staged });
        Some(top)
    }

    /// Everything that is put at or below `top`, directories that are not listed included.
    fn staged_below(&mut self, top: &ModulePath) -> Vec<StagedModule> {
        let listed =
            self.changes.range(top.clone()..).take_while(|(path, _)| *path == top || path.is_below(top));
        let mut staged: BTreeMap<ModulePath, StagedModule> = BTreeMap::new();
        for (path, change) in listed {
            let Change::Put(content) = &change.change else { continue };
            let directory = Content::Directory { mode: tmp_core::Mode::DIRECTORY };
            for parent in path.ancestors().take_while(|parent| parent == top || parent.is_below(top)) {
                let implied = StagedModule {
                    path: parent.clone(),
                    content: directory.clone(),
                    owner: None,
                    attributes: None,
                };
                staged.entry(parent).or_insert(implied);
            }
            let module = StagedModule {
                path: path.clone(),
                content: content.clone(),
                owner: change.owner.clone(),
                attributes: self.restored.get(path).cloned(),
            };
            staged.insert(path.clone(), module);
        }
        staged.into_values().collect()
    }

    /// Everything in a directory that goes must be listed as removed, and be neither ignored nor on
    /// another mount nor special.
    fn subtree(&mut self, path: &ModulePath, kind: Kind) -> Result<(), DiskError> {
        let Some(stat) = self.tree.stat(path)? else { return Ok(()) };
        self.result.replaced += stat.size;
        if kind != Kind::Directory {
            if stat.immutable {
                self.fault("immutable", path, "it is marked immutable", "chattr -i it, or leave it out");
            }
            return Ok(());
        }
        let Some(place) = self.tree.locate(path)? else { return Ok(()) };
        let disk = self.tree.disk();
        let wrap = |doing, source| DiskError { doing, path: path.to_string(), source };
        let dir = disk.open_dir(&place.dir, &place.name).map_err(|source| wrap("open", source))?;
        let mut names = disk.list(&dir).map_err(|source| wrap("list", source))?;
        names.sort();
        for name in names {
            let child = name.to_str().and_then(|name| path.join(name).ok());
            let listed = |child: &ModulePath| {
                self.changes.get(child).is_some_and(|change| change.change == Change::Remove)
            };
            let Some(child) = child.filter(listed) else {
                let message = format!("its directory goes, and {} is not listed", name.display());
                let help = "list everything in it as removed (package with --base), or keep the directory";
                self.fault("unlisted", path, message, help);
                continue;
            };
            let kind = self.tree.stat(&child)?.map_or(Kind::Absent, |stat| stat.kind);
            if kind == Kind::Special {
                let help = "devices, FIFOs and sockets are no modules; remove it by hand";
                self.fault("special", &child, "a special file stands there", help);
            }
            if self.ignore.is_match(child.as_str()) {
                let help = "it is ignored as live data in tmp.yaml; keep its directory";
                self.fault("ignored", &child, "an ignored path would go with its directory", help);
            }
            self.subtree(&child, kind)?;
        }
        Ok(())
    }

    /// Compares what stands there with what the enhancement was made against.
    fn expectation(&mut self, change: &ModuleChange) {
        let Some(expected) = &change.expected else { return };
        let Ok(observed) = self.observe(&change.path) else { return };
        let found = match (&observed, expected) {
            (None, Expected::Absent) => return,
            (None, _) => "it is not there".to_owned(),
            (Some(observed), expected) => match (&observed.content, expected) {
                (ObservedContent::File { digest, .. }, Expected::File { digest: wanted }) => {
                    if digest == wanted {
                        return;
                    }
                    format!("it has {digest} instead of {wanted}")
                }
                (ObservedContent::Directory, Expected::Directory) => return,
                (ObservedContent::Symlink { target }, Expected::Symlink { target: wanted }) => {
                    if target == wanted.as_bytes() {
                        return;
                    }
                    format!("it points to {:?} instead of {wanted:?}", String::from_utf8_lossy(target))
                }
                (_, Expected::Absent) => format!("{} stands there already", observed.stat.kind),
                (_, Expected::File { .. }) => format!("it is {}, not a file", observed.stat.kind),
                (_, Expected::Directory) => format!("it is {}, not a directory", observed.stat.kind),
                (_, Expected::Symlink { .. }) => format!("it is {}, not a symlink", observed.stat.kind),
            },
        };
        let help = "the target was changed since the enhancement was made; package against it as it is now";
        self.fault("drift", &change.path, found, help);
    }
}
