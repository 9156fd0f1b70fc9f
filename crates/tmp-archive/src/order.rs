//! Going through a survey in the order of the manifest.

use crate::{
    EntryPath,
    stat_cache::StatCache,
    survey::{Seen, Survey, What},
};

/// Goes through a survey: each root with everything below it. Clones go on from where it is.
#[derive(Debug, Clone)]
pub(crate) struct Order<'a> {
    survey: &'a Survey,
    cache: Option<&'a StatCache>,
    roots: std::slice::Iter<'a, (EntryPath, Option<Seen>)>,
    open: Vec<(std::slice::Iter<'a, Seen>, usize)>,
    /// The path of the innermost directory.
    above: Vec<u8>,
}

/// The next entry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// A root where nothing stands.
    Absent(&'a EntryPath),
    /// Something that was seen, in so many directories below its root.
    Seen(&'a Seen, usize),
}

impl<'a> Order<'a> {
    pub(crate) fn new(survey: &'a Survey, cache: Option<&'a StatCache>) -> Self {
        Self { survey, cache, roots: survey.roots.iter(), open: Vec::new(), above: Vec::new() }
    }

    /// Goes through nothing.
    pub(crate) fn none(survey: &'a Survey) -> Self {
        Self { survey, cache: None, roots: [].iter(), open: Vec::new(), above: Vec::new() }
    }

    /// The next entry with its path, which is written into `path`.
    pub(crate) fn next(&mut self, path: &mut Vec<u8>) -> Option<Step<'a>> {
        while let Some((entries, length)) = self.open.last_mut() {
            self.above.truncate(*length);
            let Some(seen) = entries.next() else {
                self.open.pop();
                continue;
            };
            let depth = self.open.len();
            path.clear();
            path.extend_from_slice(&self.above);
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name(seen, self.cache));
            self.enter(seen, path);
            return Some(Step::Seen(seen, depth));
        }
        let (root, seen) = self.roots.next()?;
        path.clear();
        path.extend_from_slice(root.as_bytes());
        let Some(seen) = seen else { return Some(Step::Absent(root)) };
        self.enter(seen, path);
        Some(Step::Seen(seen, 0))
    }

    fn enter(&mut self, seen: &'a Seen, path: &[u8]) {
        let inner = self.survey.folder(seen);
        if !inner.is_empty() {
            self.above.clear();
            self.above.extend_from_slice(path);
            self.open.push((inner.iter(), path.len()));
        }
    }
}

/// The name of an entry; empty for the root itself.
pub(crate) fn name<'a>(seen: &'a Seen, cache: Option<&'a StatCache>) -> &'a [u8] {
    match &seen.what {
        What::Other { name, .. } => name,
        What::Same(at) => cache.and_then(|cache| cache.record(*at)).map_or(&[], |record| record.name),
    }
}
