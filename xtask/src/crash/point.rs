//! The number of a point within its matrix.

use std::{fmt, str::FromStr};

/// One number, or several where one fault follows another: `57`, or `57.28.1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Point(pub(crate) Vec<u64>);

impl Point {
    /// The number at a place.
    pub(crate) fn at(&self, place: usize) -> Result<u64, String> {
        self.0.get(place).copied().ok_or_else(|| format!("point {self} has no number {}", place + 1))
    }
}

impl From<u64> for Point {
    fn from(number: u64) -> Self {
        Self(vec![number])
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&words.join("."))
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split('.').map(str::parse).collect::<Result<_, _>>();
        numbers.map(Self).map_err(|error| format!("{text} is no point of a matrix: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_read_as_it_is_written() {
        for text in ["57", "57.28.1"] {
            assert_eq!(text.parse::<Point>().unwrap().to_string(), text);
        }
        assert!("".parse::<Point>().is_err() && "5.x".parse::<Point>().is_err());
        assert!(Point(vec![5]).at(1).unwrap_err().contains("point 5 has no number 2"));
    }
}
