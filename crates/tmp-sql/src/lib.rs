//! Databases that a migration changes.
//!
//! * [`split`] and [`check_script`] know the text of SQL: they take scripts apart by tokens and refuse
//!   what no script may do. They open no database, so packaging can use them anywhere.
//! * [`SqliteDatabase`] is a SQLite database behind [`tmp_core::database::Database`].
//!
//! Another engine is another module beside `sqlite`: the text of scripts is shared, the connection is
//! its own.

mod check;
mod client;
mod rules;
mod split;
mod sqlite;
mod tokens;

pub use check::{ScriptFault, ScriptRole, check_script};
pub use split::{SplitError, Statement, split};
pub use sqlite::SqliteDatabase;

/// The name of TMP's own table in a database, in lower case.
pub(crate) const MARKER_TABLE: &str = "tmp_marker";
