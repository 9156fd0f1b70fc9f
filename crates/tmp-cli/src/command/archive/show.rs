//! `tmp archive show`.

use serde::Serialize;
use tmp_archive::{Entry, Snapshot, SnapshotInfo};
use tmp_core::module::Attributes;

use super::{failed, find};
use crate::{
    config::Config,
    exit::Exit,
    failure::Failure,
    output::{Output, Report},
    render,
};

/// Arguments of `tmp archive show`.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The snapshot, or how its id begins
    snapshot: String,
}

#[derive(Debug, Serialize)]
struct Shown {
    snapshot: SnapshotInfo,
    entries: Vec<EntryView>,
}

#[derive(Debug, Serialize)]
struct EntryView {
    path: String,
    entry: Entry,
}

impl Report for Shown {
    const SCHEMA: &'static str = "tmp.archive-show/v1";

    fn text(&self) -> String {
        let info = &self.snapshot;
        let mut text = format!(
            "snapshot  {}\nof        {}/{}/{}\nmade      {}\n",
            info.id,
            info.system,
            info.environment,
            info.site,
            render::instant(info.made)
        );
        if let Some(migration) = &info.migration {
            push!(text, "for       migration {migration}\n");
        }
        for database in &info.databases {
            push!(
                text,
                "database  {} ({}), {}\n",
                database.name,
                database.engine,
                render::bytes(database.content.size)
            );
        }
        text.push('\n');
        text + &self.entries.iter().map(|entry| line(&entry.path, &entry.entry)).collect::<String>()
    }
}

fn line(path: &str, entry: &Entry) -> String {
    let with = |attributes: &Attributes, what: String| {
        format!("{} {}:{} {path}  {what}\n", attributes.mode, attributes.uid, attributes.gid)
    };
    match entry {
        Entry::Absent => format!("absent      {path}\n"),
        Entry::File(file) => with(&file.attributes, render::bytes(file.content.size)),
        Entry::Directory { attributes } => with(attributes, "directory".into()),
        Entry::Symlink { target, attributes } => {
            with(attributes, format!("-> {}", String::from_utf8_lossy(target)))
        }
    }
}

impl Show {
    /// Shows every entry.
    pub(super) fn run(&self, config: &Config, out: &mut Output) -> Result<Exit, Failure> {
        let (archive, info) = find(config, &self.snapshot)?;
        let Snapshot { info, entries } = archive.read(&info.id).map_err(failed)?;
        let entries =
            entries.into_iter().map(|(path, entry)| EntryView { path: path.to_string(), entry }).collect();
        out.report(&Shown { snapshot: info, entries });
        Ok(Exit::Done)
    }
}
