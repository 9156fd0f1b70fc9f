//! The rules of `tmp.yaml`, of the command line and of plans, for `tmp explain`.

pub(crate) mod atomic;

use tmp_trigger::Rule;

/// What is refused until a release does it.
pub(crate) static NOT_YET: Rule = Rule {
    id: "not-yet",
    title: "A setting that this release does not act on",
    explanation: "One tmp.yaml serves several releases of TMP, but a window or a sign-off that is not kept would be a lie. \
         So settings that the formats foresee and this release does not read are refused, not ignored. Take \
         them out until a release reads them.",
};

/// A path that is no path.
pub(crate) static EMPTY_PATH: Rule = Rule {
    id: "empty-path",
    title: "A path is empty",
    explanation: "An empty path would mean the directory of tmp.yaml itself. Write it out if that is meant: `.`.",
};

/// A database that is nowhere.
pub(crate) static DATABASE_PLACE: Rule = Rule {
    id: "database-place",
    title: "It is not said where a database is",
    explanation: "Each database of a site names its engine and where it is: `main: {sqlite: /srv/billing.db}`.",
};

/// Directories inside one another that must not be.
pub(crate) static NESTED: Rule = Rule {
    id: "nested",
    title: "The root, the state directory and the work directory lie in one another",
    explanation: "What TMP keeps must not be among the modules that it changes. The work directory lies on the root's \
         own mount but outside the root; only where the root is itself a mount, it is \
         `ROOT/.tmp-work`, which is reserved for it.",
};

/// Sites that share something.
pub(crate) static OVERLAP: Rule = Rule {
    id: "overlap",
    title: "Two sites share a tree, a work directory or a database",
    explanation: "A migration at one site would change the other without a lock, an archive or a record there.",
};

