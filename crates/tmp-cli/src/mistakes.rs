//! Mistakes in what people wrote, shown with the lines they stand in.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    sync::Arc,
};

use tmp_trigger::{Mistakes, address, document::LONGEST};

use crate::{
    exit::Exit,
    failure::{Excerpt, Failure, Fault},
};

/// A failure that tells every mistake. The files they name are read again for the lines, by `read`; one that cannot be read is
/// shown without, and so is one that holds a secret: what is shown may end in a log.
pub(crate) fn failure(mistakes: &Mistakes, read: &dyn Fn(&str) -> Option<String>) -> Failure {
    let secret = address::rule().id;
    let private: BTreeSet<&str> =
        mistakes.into_iter().filter(|mistake| mistake.rule == secret).map(|mistake| &*mistake.file).collect();
    let read = |file: &str| if private.contains(file) { None } else { read(file) };
    let mut texts: BTreeMap<&str, Option<Arc<String>>> = BTreeMap::new();
    let mut faults = Vec::new();
    for mistake in mistakes {
        let text = texts.entry(&mistake.file).or_insert_with(|| read(&mistake.file).map(Arc::new));
        let excerpt =
            text.as_ref().and_then(|text| Excerpt::new(&mistake.file, text, mistake.line, mistake.column));
        let mut message = mistake.message.clone();
        if !mistake.path.is_empty() {
            message = format!("{}: {message}", mistake.path);
        }
        faults.push(Fault {
            rule: mistake.rule,
            subject: place(mistake),
            message,
            help: if mistake.help.is_empty() {
                format!("`tmp explain {}` says what is allowed", mistake.rule)
            } else {
                mistake.help.clone()
            },
            excerpt,
        });
    }
    let message = match faults.len() {
        1 => "1 mistake; nothing was done".to_owned(),
        count if mistakes.has_more() => format!("the first {count} mistakes; nothing was done"),
        count => format!("{count} mistakes; nothing was done"),
    };
    Failure::new(Exit::InvalidInput, message).faults(faults)
}

fn place(mistake: &tmp_trigger::Mistake) -> String {
    match (mistake.line, mistake.column) {
        (0, _) => mistake.file.clone(),
        (line, 0) => format!("{}:{line}", mistake.file),
        (line, column) => format!("{}:{line}:{column}", mistake.file),
    }
}

/// The text of a file on the disk.
pub(crate) fn text(file: &str) -> Option<String> {
    // Opening a FIFO would wait for a writer.
    if !std::fs::metadata(file).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    std::fs::File::open(file).ok()?.take(LONGEST as u64).read_to_string(&mut text).ok()?;
    Some(text)
}
