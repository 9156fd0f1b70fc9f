//! Writes a script that gives back single objects of a copy: tables with their rows, indexes, triggers,
//! views, settings. It runs like any other script, in a transaction, and whoever runs it compares.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

use rusqlite::{Connection, types::ValueRef};
use tmp_core::{
    DatabaseName,
    database::{DatabaseError, FingerprintDifferences},
};

use super::{
    SqliteDatabase,
    error::{engine, told},
    rows::quoted,
    session::Session,
};

const DOING: &str = "writing a script from its copy";

/// The longest script that is made, in bytes: whoever runs it takes it apart in memory.
const LONGEST: usize = 16 << 20;

/// How many rows one statement inserts.
const ROWS: usize = 200;

pub(super) fn script_from(
    database: &SqliteDatabase,
    path: &Path,
    objects: &FingerprintDifferences,
) -> Result<String, DatabaseError> {
    let name = &database.name;
    let copy = Session::open_copy(path).map_err(told(name, DOING))?;
    let writer = Writer { name, copy: &copy, wanted: Wanted::of(objects), script: String::new() };
    writer.write()
}

/// The objects that are to come back, by kind.
#[derive(Default)]
struct Wanted {
    tables: BTreeSet<String>,
    /// Indexes, triggers and views: name and kind.
    others: BTreeMap<String, &'static str>,
    pragmas: BTreeSet<String>,
}

impl Wanted {
    /// By the keys of a fingerprint: `kind name`. An index that a constraint made comes with its table.
    fn of(objects: &FingerprintDifferences) -> Self {
        let mut wanted = Self::default();
        for table in &objects.data {
            // What it counts comes with the tables.
            if table != "sqlite_sequence" {
                wanted.tables.insert(table.clone());
            }
        }
        for key in &objects.schema {
            match key.split_once(' ') {
                Some(("table", name)) => drop(wanted.tables.insert(name.to_owned())),
                Some(("index", name)) => drop(wanted.others.insert(name.to_owned(), "INDEX")),
                Some(("trigger", name)) => drop(wanted.others.insert(name.to_owned(), "TRIGGER")),
                Some(("view", name)) => drop(wanted.others.insert(name.to_owned(), "VIEW")),
                Some(("pragma", name)) => drop(wanted.pragmas.insert(name.to_owned())),
                _ => {}
            }
        }
        wanted
    }
}

struct Writer<'a> {
    name: &'a DatabaseName,
    copy: &'a Connection,
    wanted: Wanted,
    script: String,
}

