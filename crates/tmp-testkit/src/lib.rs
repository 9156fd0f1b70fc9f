//! The independent eye of the tests.
//!
//! A test that asked TMP's own manifest whether a migration left the target as it was would believe the
//! thing it judges. So this crate depends on no crate of TMP: it walks trees ([`walk`]), reads databases
//! ([`sqlite`]) and makes random trees and changes with a model of what they lead to ([`trees`]) by
//! itself.
//!
//! Only tests and xtask use it. It runs on Linux.

mod context;
pub mod sqlite;
pub mod trees;
pub mod walk;
