//! The engine of TMP: takes one plan into a target, or takes it out again without a trace.
//!
//! A migration is one journal. Its **atomic part** (stage, SQL, switch, COMMIT) a crash leaves exactly
//! undone or exactly done; its **checked part** (steps and checks) is compensated when it fails; then
//! it is **committed** and nothing rolls back by itself any more. [`Engine::open`] hands out an engine
//! only where no migration is open, so recovery cannot be forgotten.
//!
//! The engine prints nothing, reads neither the environment nor any clock but its
//! [`Clock`](tmp_core::clock::Clock), and is not async. It knows neither YAML nor any database by
//! name: an embedder brings the databases, the contents, its own steps and an observer.
//!
//! ```text
//! let plan = plan(&workplace, &request, &mut databases)?;          // reads only
//! let mut engine = match Engine::open(workplace)? {
//!     Opened::Ready(engine) => engine,
//!     Opened::Interrupted(run) => match run.recover(&mut party)? { … },
//! };
//! match engine.migrate(&plan, &contents, &mut party)? {
//!     Outcome::Committed { .. } => …, Outcome::RolledBack { cause, .. } => …, …
//! }
//! ```

mod accepted;
mod command;
mod confine;
mod drift;
mod engine;
mod folder;
mod history;
mod holder;
mod http;
mod ids;
mod in_use;
mod journal;
mod left;
mod past;
mod planner;
pub mod rehearse;
mod survivors;
mod trace;
mod workplace;

pub use command::CommandPolicy;
pub use drift::Drift;
pub use engine::{Engine, EngineError, Found, Interrupted, OpenError, Opened, Party, Recovered, Resolution};
pub use folder::FolderError;
pub use history::{History, HistoryError, MigrationSummary, Unreadable, history, log};
pub use holder::{Holder, holder};
pub use in_use::{InUse, in_use};
pub use journal::{Fact, Journal, JournalError, PreparedOperation, PreparedSite, PreparedTree, Record};
pub use left::{Left, LeftDatabase, LeftModule};
pub use past::Past;
pub use planner::{
    PlanError, PlanFault, PlanRequest, ReversalContents, ReversalRequest, Utility, plan, plan_reversal,
    reversal_order,
};
pub use trace::Standing;
pub use workplace::Workplace;

/// An error with everything that caused it, on one line.
pub(crate) fn text(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let causes = causes.map(ToString::to_string);
    std::iter::once(error.to_string()).chain(causes).collect::<Vec<_>>().join(": ")
}
