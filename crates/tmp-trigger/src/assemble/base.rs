//! Directories of the base tree that become something else, and files of it that become directories.

use std::{collections::BTreeSet, sync::Arc};

use tmp_core::{
    Mode, ModulePath,
    module::{Change, Content, Expected, ModuleChange},
};

use super::{
    Assembly,
    modules::{Origin, guessed},
};
use crate::{
    document::FieldPath,
    rules,
    tree::{self, Found, SourceTree},
};

impl Assembly<'_> {
    /// Lists what the entries do not say by themselves: where a file or symlink is put in place of a
    /// directory, that everything in that directory goes; where a tree is put in place of a file, that the
    /// file becomes a directory.
    pub(super) fn changed_types(&mut self, base: &Arc<dyn SourceTree>, modules: &mut Vec<Origin>) {
        let mut listed: BTreeSet<_> = modules.iter().map(|(module, _)| module.path.clone()).collect();
        let mut more = Vec::new();
        for (module, at) in modules.iter() {
            let list = FieldPath::top().field("modules");
            let place = at.map_or_else(|| list.clone(), |at| list.index(at));
            let Change::Put(content) = &module.change else { continue };
            let is_directory = matches!(content, Content::Directory { .. });
            if module.expected == Some(Expected::Directory) && !is_directory {
                for path in self.everything_below(base, &module.path, &place) {
                    if listed.insert(path.clone()) {
                        more.push((self.implied(path, Change::Remove, base, &place), *at));
                    }
                }
            }
            if let Some(path) = self.file_above(base, &module.path, *at, &place)
                && listed.insert(path.clone())
            {
                let directory = Change::Put(Content::Directory { mode: Mode::DIRECTORY });
                more.push((self.implied(path, directory, base, &place), *at));
            }
        }
        modules.append(&mut more);
    }

    fn implied(
        &mut self,
        path: ModulePath,
        change: Change,
        base: &Arc<dyn SourceTree>,
        place: &FieldPath,
    ) -> ModuleChange {
        let kind = guessed(&path);
        let mut module = ModuleChange { path, change, expected: None, owner: None, kind };
        self.expect(&mut module, base, place);
        module
    }

    /// The file of the base tree that `path` would lie below, where the entry puts a tree there or above.
    fn file_above(
        &mut self,
        base: &Arc<dyn SourceTree>,
        path: &ModulePath,
        at: Option<usize>,
        place: &FieldPath,
    ) -> Option<ModulePath> {
        let is_file = |above: &ModulePath| {
            matches!(tree::look_below(base.as_ref(), above), Ok(Some(Found::File { .. })))
        };
        let file = path.ancestors().find(is_file)?;
        let put = at.and_then(|at| self.source.modules.get(at)?.put.as_deref()).unwrap_or_default();
        let within = put.strip_suffix('/').and_then(|top| top.parse::<ModulePath>().ok());
        if within.is_some_and(|top| file == top || file.is_below(&top)) {
            return Some(file);
        }
        let message = format!("{path} cannot be put below {file}, which is a file in the base tree");
        let help = format!("put a tree in its place: {{put: {file}/, from: a directory}}");
        self.wrong(&rules::BASE, place, message, help);
        None
    }
}
