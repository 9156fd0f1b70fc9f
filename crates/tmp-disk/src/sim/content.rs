//! Bytes of a file in pages, with holes.

use std::{
    collections::BTreeMap,
    iter,
    sync::{Arc, LazyLock},
};

use super::dice::Dice;
use crate::disk::Extent;

/// The size of a page: what a simulated power loss keeps, loses or tears.
pub(super) const PAGE: u64 = 4096;

/// What a disk writes as a whole: a torn page is torn between two of these.
const SECTOR: u64 = 512;

type Page = [u8; 4096];

/// The page of all that is allocated and was never written.
static ZEROS: LazyLock<Arc<Page>> = LazyLock::new(|| Arc::new([0; 4096]));

/// The bytes of a file. Copies share their pages.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pages: Arc<BTreeMap<u64, Arc<Page>>>,
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
        if !missing.is_empty() {
            let zeros = missing.into_iter().map(|page| (page, Arc::clone(&ZEROS)));
            Arc::make_mut(&mut self.pages).extend(zeros);
        }
        self.size = self.size.max(size);
        true
    }

    pub(super) fn set_len(&mut self, size: u64) {
        self.size = size;
        let pages = Arc::make_mut(&mut self.pages);
        pages.split_off(&size.div_ceil(PAGE));
        let used = small(size % PAGE);
        if used > 0
            && let Some(page) = pages.get_mut(&(size / PAGE))
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
    /// page as it was, as it is, some of each, or garbage; the size as it was, as it is, or in between.
    pub(super) fn after_power_loss(&self, durable: &Self, dice: &mut Dice) -> Self {
        if Arc::ptr_eq(&self.pages, &durable.pages) && self.size == durable.size {
            return self.clone();
        }
        let (least, most) = (self.size.min(durable.size), self.size.max(durable.size));
        let size = match dice.below(5) {
            0 | 1 => self.size,
            2 | 3 => durable.size,
            _ => least + dice.below(most - least + 1),
        };
        let numbers: std::collections::BTreeSet<u64> =
            self.pages.keys().chain(durable.pages.keys()).copied().collect();
        let mut pages = BTreeMap::new();
        for number in numbers {
            let (new, old) = (self.pages.get(&number), durable.pages.get(&number));
            let page = match dice.below(if new == old { 1 } else { 6 }) {
                0 | 1 => new.cloned(),
                2 | 3 => old.cloned(),
                4 => Some(Arc::new(torn(new, old, dice))),
                _ => Some(Arc::new(garbage(dice))),
            };
            pages.extend(page.map(|page| (number, page)));
        }
        let mut found = Self { pages: Arc::new(pages), size };
        found.set_len(size);
        found
    }

    fn page(&mut self, number: u64) -> &mut Page {
        let pages = Arc::make_mut(&mut self.pages);
        Arc::make_mut(pages.entry(number).or_insert_with(|| Arc::clone(&ZEROS)))
    }
}

/// The beginning of one page and the rest of the other, either way round; a hole is zeros.
fn torn(new: Option<&Arc<Page>>, old: Option<&Arc<Page>>, dice: &mut Dice) -> Page {
    let (first, second) = if dice.one_in(2) { (new, old) } else { (old, new) };
    let cut = small(SECTOR * (1 + dice.below(PAGE / SECTOR - 1)));
    let byte = |page: Option<&Arc<Page>>, at: usize| page.and_then(|page| page.get(at)).copied().unwrap_or(0);
    std::array::from_fn(|at| byte(if at < cut { first } else { second }, at))
}

fn garbage(dice: &mut Dice) -> Page {
    let mut page = [0; 4096];
    for chunk in page.chunks_exact_mut(8) {
        chunk.copy_from_slice(&dice.next().to_le_bytes());
    }
    page
}
