//! The rules that a description and a trigger file must keep, for `tmp explain`.

use crate::mistake::Rule;

macro_rules! rules {
    ($($name:ident $id:literal $title:literal $explanation:literal)*) => {
        $(pub(crate) static $name: Rule = Rule { id: $id, title: $title, explanation: $explanation };)*

        static ALL: &[Rule] = &[$(Rule { id: $id, title: $title, explanation: $explanation }),*];
    };
}

/// Every rule of this crate.
pub fn rules() -> &'static [Rule] {
    ALL
}

rules! {
    BAD_VALUE "bad-value" "A value does not follow the rules of its kind"
        "Names, revisions, modes, durations, dates, digests and choices each have one spelling. The message \
         says which; `tmp schema` has them all, and an editor that knows the schema offers them."
    BASE "base" "The base tree does not fit the enhancement"
        "With `--base` (or `--from` and `--to`) each changed module records what it expects to replace. What \
         the enhancement removes must be in that tree, and what `replaces` says must be what it holds."
    COMMAND "command" "A command cannot be run as it is written"
        "A command is a list: the program, then its arguments. No shell reads it. A program that begins with a '/' \
         is one of the target host; another with a '/' lies below the root of the system; one without is looked \
         up in PATH. A path has no '.' and no '..' in it."
    DATABASE "database" "A database is not declared"
        "Every database that a SQL change names is declared under `databases` with its engine, because the \
         dialect must be known when the scripts are checked."
    DUPLICATE_FIELD "duplicate-field" "A field is given twice"
        "YAML readers disagree about which of two equal fields counts, so neither does."
    DUPLICATE_MODULE "duplicate-module" "Two entries change one module"
        "Each path is changed once. Paths that differ only in case or in Unicode composition count as one, \
         because they are one on some file systems."
    DUPLICATE_NAME "duplicate-name" "A name is used twice"
        "SQL changes, batch steps and checks share one set of names: the journal and the reports know them \
         by name alone."
    ENTRY "entry" "An entry does not say exactly one thing"
        "A module is either put or removed; a check has exactly one of `http`, `run` and `digest`."
    FILE "file" "A file of the enhancement cannot be used"
        "Everything an enhancement names lies beside `enhancement.yaml`, can be read, and is a regular file, \
         a directory or a symlink. Nothing outside of its directory is taken in, not through a symlink either."
    LABEL "label" "The label contradicts source control"
        "With `--from-git` the label comes from the repository: tag and commit are those that are packaged, and the \
         state is clean. `label` in enhancement.yaml may say the same or leave it out, and may name the repository."
    LIMIT "limit" "Something is larger than a trigger file may hold"
        "Limits keep a hostile or broken file from using up memory, disk or time at a site. docs/format/trigger.md lists them."
    MISSING_FIELD "missing-field" "A required field is missing"
        "The message names the field; `tmp schema` says what belongs there."
    MODE "mode" "Permission bits would let a program take another identity"
        "Set-user-id and set-group-id are never taken over from the files of a developer. Write the `mode` of \
         the module explicitly where that is really meant, and it is shown to whoever approves."
    MODE_WIDENED "mode-widened" "A private file would become readable by all"
        "Where an entry has no `mode`, a file is packaged as 0644, or as 0755 if its owner may run it, whatever \
         umask it was made under. A file that only its owner can read here may be a secret: write its `mode` to \
         keep it private. This is a warning."
    MODULE_CONFLICT "module-conflict" "Two entries cannot both hold"
        "A path that becomes a file or a symlink, or that is removed, cannot hold other modules that are put."
    OWNER "owner" "An owner cannot be read"
        "`user` or `user:group`, by name or number."
    PATH "path" "A path leads out of its place or cannot be a module's"
        "Paths of modules are relative to the root of the system and separated by '/', without '.', '..', \
         control characters, backslashes or drive letters. Paths of sources are relative to the directory of \
         `enhancement.yaml` and stay inside it."
    RELATION "relation" "Relations between enhancements contradict each other"
        "An enhancement neither requires nor conflicts with itself, and does not at once require, or move \
         together with, one that it conflicts with."
    RESERVED_NAME "reserved-name" "A step has the name of one of TMP's own"
        "The journal knows steps by name, and TMP has steps of its own: post-image, after-rollback, and one \
         control-object-… for each control object."
    SCHEDULE "schedule" "The schedule contradicts itself"
        "A schedule must begin before it expires; a day alone expires when it is over."
    SCRIPT "script" "A SQL script would not run as it must"
        "Scripts are checked when they are packaged: a statement that would leave the transaction, or that \
         the engine of its database does not know, is refused here and not at the site."
    SECRET "secret-in-address" "An address has a name or a password in it"
        "Addresses stand in plans, journals and reports, which many may read. What an address needs besides its \
         host is no place for a secret: let a health check be answered without one, or run a command that reads it \
         from where the site keeps it."
    SITES "sites" "Phases and sites do not fit each other"
        "Every site of a phase is one of `sites`, and no site is in two phases."
    SQL_ORDER "sql-order" "A SQL change without a transaction comes before one with"
        "Changes with `transaction: none` run after the commit of all the others, so they are written last."
    TESTING "testing" "Accepted without evidence"
        "Whoever says that the tests of an enhancement were accepted says where that can be read."
    TOO_LARGE "too-large" "The document is too large"
        "A document has at most 1 MiB, 200,000 values (aliases count as often as they are used) and 32 levels."
    UNKNOWN_FIELD "unknown-field" "A field nobody knows"
        "A misspelt field would be ignored in silence, so unknown fields are refused."
    WRITES "writes" "A glob of `writes` cannot be used"
        "`writes` names what a batch step changes below the root, relative and without '..', so that it can be \
         archived before."
    WRONG_TYPE "wrong-type" "A value is of another type"
        "YAML reads 0640, 1.10 and yes as something else than text. Modes, versions, ids and times are text: \
         write them in quotes."
    YAML "yaml" "The text is not YAML"
        "The text cannot be read at all from the given place on."
    MOVE_DATE "database-move-date" "A database change without a date"
        "Operators plan a change of a database by the date in `change_document.database_move_date`. This is a \
         warning: change management may set the date later."
    LINK "leaving-link" "A symlink leads out of the root"
        "A symlink may point anywhere, but what it points to there is not archived and not rolled back. This \
         is a warning."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_told_apart_and_explained() {
        let ids: std::collections::BTreeSet<_> = rules().iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), rules().len());
        for rule in rules() {
            assert!(!rule.title.is_empty() && rule.explanation.len() > 40, "{}", rule.id);
        }
    }
}
