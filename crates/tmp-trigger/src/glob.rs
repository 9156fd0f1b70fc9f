//! The globs of `writes`.

use globset::GlobBuilder;

/// Whether `text` is a glob of paths below a root.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("{text:?} cannot be used: {why}"));
    if text.is_empty() {
        return bad("it is empty");
    }
    if text.len() > 1024 {
        return Err("a glob is longer than 1024 bytes".to_owned());
    }
    if text.starts_with('/') {
        return bad("it is absolute; globs are relative to the root of the system");
    }
    if text.split('/').any(|component| matches!(component, "." | "..")) {
        return bad("it has a '.' or '..' component");
    }
    if text.chars().any(char::is_control) {
        return bad("it has a control character");
    }
    match GlobBuilder::new(text).literal_separator(true).build() {
        Ok(_) => Ok(()),
        Err(error) => bad(&error.kind().to_string()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn globs_stay_below_the_root() {
        for good in ["var/index/**", "*.log", "a/{b,c}/?"] {
            assert_eq!(super::check(good), Ok(()), "{good}");
        }
        for bad in ["", "/etc/**", "../x", "a/../b", "a[", "a\n", "{a"] {
            assert!(super::check(bad).is_err(), "{bad}");
        }
    }
}
