//! The modules of an enhancement: from its entries, or from the difference of two trees.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use tmp_core::{
    Mode, ModulePath,
    module::{Change, Content, Expected, ItemKind, ModuleChange},
    path::RESERVED,
};

use super::{
    Assembly,
    candidate::{Candidate, read},
};
use crate::{
    directory::DirectoryTree,
    document::FieldPath,
    links,
    package::Trees,
    rules,
    source::{ModuleEntry, Replaces},
    tree::{self, Found, Place, SourceTree, Walk},
};

/// A module and the entry it comes from.
pub(super) type Origin = (ModuleChange, Option<usize>);

/// The bits that let group or others read a file.
const READ_BY_OTHERS: u32 = 0o044;

impl Assembly<'_> {
    /// The modules in the order of their paths.
    pub(super) fn modules(&mut self, trees: &Trees) -> Vec<Origin> {
        let list = FieldPath::top().field("modules");
        let mut modules = Vec::new();
        let base = match trees {
            Trees::FromTo { from, to } => {
                if !self.source.modules.is_empty() {
                    let message = "the modules are computed from two trees and listed as well";
                    self.wrong(&rules::BASE, &list, message, "leave out `modules`, or the trees");
                }
                self.difference(&directory(from), &directory(to), &mut modules);
                None
            }
            Trees::Base(base) => Some(directory(base)),
            Trees::None => None,
        };
        for (at, entry) in self.source.modules.iter().enumerate() {
            let place = list.index(at);
            let before = modules.len();
            match (&entry.put, &entry.remove) {
                (Some(put), None) => self.put(entry, put, &place, at, &mut modules),
                (None, Some(remove)) => self.remove(entry, remove, &place, base.as_ref(), at, &mut modules),
                _ => self.wrong(&rules::ENTRY, &place, "an entry has either `put` or `remove`", ""),
            }
            if let Some(base) = &base {
                for (module, _) in modules.iter_mut().skip(before) {
                    self.expect(module, base, &place);
                }
            }
        }
        if let Some(base) = &base {
            self.changed_types(base, &mut modules);
        }
        modules.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        self.warn_of_links(&modules);
        modules
    }

    fn path(&mut self, text: &str, place: &FieldPath) -> Option<ModulePath> {
        match text.parse::<ModulePath>() {
            Ok(path) => Some(path),
            Err(error) => {
                self.wrong(&rules::PATH, place, error.to_string(), "");
                None
            }
        }
    }

    fn put(&mut self, entry: &ModuleEntry, put: &str, place: &FieldPath, at: usize, out: &mut Vec<Origin>) {
        let tree = put.strip_suffix('/');
        let path = self.path(tree.unwrap_or(put), &place.field("put"));
        let Some(from) = &entry.from else {
            return self.wrong(
                &rules::MISSING_FIELD,
                place,
                "\"from\" is missing",
                "name the file that is put there",
            );
        };
        let origin = place.field("from");
        let source = match self.sources.entry(from) {
            Ok(source) => source,
            Err(fault) => return self.wrong_source(&origin, fault),
        };
        let found = match source.look() {
            Ok(Some(found)) => found,
            Ok(None) => return self.wrong(&rules::FILE, &origin, format!("{from:?} does not exist"), ""),
            Err(fault) => return self.wrong(&rules::FILE, &origin, fault, ""),
        };
        if tree.is_some() && entry.replaces == Some(Replaces(Expected::Directory)) {
            let message = "a tree is merged into a directory that is there";
            self.wrong(&rules::ENTRY, &place.field("replaces"), message, "leave it out");
        }
        let Some(path) = path else { return };
        match (tree, found) {
            (Some(_), Found::Directory { empty, mode }) => {
                self.put_tree(entry, &path, (&source, empty, mode), place, at, out);
            }
            (Some(_), _) => {
                let help = format!("write put: {path}");
                self.wrong(&rules::FILE, &origin, format!("{from:?} is not a directory"), help);
            }
            (None, Found::Directory { .. }) => {
                let help = format!("write put: {path}/ to merge it into what is there");
                self.wrong(&rules::FILE, &origin, format!("{from:?} is a directory"), help);
            }
            (None, found) => self.put_one(entry, path, Candidate::new(source, found), place, at, out),
        }
    }

    /// Puts everything in the directory `source`, and the directory itself where it holds nothing or takes
    /// the place of something.
    fn put_tree(
        &mut self,
        entry: &ModuleEntry,
        path: &ModulePath,
        (source, empty, mode): (&Place, bool, u32),
        place: &FieldPath,
        at: usize,
        out: &mut Vec<Origin>,
    ) {
        let origin = place.field("from");
        let walk = source.walk();
        for fault in walk.faults {
            self.wrong(&rules::FILE, &origin, fault, "");
        }
        if empty || entry.replaces.is_some() {
            let candidate = Candidate::new(source.clone(), Found::Directory { empty: true, mode });
            self.put_one(entry, path.clone(), candidate, place, at, out);
        }
        let top = out.len();
        let found = walk.found.into_iter();
        let mut candidates: Vec<_> =
            found.map(|(below, found)| Candidate::new(source.below(&below), found)).collect();
        read(&mut candidates);
        for candidate in candidates {
            match path.join(candidate.place.name_below(source)) {
                Ok(path) => self.put_one(entry, path, candidate, place, at, out),
                Err(error) => self.wrong(&rules::PATH, &origin, error.to_string(), ""),
            }
        }
        if entry.replaces.is_some() {
            // There was no directory, so there was nothing in it.
            out.iter_mut().skip(top).for_each(|(module, _)| module.expected = Some(Expected::Absent));
        }
    }

    fn put_one(
        &mut self,
        entry: &ModuleEntry,
        path: ModulePath,
        candidate: Candidate,
        place: &FieldPath,
        at: usize,
        out: &mut Vec<Origin>,
    ) {
        if let Found::File { mode } = &candidate.found
            && entry.mode.is_none()
        {
            let mode = Mode::from_bits(*mode);
            if mode.changes_identity() {
                let message = format!("{} is set-user-id or set-group-id", candidate.place.shown());
                let help = "clear the bit, or write the mode here if it is meant";
                self.wrong(&rules::MODE, place, message, help);
            } else if mode.bits() & READ_BY_OTHERS == 0 {
                let widened = Mode::normalised(mode.bits());
                let message = format!("{} is {mode} here and will be {widened}", candidate.place.shown());
                let help = format!("write `mode: \"{mode}\"` if it is to stay private");
                self.warnings.push(self.document.mistake(&rules::MODE_WIDENED, place, message, help));
            }
        }
        let kind = entry.kind.unwrap_or_else(|| guessed(&path));
        if let Some(content) = self.content(candidate, entry.mode, &place.field("from")) {
            let expected = entry.replaces.clone().map(|Replaces(expected)| expected);
            let change = Change::Put(content);
            out.push((ModuleChange { path, change, expected, owner: entry.owner.clone(), kind }, Some(at)));
        }
    }

    /// What is packaged of it; nothing of a directory that holds something, because it is merged.
    fn content(&mut self, candidate: Candidate, mode: Option<Mode>, place: &FieldPath) -> Option<Content> {
        let source = candidate.place;
        match candidate.found {
            Found::File { mode: bits } => {
                let (digest, size) = match candidate.digest.unwrap_or_else(|| source.digest()) {
                    Ok(digest) => digest,
                    Err(error) => {
                        self.wrong(&rules::FILE, place, format!("{}: {error}", source.shown()), "");
                        return None;
                    }
                };
                self.contents.insert(digest, source);
                Some(Content::File { digest, size, mode: mode.unwrap_or(Mode::normalised(bits)) })
            }
            Found::Directory { empty: true, .. } => Some(Content::Directory { mode: Mode::DIRECTORY }),
            Found::Directory { empty: false, .. } => None,
            Found::Symlink { target } => Some(Content::Symlink { target }),
        }
    }

    fn remove(
        &mut self,
        entry: &ModuleEntry,
        remove: &str,
        place: &FieldPath,
        base: Option<&Arc<dyn SourceTree>>,
        at: usize,
        out: &mut Vec<Origin>,
    ) {
        if entry.from.is_some() || entry.mode.is_some() || entry.owner.is_some() {
            let message = "what is removed has no `from`, `mode` or `owner`";
            self.wrong(&rules::ENTRY, place, message, "");
        }
        let text = remove.strip_suffix('/').unwrap_or(remove);
        let Some(path) = self.path(text, &place.field("remove")) else { return };
        let mut gone = vec![path.clone()];
        if let Some(base) = base {
            match tree::look_below(base.as_ref(), &path) {
                Ok(Some(Found::Directory { .. })) => gone.extend(self.everything_below(base, &path, place)),
                Ok(Some(_)) => {}
                Ok(None) => {
                    let message = format!("{path} is not in the base tree");
                    self.wrong(&rules::BASE, &place.field("remove"), message, "");
                }
                Err(fault) => self.wrong(&rules::BASE, &place.field("remove"), fault, ""),
            }
        }
        for path in gone {
            let kind = entry.kind.unwrap_or_else(|| guessed(&path));
            let expected = entry.replaces.clone().map(|Replaces(expected)| expected);
            out.push((ModuleChange { path, change: Change::Remove, expected, owner: None, kind }, Some(at)));
        }
    }

    pub(super) fn everything_below(
        &mut self,
        base: &Arc<dyn SourceTree>,
        path: &ModulePath,
        place: &FieldPath,
    ) -> Vec<ModulePath> {
        let Walk { found, faults } = base.walk(path.as_str());
        for fault in faults {
            self.wrong(&rules::BASE, place, fault, "");
        }
        let mut below = Vec::new();
        for name in found.keys() {
            match path.join(name) {
                Ok(path) => below.push(path),
                Err(error) => self.wrong(&rules::BASE, place, error.to_string(), ""),
            }
        }
        below
    }

    /// Records what the base tree has at the path of `module`.
    pub(super) fn expect(
        &mut self,
        module: &mut ModuleChange,
        base: &Arc<dyn SourceTree>,
        place: &FieldPath,
    ) {
        let found = match tree::look_below(base.as_ref(), &module.path) {
            Ok(found) => found,
            Err(fault) => return self.wrong(&rules::BASE, place, fault, ""),
        };
        let source = Place::new(base, module.path.as_str());
        let Some(expected) = self.expected(&source, found, place) else { return };
        if module.expected.as_ref().is_some_and(|said| *said != expected) {
            let message = format!("the base tree has another {} than `replaces` says", module.path);
            self.wrong(
                &rules::BASE,
                &place.field("replaces"),
                message,
                "leave out `replaces`, or mend the base",
            );
        }
        module.expected = Some(expected);
    }

    fn expected(&mut self, source: &Place, found: Option<Found>, place: &FieldPath) -> Option<Expected> {
        Some(match found {
            None => Expected::Absent,
            Some(Found::Directory { .. }) => Expected::Directory,
            Some(Found::Symlink { target }) => Expected::Symlink { target },
            Some(Found::File { .. }) => match source.digest() {
                Ok((digest, _)) => Expected::File { digest },
                Err(error) => {
                    self.wrong(&rules::BASE, place, format!("{}: {error}", source.shown()), "");
                    return None;
                }
            },
        })
    }

    /// What turns the tree `from` into the tree `to`, with the modes of `to`; a renamed module is removed
    /// and put.
    fn difference(&mut self, from: &Arc<dyn SourceTree>, to: &Arc<dyn SourceTree>, out: &mut Vec<Origin>) {
        let place = FieldPath::top();
        let (mut old, mut new) = (from.walk(""), to.walk(""));
        for fault in old.faults.drain(..).chain(new.faults.drain(..)) {
            self.wrong(&rules::BASE, &place, fault, "");
        }
        let mut names: BTreeSet<_> = old.found.keys().chain(new.found.keys()).cloned().collect();
        // The work directory in a tree that is a mount is no part of the system.
        names.retain(|name| !name.split('/').next().is_some_and(|top| top.eq_ignore_ascii_case(RESERVED)));
        for name in names {
            let Some(path) = self.path(&name, &place) else { continue };
            let (before, after) = (old.found.remove(&name), new.found.remove(&name));
            let (old_mode, new_mode) = (mode_of(before.as_ref()), mode_of(after.as_ref()));
            let source = Place::new(from, name.as_str());
            let Some(expected) = self.expected(&source, before, &place) else { continue };
            let change = match after {
                None => Change::Remove,
                Some(Found::Directory { mode, .. }) => {
                    if expected == Expected::Directory && old_mode == new_mode {
                        continue;
                    }
                    Change::Put(Content::Directory { mode: Mode::from_bits(mode) })
                }
                Some(found) => {
                    match self.content(Candidate::new(Place::new(to, name.as_str()), found), new_mode, &place)
                    {
                        Some(content) if old_mode == new_mode && is_same(&expected, &content) => continue,
                        Some(content) => Change::Put(content),
                        None => continue,
                    }
                }
            };
            if new_mode.is_some_and(Mode::changes_identity) {
                let message = format!("{path} is set-user-id or set-group-id");
                self.wrong(&rules::MODE, &place, message, "clear the bit, or list the module with its mode");
            }
            let kind = guessed(&path);
            out.push((ModuleChange { path, change, expected: Some(expected), owner: None, kind }, None));
        }
    }

    fn warn_of_links(&mut self, modules: &[Origin]) {
        for (module, origin) in modules {
            if let Change::Put(Content::Symlink { target }) = &module.change
                && links::leaves_root(&module.path, target)
            {
                let list = FieldPath::top().field("modules");
                let place = origin.map_or_else(|| list.clone(), |at| list.index(at));
                let message = format!("{} is a symlink out of the root, to {target}", module.path);
                self.warnings.push(self.document.mistake(&rules::LINK, &place, message, ""));
            }
        }
    }
}

