//! The rules of what confined commands are granted.

use tmp_trigger::Rule;

/// A path that cannot be granted.
pub(crate) static PATH: Rule = Rule {
    id: "grant-path",
    title: "A path cannot be granted to commands",
    explanation: "A path that is granted is named in full, or from the directory of tmp.yaml on, without `..`. Not the \
         whole machine: what is everything is no confinement.",
};

/// A network that is granted twice.
pub(crate) static NETWORK: Rule = Rule {
    id: "grant-network",
    title: "A network is granted whole and port by port",
    explanation: "`network: any` takes every limit off; `connect: [5432]` grants TCP connections to these ports alone.",
};

/// Grants that nothing reads.
pub(crate) static WITHOUT: Rule = Rule {
    id: "grant-unused",
    title: "Something is granted, but commands are not confined",
    explanation: "What `commands` of a system grants counts where the policy is `commands: confined`. With `allowed` \
         commands may do everything that whoever runs TMP may; with `forbidden` none runs.",
};

/// All of them.
pub(crate) static ALL: &[&Rule] = &[
    &PATH,
    &NETWORK,
    &WITHOUT,
    &Rule {
        id: "grant",
        title: "What is granted to commands is not there, or is TMP's own",
        explanation: "Paths under `read` and `write` of a system's `commands` must be there when a migration is planned. \
             They neither hold the state directory or a work directory nor lie in one, because no command may see what \
             TMP keeps.",
    },
    &Rule {
        id: "confinement",
        title: "This machine cannot confine commands as policy asks",
        explanation: "Confined commands take Linux 6.12 or later with Landlock enabled (`lsm=landlock,…`), root or \
             CAP_SYS_ADMIN for namespaces, and cgroup v2 with the controllers pids and memory (those two may be of \
             version 1), in which TMP may make a cgroup. It is tried before anything begins; the message names what is \
             missing. What cannot be enforced is not left out quietly: the migration is refused. \
             `policy: {commands: allowed}` runs commands with all rights of whoever runs TMP.",
    },
];
