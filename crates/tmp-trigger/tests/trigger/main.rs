//! The tests of enhancement.yaml and of the trigger file, over real directories.

#![expect(clippy::disallowed_methods, reason = "tests build their own trees")]

#[cfg(test)]
mod common;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod packaging;