/// Every rule whose id is written where it is checked, and those above.
pub(crate) static ALL: &[&Rule] = &[
    &NOT_YET,
    &EMPTY_PATH,
    &DATABASE_PLACE,
    &NESTED,
    &OVERLAP,
    &Rule {
        id: "exit-codes",
        title: "What the exit codes of tmp mean",
        explanation: "0 done, or nothing to do. 1 unexpected error. 2 wrong usage. 3 input invalid: a file, a trigger, a \
             digest. 4 not permitted: a confirmation is missing. 5 a check before the migration failed, \
             or a rehearsal did not prove the way back; the target was not touched. 6 differences found (with --exit-code). 10 failed and rolled back; the \
             target is proven to be as it was. 11 the rollback failed; a person is needed. 12 in doubt: \
             a fact is missing, such as the answer of a database, and TMP stopped there; the report says what is \
             missing and what was undone before. Recover again when it can be had. 75 not now; safe to try again.",
    },
    &Rule {
        id: "git-program",
        title: "The program git cannot be started",
        explanation: "`--from-git` and `tmp import git-diff` read repositories with the git of this machine: version 2.30 \
             or later, found in PATH.",
    },
    &Rule {
        id: "git-repository",
        title: "There is no git repository that can be read",
        explanation: "The directory must lie in a clone, or in a bare repository, that git reads for this user: git itself \
             says what keeps it from that, such as an owner it does not trust (`safe.directory`) or objects \
             that were never fetched. TMP fetches nothing.",
    },
    &Rule {
        id: "git-label",
        title: "A label names no commit",
        explanation: "A label is a tag, a branch or a commit of the repository; a tag goes before whatever else has its \
             name, and a tag and a branch of one name must be the same commit. A label that begins with '-' is \
             given as --from-git=-LABEL or as refs/tags/-LABEL. A shallow clone lacks most commits: fetch them.",
    },
    &Rule {
        id: "git-path",
        title: "A commit does not have the directory",
        explanation: "The directory is looked up in the commit, not in the working copy: it must have been committed \
             there, as a directory.",
    },
    &Rule {
        id: "git-difference",
        title: "Two commits do not differ",
        explanation: "An enhancement without a change would do nothing. Look with `git diff OLD NEW -- PATH`.",
    },
    &Rule {
        id: "git-content",
        title: "What a commit has cannot be taken over",
        explanation: "Contents are taken as git stores them. A pointer of Git LFS is not the content, an object that was not \
             fetched is not there, and the text of a symlink must be UTF-8.",
    },
    &Rule {
        id: "git-submodule",
        title: "A submodule is in the way",
        explanation: "A commit has only the id of a submodule's commit; its files are in another repository. Package or \
             import them from there.",
    },
    &Rule {
        id: "never-overwritten",
        title: "Something is there already",
        explanation: "`init`, `new`, `import`, `archive` and `demo` write new files alone. Remove what is there yourself, or \
             name another place.",
    },
    &Rule {
        id: "no-configuration",
        title: "No tmp.yaml was found",
        explanation: "It is looked for in this order: --config, TMP_CONFIG, tmp.yaml in the current directory and above, \
             /etc/tmp/tmp.yaml.",
    },
    &Rule {
        id: "no-enhancement",
        title: "A directory holds no enhancement",
        explanation: "`tmp check` and `tmp package` read enhancement.yaml in the directory that they are given, or in the \
             current one. `tmp new ID` makes such a directory.",
    },
    &Rule {
        id: "not-confirmed",
        title: "Nobody confirmed something that cannot be taken back",
        explanation: "On a terminal the name is typed; elsewhere it is given with --confirm, or everything with --yes.",
    },
    &Rule {
        id: "no-window",
        title: "Migrations run in windows, and windows do not exist yet",
        explanation: "`tmp run FILE --now --reason WHY` migrates at once; the reason is recorded. Without --now a later \
             release stages the file and runs it in its window.",
    },
    &Rule {
        id: "unknown-target",
        title: "A trigger file is for a system or environment that is not here",
        explanation: "A trigger file names its system and its environment. tmp.yaml must have a site for both.",
    },
    &Rule {
        id: "unknown-id",
        title: "No migration has this id",
        explanation: "`tmp log` takes the id of a migration, or how it begins; `tmp history` takes the id of an enhancement \
             that was migrated, or none. `tmp history` lists both.",
    },
    &Rule {
        id: "unknown-site",
        title: "No site has this name",
        explanation: "The message lists those that there are.",
    },
    &Rule {
        id: "which-site",
        title: "Several sites fit",
        explanation: "Name one with --site or TMP_SITE, if need be as SYSTEM/ENVIRONMENT/SITE.",
    },
    &Rule {
        id: "wrong-environment",
        title: "A trigger file is for the other environment",
        explanation: "What was packaged for the model is planned for production only to look at it (`plan`). To migrate it \
             there, package it for production: the payload digest stays the same.",
    },
    &Rule {
        id: "wrong-site",
        title: "A trigger file is not for this site",
        explanation: "Its distribution lists the sites it is for.",
    },
    &Rule {
        id: "expired",
        title: "A trigger file is past the end of its schedule",
        explanation: "Whoever set `schedule: {expires: …}` did not mean it to run after that, by hand or otherwise. A time \
             without an offset counts as over once it is over everywhere on Earth.",
    },
    &Rule {
        id: "requires",
        title: "An enhancement that must be there before is not",
        explanation: "`requires` names enhancements that must have been migrated at the same site before. Migrate them first.",
    },
    &Rule {
        id: "conflicts",
        title: "An enhancement that must not be there is",
        explanation: "`conflicts_with` names enhancements that cannot be at a site together with this one.",
    },
    &Rule {
        id: "overtaken",
        title: "A later migration changed what this one put in place",
        explanation: "The journals say that this very payload was migrated, and that another enhancement changed some of \
             its modules since. Migrating it again would take that one's change away without its rollback.",
    },
    &Rule {
        id: "half-in-place",
        title: "The database has a payload, its modules do not",
        explanation: "The journals and the marker in the database say that this very payload was migrated; some modules \
             are not as it left them: restored from the archive, or changed by hand. Its SQL cannot run twice, \
             so modules and database are to be brought together first.",
    },
    &Rule {
        id: "superseded",
        title: "A later revision is installed already",
        explanation: "An older revision would undo parts of the newer one without its rollback. Package the change as the \
             next revision.",
    },
    &Rule {
        id: "interrupted",
        title: "A migration at this site is not settled",
        explanation: "Nothing migrates into a site while a migration there is open. `tmp recover` settles what was \
             interrupted; a failed rollback is put right by a person and recorded with `tmp resolve`.",
    },
];

