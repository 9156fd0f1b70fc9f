//! The commands, one file each.

pub(crate) mod archive;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod log;
pub(crate) mod man;
pub(crate) mod new;
pub(crate) mod package;
pub(crate) mod plan;
pub(crate) mod recover;
pub(crate) mod rehearse;
pub(crate) mod resolve;
pub(crate) mod reverse;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod status;
