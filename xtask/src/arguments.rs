//! The flags of a task.

use crate::Done;

/// Flags that were given: `--name` or `--name value`.
pub(crate) struct Arguments<'a> {
    words: &'a [String],
}

impl<'a> Arguments<'a> {
    /// Takes the words after the task, which may only be these flags; those of `valued` take a number.
    pub(crate) fn new(words: &'a [String], plain: &[&str], valued: &[&str]) -> Done<Self> {
        Self::with_words(words, plain, valued, &[])
    }

    /// The same; the flags of `worded` take a word.
    pub(crate) fn with_words(
        words: &'a [String],
        plain: &[&str],
        valued: &[&str],
        worded: &[&str],
    ) -> Done<Self> {
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if valued.contains(&word.as_str()) {
                let value = rest.next().ok_or_else(|| format!("{word} needs a number"))?;
                value.parse::<u64>().map_err(|error| format!("{word} {value}: {error}"))?;
            } else if worded.contains(&word.as_str()) {
                rest.next().ok_or_else(|| format!("{word} needs a word"))?;
            } else if !plain.contains(&word.as_str()) {
                return Err(format!(
                    "unknown flag {word}; known are {}",
                    [plain, valued, worded].concat().join(" ")
                )
                .into());
            }
        }
        Ok(Self { words })
    }

    /// Whether a flag was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.words.iter().any(|word| word == name)
    }

    /// The number after a flag, if it was given.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.word(name)?.parse().ok()
    }

    /// The word after a flag, if it was given.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        let at = self.words.iter().position(|word| word == name)?;
        self.words.get(at + 1).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_flags_and_missing_numbers_are_refused() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let given = words("--long --seed 7");
        let arguments = Arguments::new(&given, &["--long"], &["--seed"]).unwrap();
        assert!(arguments.has("--long") && arguments.number("--seed") == Some(7));
        assert_eq!(arguments.number("--point"), None);
        for bad in ["--sed 7", "--seed", "--seed x"] {
            assert!(Arguments::new(&words(bad), &["--long"], &["--seed"]).is_err(), "{bad}");
        }
        let given = words("--only W1");
        let arguments = Arguments::with_words(&given, &[], &[], &["--only"]).unwrap();
        assert_eq!(arguments.word("--only"), Some("W1"));
        assert!(Arguments::with_words(&words("--only"), &[], &[], &["--only"]).is_err());
    }
}