/// The rules of plans: what must hold at a site before anything is changed.
pub(crate) static PLAN: &[&Rule] = &[
    &Rule {
        id: "absent",
        title: "A module is to be removed and is not there",
        explanation: "Either the target drifted or the enhancement was made against another tree. Package it with --base \
             against the tree as it is.",
    },
    &Rule {
        id: "built-on",
        title: "A later migration builds on the one that is to be reversed",
        explanation: "It names the same module or one around it, changed the same database, or requires the enhancement. \
             It is reversed first: `tmp reverse` shows the whole set, newest first, and asks for it.",
    },
    &Rule {
        id: "commands",
        title: "The enhancement runs commands, which policy forbids",
        explanation: "Batch steps, checks by command, commands after a rollback and utilities run with all rights of TMP. \
             `policy: {commands: allowed}` in tmp.yaml allows that.",
    },
    &Rule {
        id: "database",
        title: "A database of the enhancement cannot be used at this site",
        explanation: "The site must have a database of that name in tmp.yaml, and it must answer.",
    },
    &Rule {
        id: "database-file",
        title: "A module or a batch step would change the file of a database",
        explanation: "Databases change by SQL alone, in a transaction that can be taken back. Their files, and what TMP \
             keeps for itself, are never modules.",
    },
    &Rule {
        id: "drift",
        title: "A module or a schema is not what the enhancement expects, or not what TMP left",
        explanation: "Somebody changed the target since the enhancement was made, or since the last migration. Nothing is \
             overwritten that its developer did not know of: look at the difference (`tmp drift`) and package again \
             with --base against the tree as it is. What was changed after a migration is put back, or accepted on \
             record: `tmp drift SITE --accept --reason WHY`.",
    },
    &Rule {
        id: "engine",
        title: "A database has another engine than its scripts were written for",
        explanation: "Scripts are checked for one dialect when they are packaged.",
    },
    &Rule {
        id: "file-system",
        title: "Something that is migrated, or the state directory, lies on a file system that may forget",
        explanation: "The root, the state directory and the database are looked at. Network file systems are refused. One \
             that does not survive a power loss needs `ephemeral: true`.",
    },
    &Rule {
        id: "glob",
        title: "A glob cannot be read",
        explanation: "Globs are relative to the root: var/**, *.log.",
    },
    &Rule {
        id: "group",
        title: "Enhancements that move as one unit cannot be run yet",
        explanation: "`together_with` asks for one unit or nothing. Until groups exist, package them as one enhancement.",
    },
    &Rule {
        id: "ignored",
        title: "A module lies under a path that is ignored as live data",
        explanation: "`ignore` in tmp.yaml keeps live data out of migrations.",
    },
    &Rule {
        id: "immutable",
        title: "A module is marked immutable",
        explanation: "It can be neither exchanged nor put back. `chattr -i` it, or leave it out.",
    },
    &Rule {
        id: "journal",
        title: "What TMP last left at the target is not known",
        explanation: "A journal in the state directory cannot be read, so nobody can tell whether somebody changed the target \
             since. `tmp status` names the journal.",
    },
    &Rule {
        id: "no-way-back",
        title: "A part of a migration cannot be taken out later",
        explanation: "A batch step wrote something and has no rollback command, or a SQL change has no roll-back script and what \
             it touched cannot be written as one: a virtual table, or very many rows. Within the migration the \
             archive takes them back; later it would lose what others wrote since, so that is left to a person.",
    },
    &Rule {
        id: "owner",
        title: "The owner of a module is unknown here, or cannot be changed",
        explanation: "`owner` names a user and a group of this machine. The owner of a directory that is there already is \
                      not changed: leave `owner` out of its entry.",
    },
    &Rule {
        id: "reversal",
        title: "A migration cannot be reversed",
        explanation: "Only a committed migration can, once, at the site where it ran, while its journal and its archive can \
             be read.",
    },
    &Rule {
        id: "rights",
        title: "TMP lacks a right that the migration or its rollback needs",
        explanation: "What changes must be readable, so that it can be archived. Directories in which modules appear or go \
                      must be writable and TMP's own, because a rollback gives them their times back. A module that is \
                      replaced keeps its owner, which only root, or that owner and a member of its group, may set.",
    },
    &Rule {
        id: "root",
        title: "The root cannot be opened",
        explanation: "It must be a directory that TMP may read and write.",
    },
    &Rule {
        id: "rows",
        title: "A reversal would change or lose rows that were written since",
        explanation: "The roll-back scripts touch a table that somebody wrote to after the migration. Whoever decides that \
             those rows may go names the table: `tmp reverse ID --lose TABLE`.",
    },
    &Rule {
        id: "several-databases",
        title: "Several databases in one enhancement",
        explanation: "One database's COMMIT is the commit point. This release changes one database per enhancement.",
    },
    &Rule {
        id: "site-url",
        title: "A check needs the URL of the site",
        explanation: "{site.url} stands for `url:` of the site in tmp.yaml.",
    },
    &Rule {
        id: "space",
        title: "There is not enough room",
        explanation: "What is staged, the archive and the journal must fit before anything is touched. A rollback needs no room.",
    },
    &Rule {
        id: "special",
        title: "A device, FIFO or socket is in the way",
        explanation: "Special files are no modules: they are neither archived nor replaced.",
    },
    &Rule {
        id: "step-name",
        title: "Two steps have one name",
        explanation: "The journal knows steps by name.",
    },
    &Rule {
        id: "system",
        title: "The enhancement is for another system",
        explanation: "Take the trigger file that was made for this system.",
    },
    &Rule {
        id: "unlisted",
        title: "A directory goes that holds something nobody listed",
        explanation: "Everything that goes is listed, so that nothing is lost unseen. Package with --base, or keep the directory.",
    },
    &Rule {
        id: "unreadable",
        title: "Something cannot be read",
        explanation: "What cannot be read cannot be archived, and what is not archived is not changed.",
    },
    &Rule {
        id: "utility",
        title: "A control object needs a utility that this site does not have",
        explanation: "Utilities are configured in tmp.yaml under `utilities`.",
    },
    &Rule {
        id: "writes-ignored",
        title: "A batch step's `writes` may reach live data that tmp.yaml ignores",
        explanation: "What a batch step writes is put back when it is undone, and what is new there is removed; \
                      ignored data must not be. Name in `writes` only what the step changes.",
    },
    &Rule {
        id: "writes-module",
        title: "A batch step's `writes` reaches a module that the enhancement switches",
        explanation: "Putting back what the step wrote would undo the switch. Name in `writes` no module.",
    },
];

