//! What people read when something is refused.

use std::{fmt::Write as _, io, path::PathBuf};

use tmp_disk::{DiskError, ProbeError, resolve_owner};

/// An error with its causes, one a line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, "\n  {error}");
        cause = error.source();
    }
    text
}

#[test]
fn errors_say_what_where_and_how_to_mend() {
    let path = || PathBuf::from("/srv/billing");
    let missing = || io::Error::from_raw_os_error(2);
    let errors: [Box<dyn std::error::Error>; 8] = [
        Box::new(DiskError::at("set the mode of", "fee")(missing())),
        Box::new(ProbeError::Remote { path: path(), name: "nfs".to_owned() }),
        Box::new(ProbeError::Ephemeral { path: path(), name: "tmpfs".to_owned() }),
        Box::new(ProbeError::OtherMount { root: path() }),
        Box::new(ProbeError::Lacks {
            path: path(),
            name: "vfat".to_owned(),
            what: "keep symlinks",
            source: Some(io::Error::from_raw_os_error(1)),
        }),
        Box::new(resolve_owner("a:b:c").unwrap_err()),
        Box::new(resolve_owner("no-such-user-here").unwrap_err()),
        Box::new(resolve_owner(":no-such-group").unwrap_err()),
    ];
    let text: Vec<String> = errors.iter().map(|error| told(&**error)).collect();
    insta::assert_snapshot!(text.join("\n"));
}
