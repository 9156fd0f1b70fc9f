//! Bytes of a file in pages, with holes.

use std::{collections::BTreeMap, iter, sync::Arc};

use super::dice::Dice;
use crate::disk::Extent;

/// The size of a page: what a simulated power loss keeps, loses or tears.
pub(super) const PAGE: u64 = 4096;

type Page = [u8; 4096];

/// The bytes of a file. Copies share their pages.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pages: BTreeMap<u64, Arc<Page>>,
    size: u64,
}

/// A run of bytes within one page.
struct Piece {
    page: u64,
    within: std::ops::Range<usize>,
    outside: std::ops::Range<usize>,
}

/// The pieces of `length` bytes at `offset`.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = Piece> {
    let mut done = 0;
    iter::from_fn(move || {
        let at = offset.checked_add(done as u64)?;
        let start = small(at % PAGE);
        let count = (small(PAGE) - start).min(length - done);
        let outside = done..done + count;
        done += count;
        (count > 0).then_some(Piece { page: at / PAGE, within: start..start + count, outside })
    })
}

fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Content {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// How many pages are not holes.
    pub(super) fn pages(&self) -> u64 {
        self.pages.len() as u64
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let count = small(self.size.saturating_sub(offset)).min(buffer.len());
        for piece in pieces(offset, count) {
            let Some(target) = buffer.get_mut(piece.outside) else { continue };
            match self.pages.get(&piece.page).and_then(|page| page.get(piece.within)) {
                Some(bytes) => target.copy_from_slice(bytes),
                None => target.fill(0),
            }
        }
        count
    }

    /// Writes as many of `bytes` as `free` new pages allow; answers how many.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8], mut free: u64) -> usize {
        let mut written = 0;
        for piece in pieces(offset, bytes.len()) {
            if !self.pages.contains_key(&piece.page) {
                let Some(rest) = free.checked_sub(1) else { break };
                free = rest;
            }
            let page = self.page(piece.page);
            if let (Some(to), Some(from)) = (page.get_mut(piece.within), bytes.get(piece.outside.clone())) {
                to.copy_from_slice(from);
            }
            written = piece.outside.end;
        }
        if written > 0 {
            self.size = self.size.max(offset + written as u64);
        }
        written
    }

    /// Allocates the first `size` bytes if `free` new pages are enough; answers whether they were.
    pub(super) fn allocate(&mut self, size: u64, free: u64) -> bool {
        let missing: Vec<u64> =
            (0..size.div_ceil(PAGE)).filter(|page| !self.pages.contains_key(page)).collect();
        if missing.len() as u64 > free {
            return false;
        }
        for page in missing {
            self.page(page);
        }
        self.size = self.size.max(size);
        true
    }

    pub(super) fn set_len(&mut self, size: u64) {
        self.size = size;
        self.pages.split_off(&size.div_ceil(PAGE));
        let used = small(size % PAGE);
        if used > 0
            && let Some(page) = self.pages.get_mut(&(size / PAGE))
            && let Some(tail) = Arc::make_mut(page).get_mut(used..)
        {
            tail.fill(0);
        }
    }

    /// The runs of the first `size` bytes that are not holes.
    pub(super) fn extents(&self, size: u64) -> Vec<Extent> {
        let mut found: Vec<Extent> = Vec::new();
        for page in self.pages.keys() {
            let offset = page * PAGE;
            let length = PAGE.min(size.saturating_sub(offset));
            match found.last_mut() {
                Some(last) if last.offset + last.length == offset => last.length += length,
                _ if length > 0 => found.push(Extent { offset, length }),
                _ => {}
            }
        }
        found
    }

    /// What is found after a power loss, where `durable` was synced and `self` written after that: each
    /// page as it was, as it is, half of each, or garbage; the size as it was or as it is.
    pub(super) fn after_power_loss(&self, durable: &Self, dice: &mut Dice) -> Self {
        let mut found =
            Self { pages: BTreeMap::new(), size: if dice.one_in(2) { self.size } else { durable.size } };
        let numbers: std::collections::BTreeSet<u64> =
            self.pages.keys().chain(durable.pages.keys()).copied().collect();
        for number in numbers {
            let (new, old) = (self.pages.get(&number), durable.pages.get(&number));
            let page = match dice.below(if new == old { 1 } else { 5 }) {
                0 => new.cloned(),
                1 | 2 => old.cloned(),
                3 => Some(Arc::new(torn(new, old))),
                _ => Some(Arc::new(std::array::from_fn(|_| dice.byte()))),
            };
            found.pages.extend(page.map(|page| (number, page)));
        }
        found.set_len(found.size);
        found
    }

    fn page(&mut self, number: u64) -> &mut Page {
        Arc::make_mut(self.pages.entry(number).or_insert_with(|| Arc::new([0; 4096])))
    }
}

/// The first half of one page, the second half of another; a hole is zeros.
fn torn(first: Option<&Arc<Page>>, second: Option<&Arc<Page>>) -> Page {
    let half = small(PAGE / 2);
    let byte = |page: Option<&Arc<Page>>, at: usize| page.and_then(|page| page.get(at)).copied().unwrap_or(0);
    std::array::from_fn(|at| byte(if at < half { first } else { second }, at))
}