/// What a rehearsal finds wrong: a rule for each class.
pub(crate) static REHEARSAL: &[&Rule] = &[
    &Rule {
        id: "does-not-apply",
        title: "A rehearsal: the change itself fails",
        explanation: "A statement of an apply script fails on the clone, a verify script does not pass, or a check or \
                      step fails. The migration would be rolled back.",
    },
    &Rule {
        id: "roll-back-empty",
        title: "A rehearsal: the roll-back changes nothing",
        explanation: "The change changed something, and after the roll-back script everything is still as the change made \
                      it. Often the script holds comments only, an IF EXISTS with a typo, or a WHERE that nothing meets.",
    },
    &Rule {
        id: "fails-at-statement",
        title: "A rehearsal: a statement of the roll-back fails",
        explanation: "The message has the script, the line, the number of the statement and what the database said. A \
                      roll-back script undoes the statements of its apply script in the opposite order.",
    },
    &Rule {
        id: "restores-something-else",
        title: "A rehearsal: after the roll-back the schema or a module is not what it was",
        explanation: "Each object is named: missing, left over, or different. A table that was rebuilt loses what its new \
                      definition does not say: defaults, constraints, the order of columns, indexes, triggers. A \
                      module differs where a command changed more than its `writes` say.",
    },
    &Rule {
        id: "restores-schema-not-data",
        title: "A rehearsal: after the roll-back rows are not what they were",
        explanation: "The schema is right, and the tables that are named hold other rows than before. Values that an UPDATE \
                      or DELETE overwrites are gone unless the change keeps them in a table aside; triggers and the \
                      sequence of AUTOINCREMENT write rows too. `rollback: archive` brings everything back while \
                      nobody else has written.",
    },
    &Rule {
        id: "cannot-be-applied-again",
        title: "A rehearsal: the change gives another result the second time",
        explanation: "After the way back the change fails, or leads to something else than the first time: the way back \
                      left a difference that neither schema nor rows show, such as other row numbers or another order. \
                      Rows that hold the time, or chance, are no such difference.",
    },
    &Rule {
        id: "roll-back-fails",
        title: "A rehearsal: the engine cannot take the migration back",
        explanation: "In a real migration this would end with exit code 11 and a person, or with a command of \
                      `after_rollback` that failed. The message says which.",
    },
];
