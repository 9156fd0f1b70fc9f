//! The reference packages: what is migrated.

/// One reference system with one enhancement for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Package {
    /// Every kind of module, no database.
    Files,
    /// The same with four SQL changes of an SQLite database, one of them outside the transaction.
    Sqlite,
    /// The same, the whole tree exchanged by one rename.
    Atomic,
    /// Files, SQLite, a control object and batch steps: commands with their ways back.
    Commands,
    /// The same with a check that fails at the end: everything is taken back after the commit point.
    Failing,
    /// Some hundreds of files, a few MiB, a deep tree.
    Large,
}

impl Package {
    /// Every package.
    pub const ALL: [Self; 6] =
        [Self::Files, Self::Sqlite, Self::Atomic, Self::Commands, Self::Failing, Self::Large];

    /// Its name in tables and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Sqlite => "sqlite",
            Self::Atomic => "atomic",
            Self::Commands => "commands",
            Self::Failing => "failing",
            Self::Large => "large",
        }
    }

    /// The exit code of an undisturbed `tmp run`.
    pub const fn ends_with(self) -> i32 {
        match self {
            Self::Failing => 10,
            _ => 0,
        }
    }

    /// Whether the number of reading calls is chance: `Failing` looks through all processes of the machine for what a
    /// step that is undone left running, and the threads that read `Large` share their work as it comes.
    pub const fn looks_by_chance(self) -> bool {
        matches!(self, Self::Failing | Self::Large)
    }
}
