//! Answers of git that are records with a NUL byte at their end.

use std::io::{BufRead as _, BufReader, Read as _};

use super::program::{GitError, Program};

/// The longest record, in bytes: a path and what stands before it.
const LONGEST: u64 = 64 << 10;

/// The most records of one answer: what is kept of each takes memory.
const MOST: usize = 2_000_000;

/// Gives each record of an answer to `each`, without the NUL byte.
///
/// # Errors
/// Git failed, an answer or record is too long, or what `each` does not understand.
pub(super) fn records(
    program: &Program,
    arguments: &[&str],
    mut each: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), GitError> {
    let mut running = program.stream(arguments)?;
    let verb = running.verb.clone();
    let unusable = |what: String| GitError::Answer { verb: verb.clone(), what };
    let mut output = BufReader::new(&mut running.output);
    let (mut record, mut count) = (Vec::new(), 0_usize);
    loop {
        record.clear();
        let read = output.by_ref().take(LONGEST).read_until(0, &mut record);
        if read.map_err(|error| unusable(error.to_string()))? == 0 {
            break;
        }
        count += 1;
        let Some((0, body)) = record.split_last() else {
            return Err(unusable("a record is cut off or too long".into()));
        };
        if count > MOST {
            return Err(unusable(format!("it has more than {MOST} records")));
        }
        each(body).map_err(unusable)?;
    }
    running.end()
}
