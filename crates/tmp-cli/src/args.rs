//! The arguments: every command with its flags. Help texts are the contract with users.

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::command;

/// Takes finished changes to a live system in, and out again without a trace when anything is wrong.
#[derive(Debug, Parser)]
#[command(
    name = "tmp",
    version,
    max_term_width = 100,
    infer_subcommands = false,
    after_help = "A newcomer starts with `tmp demo`. Exit codes: `tmp explain exit-codes`."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// The configuration [env: TMP_CONFIG] [default: tmp.yaml here or above, then /etc/tmp/tmp.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<Utf8PathBuf>,
    /// The state directory instead of the configured one [env: TMP_STATE]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<Utf8PathBuf>,
    /// Print JSON; progress becomes JSON Lines
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours; NO_COLOR is respected
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Answer every question with yes
    #[arg(long, global = true)]
    pub(crate) yes: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Every command, in the order of a change's life.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented tmp.yaml and make the state directory
    Init(command::init::Init),
    /// Write the scaffold of an enhancement
    New(command::new::New),
    /// Check an enhancement without packaging it
    Check(command::check::Check),
    /// Package an enhancement as a trigger file
    Package(command::package::Package),
    /// Write an enhancement from what another tool has
    Import(command::import::Import),
    /// Show what a trigger file holds, after checking it whole
    Inspect(command::inspect::Inspect),
    /// Prove the way back of an enhancement on a throw-away clone of a site
    Rehearse(command::rehearse::Rehearse),
    /// Show what a trigger file would do here, and the way back; change nothing
    Plan(command::plan::Plan),
    /// Migrate one trigger file
    Run(command::run::Run),
    /// Show what is installed where, and what is open
    Status(command::status::Status),
    /// Show past migrations
    History(command::history::History),
    /// Show the journal of one migration
    Log(command::log::Log),
    /// Settle migrations that were interrupted
    Recover(command::recover::Recover),
    /// Record that a person corrected a failed rollback
    Resolve(command::resolve::Resolve),
    /// Take a committed migration out again, and what builds on it before
    Reverse(command::reverse::Reverse),
    /// Show what differs from what TMP last left; exit with 6 when something does
    Drift(command::drift::Drift),
    /// Look at archives, verify them, get things back
    Archive(command::archive::Archive),
    /// Build a small billing system and watch good and bad migrations on it
    Demo(crate::demo::Demo),
    /// Check the configuration, the sites and this machine
    Doctor,
    /// Show the configuration
    Config(command::config::ConfigCommand),
    /// Print the JSON Schema of a file that people write
    Schema(command::schema::Schema),
    /// Explain a rule that an error names
    Explain(command::explain::Explain),
    /// Print a completion script for a shell
    Completions(command::completions::Completions),
    /// Print the manual page
    Man(command::man::Man),
}