fn directory(path: &Path) -> Arc<dyn SourceTree> {
    Arc::new(DirectoryTree::new(path))
}

/// The mode of a file or directory, whole; a symlink has none.
fn mode_of(found: Option<&Found>) -> Option<Mode> {
    match found {
        Some(Found::File { mode, .. } | Found::Directory { mode, .. }) => Some(Mode::from_bits(*mode)),
        Some(Found::Symlink { .. }) | None => None,
    }
}

fn is_same(expected: &Expected, content: &Content) -> bool {
    match (expected, content) {
        (Expected::File { digest: old }, Content::File { digest: new, .. }) => old == new,
        (Expected::Symlink { target: old }, Content::Symlink { target: new }) => old == new,
        _ => false,
    }
}

/// The sort of item, by the ending of its name.
pub(super) fn guessed(path: &ModulePath) -> ItemKind {
    let ending = path.name().rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending {
        "py" | "sh" | "pl" | "rb" | "js" | "lua" | "tcl" | "sql" => ItemKind::Script,
        "md" | "txt" | "html" | "pdf" | "rst" | "1" | "5" | "8" => ItemKind::Document,
        "conf" | "cfg" | "ini" | "yaml" | "yml" | "toml" | "json" | "properties" => ItemKind::ControlFile,
        _ => ItemKind::Program,
    }
}
