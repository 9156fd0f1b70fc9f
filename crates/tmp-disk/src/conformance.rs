//! The same assertions for every `Disk`.
