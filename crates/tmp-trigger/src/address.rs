//! Addresses that checks ask: none may hold a secret.

use crate::{mistake::Rule, rules};

/// The rule that an address which [`has_credentials`] breaks.
pub fn rule() -> &'static Rule {
    &rules::SECRET
}

/// What is wrong with an address that [`has_credentials`]. It does not repeat the address.
pub const CREDENTIALS: &str =
    "the address has a name or a password in it, which plans and journals would show";

/// How to mend it.
pub const HELP: &str =
    "leave out what stands before '@'; where a secret is needed, let a command of the site ask";

/// Whether an address has user information in it (RFC 3986, 3.2.1): an `@` where its host is named.
pub fn has_credentials(address: &str) -> bool {
    let end = |text: &str| text.find(['/', '?', '#']).unwrap_or(text.len());
    let rest = match address.split_once("://") {
        Some((scheme, rest)) if end(scheme) == scheme.len() => rest,
        _ => address,
    };
    rest.get(..end(rest)).is_some_and(|authority| authority.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_found_where_a_host_is_named_and_nowhere_else() {
        for secret in [
            "http://user:password@host/",
            "https://token@host",
            "https://@host",
            "http://a:b@c@host/x",
            "HTTP://user@host?x",
            "ftp://user:password@host",
            "user:password@host/x",
            "{site.url}:password@host/",
            "{site.url}@host",
            "http://user:pass\\@host",
        ] {
            assert!(has_credentials(secret), "{secret}");
        }
        for plain in [
            "http://host/",
            "https://host:8080/@x",
            "http://host?mail=a@b",
            "http://host#a@b",
            "{site.url}/users/a@b",
            "{site.url}/?to=http://a@b/",
            "",
        ] {
            assert!(!has_credentials(plain), "{plain}");
        }
    }
}