impl Writer<'_> {
    fn write(mut self) -> Result<String, DatabaseError> {
        let said = told(self.name, DOING);
        for (name, kind) in &self.wanted.others {
            push(&mut self.script, format_args!("DROP {kind} IF EXISTS {};\n", quoted(name)));
        }
        for table in &self.wanted.tables {
            push(&mut self.script, format_args!("DROP TABLE IF EXISTS {};\n", quoted(table)));
        }
        for table in self.wanted.tables.clone() {
            self.table(&table)?;
        }
        // Triggers last, so that no row fires one.
        for kind in ["index", "view", "trigger"] {
            let mut statement = self
                .copy
                .prepare("SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = ?1 AND sql IS NOT NULL ORDER BY rowid")
                .map_err(&said)?;
            let mut rows = statement.query([kind]).map_err(&said)?;
            while let Some(row) = rows.next().map_err(&said)? {
                let text = |at: usize| row.get::<_, String>(at).map_err(&said);
                let (name, table, sql) = (text(0)?, text(1)?, text(2)?);
                if self.wanted.others.contains_key(&name) || self.wanted.tables.contains(&table) {
                    push(&mut self.script, format_args!("{sql};\n"));
                }
            }
        }
        self.sequences().map_err(&said)?;
        self.pragmas()?;
        Ok(self.script)
    }

    /// A table of the copy with its rows; nothing where the copy has none of that name.
    fn table(&mut self, table: &str) -> Result<(), DatabaseError> {
        let said = told(self.name, DOING);
        let sql = self.copy.query_row(
            "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1",
            [table],
            |row| row.get::<_, String>(0),
        );
        let sql = match sql {
            Ok(sql) => sql,
            Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(()),
            Err(error) => return Err(said(error)),
        };
        if sql.trim_start().get(..14).is_some_and(|start| start.eq_ignore_ascii_case("create virtual")) {
            let why = format!("{table} is a virtual table, whose rows no script gives back");
            return Err(engine(self.name, DOING, why));
        }
        push(&mut self.script, format_args!("{sql};\n"));
        let columns = self.columns(table).map_err(&said)?;
        let select = format!("SELECT {} FROM main.{} NOT INDEXED", columns.join(", "), quoted(table));
        let head = format!("INSERT INTO {}({}) VALUES", quoted(table), columns.join(", "));
        let mut statement = self.copy.prepare(&select).map_err(&said)?;
        let mut rows = statement.query([]).map_err(&said)?;
        let mut count = 0;
        while let Some(row) = rows.next().map_err(&said)? {
            self.script += if count % ROWS == 0 { head.as_str() } else { "," };
            self.script += " (";
            for at in 0..columns.len() {
                self.script += if at == 0 { "" } else { ", " };
                literal(&mut self.script, row.get_ref(at).map_err(&said)?);
            }
            count += 1;
            self.script += if count % ROWS == 0 { ");\n" } else { ")" };
            if self.script.len() > LONGEST {
                let why = format!("what is to come back is more than {LONGEST} bytes of SQL");
                return Err(engine(self.name, DOING, why));
            }
        }
        if count % ROWS != 0 {
            self.script += ";\n";
        }
        Ok(())
    }

    /// The columns that hold something, the row's own number among them where it is no column.
    fn columns(&self, table: &str) -> rusqlite::Result<Vec<String>> {
        let mut statement = self
            .copy
            .prepare("SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE hidden = 0 ORDER BY cid")?;
        let names: Vec<String> = statement.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let without: bool = self.copy.query_row(
            "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1",
            [table],
            |row| row.get(0),
        )?;
        let taken = |word: &&str| names.iter().any(|name| name.eq_ignore_ascii_case(word));
        let number = ["rowid", "_rowid_", "oid"].into_iter().find(|word| !taken(word)).filter(|_| !without);
        Ok(number.map(str::to_owned).into_iter().chain(names.iter().map(|name| quoted(name))).collect())
    }

    /// How far AUTOINCREMENT had counted in the tables that come back: dropping one forgets that.
    fn sequences(&mut self) -> rusqlite::Result<()> {
        let there: bool = self.copy.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'",
            [],
            |row| row.get(0),
        )?;
        if !there {
            return Ok(());
        }
        let mut statement = self.copy.prepare("SELECT name, seq FROM sqlite_sequence")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            if !self.wanted.tables.contains(&name) {
                continue;
            }
            let mut text = String::new();
            literal(&mut text, ValueRef::Text(name.as_bytes()));
            push(&mut self.script, format_args!("DELETE FROM sqlite_sequence WHERE name = {text};\n"));
            push(&mut self.script, format_args!("INSERT INTO sqlite_sequence(name, seq) VALUES ({text}, "));
            literal(&mut self.script, row.get_ref(1)?);
            self.script += ");\n";
        }
        Ok(())
    }

    fn pragmas(&mut self) -> Result<(), DatabaseError> {
        for pragma in &self.wanted.pragmas {
            if !["user_version", "application_id"].contains(&pragma.as_str()) {
                let why = format!("no script gives back the {pragma} of a database");
                return Err(engine(self.name, DOING, why));
            }
            let value: i64 = self
                .copy
                .query_row(&format!("PRAGMA main.{pragma}"), [], |row| row.get(0))
                .map_err(told(self.name, DOING))?;
            push(&mut self.script, format_args!("PRAGMA {pragma} = {value};\n"));
        }
        Ok(())
    }
}

fn push(script: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = script.write_fmt(text);
}

/// A value as SQL that gives back the same bytes of the same class.
fn literal(script: &mut String, value: ValueRef<'_>) {
    let blob = |script: &mut String, bytes: &[u8]| {
        push(script, format_args!("X'{}'", tmp_core::hex::encode(bytes)));
    };
    match value {
        ValueRef::Null => *script += "NULL",
        // The smallest integer has no literal of its own.
        ValueRef::Integer(i64::MIN) => *script += "(-9223372036854775807 - 1)",
        ValueRef::Integer(number) => push(script, format_args!("{number}")),
        ValueRef::Real(number) if number.is_infinite() => {
            *script += if number > 0.0 { "9e999" } else { "-9e999" };
        }
        // The shortest text that is read as the same number; always with a point or an exponent.
        ValueRef::Real(number) => push(script, format_args!("{number:?}")),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => {
                push(script, format_args!("'{}'", text.replace('\'', "''")));
            }
            _ => {
                *script += "CAST(";
                blob(script, bytes);
                *script += " AS TEXT)";
            }
        },
        ValueRef::Blob(bytes) => blob(script, bytes),
    }
}
