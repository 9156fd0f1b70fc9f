//! What a matrix is to the command that runs them all.

use super::{point::Point, workshop::Workshop};
use crate::Done;

/// One matrix: one kind of fault, tried at many points of one package.
pub(crate) trait Proof {
    /// What is done, in one word: `kill`.
    fn matrix(&self) -> &'static str;

    /// To what it is done, in one word: `sqlite`.
    fn package(&self) -> &'static str;

    /// What is done, in half a sentence.
    fn what(&self) -> String;

    /// What is missing here that it needs, and how to get it; `None` where it can run.
    fn lacks(&self) -> Option<String> {
        None
    }

    /// How many points may be tried at once.
    fn at_once(&self) -> usize {
        super::WORKERS
    }

    /// Makes ready what points are tried on.
    fn prepare<'a>(&self, shop: &'a Workshop, choice: Choice) -> Done<Box<dyn Bench + 'a>>;

    /// Its name, also on the command line.
    fn id(&self) -> String {
        format!("{}-{}", self.matrix(), self.package())
    }

    /// Whether it is meant by `--only`.
    fn is_called(&self, name: &str) -> bool {
        [self.matrix(), self.package(), &self.id()].contains(&name)
    }

    /// The command that tries exactly this point again.
    fn again(&self, point: &Point, choice: Choice) -> String {
        format!("cargo xtask crash --seed {} --point {}/{point}", choice.seed, self.id())
    }
}

/// Where the points of one matrix are tried, one after the other.
pub(crate) trait Bench: Send {
    /// The points that are to be tried.
    fn points(&mut self) -> Done<Vec<Point>>;

    /// Tries one. It does not matter which were tried before.
    fn attempt(&mut self, point: &Point) -> Done<Came>;
}

/// How much is tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    /// Whole matrices, not samples.
    pub(crate) long: bool,
    /// What samples are chosen by.
    pub(crate) seed: u64,
}

impl Choice {
    /// A sample of so many, or of so many more in a long run.
    pub(crate) const fn count(self, short: u64, long: u64) -> u64 {
        if self.long { long } else { short }
    }
}

/// What came of a point.
#[derive(Debug)]
pub(crate) struct Came {
    /// What was done, for people.
    pub(crate) what: String,
    /// How it ended.
    pub(crate) end: End,
    /// Something to be counted on the page.
    pub(crate) note: Option<&'static str>,
}

/// How a point ended.
#[derive(Debug)]
pub(crate) enum End {
    /// As if nothing had been begun.
    Before,
    /// As if nothing had been disturbed.
    After,
    /// The fault could not be put: the process had ended before. No point of the matrix.
    NotReached,
    /// Otherwise: what is wrong.
    Violated(Vec<String>),
}
