//! The command line of TMP.

fn main() {}
