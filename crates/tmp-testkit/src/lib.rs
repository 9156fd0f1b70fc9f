//! The independent eye of the tests.
//!
//! A test that asked TMP's own manifest whether a migration left the target as it was would believe the
//! thing it judges. So this crate depends on no crate of TMP: it walks trees ([`walk`]), reads databases
//! ([`sqlite`]) and makes random trees and changes with a model of what they lead to ([`trees`]) by
//! itself. It also holds the fault injector ([`stepper`]), which disturbs a process at its k-th system
//! call, and the reference packages with their oracle ([`matrix`]), which tests and `cargo xtask crash` share.
//!
//! Only tests and xtask use it. It runs on Linux; the stepper knows the registers of x86-64.

mod context;
pub mod device;
pub mod matrix;
pub mod power;
pub mod sqlite;
pub mod stepper;
pub mod trees;
pub mod walk;
