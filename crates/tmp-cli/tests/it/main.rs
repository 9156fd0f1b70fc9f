//! The real binary from outside: what people type, what they see, and what the target looks like after.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests build their own trees")]

mod archive;
mod atomic;
mod author;
mod config;
mod confined;
mod demo;
mod doubt;
mod git;
mod help;
mod hostile;
mod import;
mod interrupt;
mod kill;
mod mount;
mod needs_root;
mod operate;
mod privileged;
mod rehearse;
mod reverse;
mod rights;
mod rules;
mod secrets;
mod series;
mod support;
mod threads;
