//! Owners by name or number.

use nix::{
    errno::Errno,
    unistd::{Group, User},
};

/// Why an owner cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The text has not the form of an owner.
    #[error("{text:?} is not an owner: write user, user:group or :group, each by name or number")]
    Form {
        /// The text.
        text: String,
    },
    /// There is no such user.
    #[error("there is no user {name:?} on this machine")]
    NoUser {
        /// The name.
        name: String,
    },
    /// There is no such group.
    #[error("there is no group {name:?} on this machine")]
    NoGroup {
        /// The name.
        name: String,
    },
    /// The user database cannot be asked.
    #[error("cannot look up {name:?} among users and groups")]
    Lookup {
        /// The name.
        name: String,
        /// The answer.
        source: Errno,
    },
}

/// Resolves `user`, `user:group` or `:group` to numbers; `None` for the part that is not named. A name
/// that exists goes before a number, as `chown` has it (POSIX).
///
/// # Errors
/// The text has another form, or the user or group does not exist here.
pub fn resolve_owner(text: &str) -> Result<(Option<u32>, Option<u32>), OwnerError> {
    let form = || OwnerError::Form { text: text.chars().take(80).collect() };
    let (user, group) = match text.split_once(':') {
        Some((user, group)) if !group.is_empty() && !group.contains(':') => (user, Some(group)),
        Some(_) => return Err(form()),
        None => (text, None),
    };
    if user.is_empty() && group.is_none() {
        return Err(form());
    }
    let uid = match user {
        "" => None,
        name => {
            Some(resolve(name, &|name| Ok(User::from_name(name)?.map(|user| user.uid.as_raw())), |name| {
                OwnerError::NoUser { name }
            })?)
        }
    };
    let gid = match group {
        None => None,
        Some(name) => Some(resolve(
            name,
            &|name| Ok(Group::from_name(name)?.map(|group| group.gid.as_raw())),
            |name| OwnerError::NoGroup { name },
        )?),
    };
    Ok((uid, gid))
}

type Lookup<'a> = &'a dyn Fn(&str) -> Result<Option<u32>, Errno>;

fn resolve(name: &str, lookup: Lookup<'_>, missing: fn(String) -> OwnerError) -> Result<u32, OwnerError> {
    match lookup(name) {
        Ok(Some(number)) => Ok(number),
        // The highest number means "leave as it is" to chown(2).
        Ok(None) => match name.parse() {
            Ok(number) if number < u32::MAX && name.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            _ => Err(missing(name.to_owned())),
        },
        Err(source) => Err(OwnerError::Lookup { name: name.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert!(matches!(resolve_owner("root:root"), Ok((Some(0), Some(0)))));
        assert!(matches!(resolve_owner("root"), Ok((Some(0), None))));
        assert!(matches!(resolve_owner(":0"), Ok((None, Some(0)))));
        assert!(matches!(resolve_owner("4711:4712"), Ok((Some(4711), Some(4712)))));
        for text in ["", ":", "root:", "a:b:c"] {
            assert!(resolve_owner(text).is_err(), "{text:?}");
        }
        assert!(matches!(resolve_owner("no-such-user-here"), Err(OwnerError::NoUser { .. })));
        assert!(matches!(resolve_owner("0:no-such-group"), Err(OwnerError::NoGroup { .. })));
        assert!(matches!(resolve_owner("-1"), Err(OwnerError::NoUser { .. })));
        assert!(matches!(resolve_owner("4294967295"), Err(OwnerError::NoUser { .. })));
    }
}
