//! Archives as a whole, on real directories, seen by the tests' own eye.

#![expect(clippy::disallowed_methods, reason = "tests build their own trees")]

#[cfg(test)]
mod coarse;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod history;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod place;
#[cfg(test)]
mod race;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod restore;
#[cfg(test)]
mod tar;
#[cfg(test)]
mod whole;
