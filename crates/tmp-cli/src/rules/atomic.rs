//! The rules of trees that are exchanged as a whole.

use tmp_trigger::Rule;

/// A database in the tree.
pub(crate) static DATABASE: Rule = Rule {
    id: "atomic-database",
    title: "A database lies in a tree that is exchanged as a whole",
    explanation: "With `switch: atomic` the whole tree changes places with its next state by one rename. A database that \
         somebody has open would be torn between the two: its file in one, its journal in the other. Keep it outside of \
         the root.",
};

/// TMP's own directories in the tree.
pub(crate) static OWN: Rule = Rule {
    id: "atomic-own",
    title: "TMP's own directory lies in a tree that is exchanged as a whole",
    explanation: "The next tree is made in the work directory, so that cannot be part of it; neither can the state \
         directory. A `ROOT/.tmp-work` that is left from another configuration is in the way, too: remove it once \
         no migration is open (`tmp status`).",
};

/// All of them.
pub(crate) static ALL: &[&Rule] = &[
    &DATABASE,
    &Rule {
        id: "atomic-exchange",
        title: "The file system cannot exchange two directories",
        explanation: "`switch: atomic` needs renameat2(2) with RENAME_EXCHANGE, as ext4, XFS and btrfs have it. It is tried \
             in the work directory before a migration begins; `tmp doctor` tries it beforehand.",
    },
    &Rule {
        id: "atomic-live",
        title: "Live data lies in a tree that is exchanged as a whole",
        explanation: "What `ignore` of tmp.yaml matches is written by the application while it runs. With `switch: atomic` an \
             application that has a directory open would go on in the old tree: what it makes there is kept aside, and \
             nobody sees it any more. Keep live data outside of the root (a symlink in the \
             tree may lead there), or switch the modules one by one.",
    },
    &Rule {
        id: "atomic-mount",
        title: "A mount is in the way of exchanging a tree as a whole",
        explanation: "A rename reaches no further than one mount, and one btrfs subvolume: the root must not be one itself, \
             nothing else may be mounted below it, and the work directory must be on the same one.",
    },
    &OWN,
    &Rule {
        id: "atomic-special",
        title: "A device, FIFO or socket lies in a tree that is exchanged as a whole",
        explanation: "Whoever listens there would be left in the old tree, and another one in the next tree would be nobody's. \
             Sockets and FIFOs belong outside of the root, for example in /run.",
    },
    &Rule {
        id: "atomic-symlink",
        title: "The root of a tree that is exchanged as a whole is a symlink",
        explanation: "The rename would exchange the symlink and not the directory it leads to. Name the directory itself as \
             `root`; other names for it may go on leading there.",
    },
];
