//! The label of source control: what the description says, and what source control itself says.

use super::Assembly;
use crate::{
    document::FieldPath,
    rules,
    source::{Label, LabelState},
};

impl Assembly<'_> {
    /// The label that is recorded: that of the tree where it has one, with the repository as the
    /// description names it; otherwise what the description says. They must not contradict each other.
    pub(super) fn label(&mut self, tree: Option<Label>) -> Option<Label> {
        let Some(tree) = tree else { return self.source.label.clone() };
        let said = self.source.label.clone().unwrap_or_default();
        let commit = tree.commit.clone().unwrap_or_default();
        if let Some(tag) = said.tag.filter(|tag| tree.tag.as_ref() != Some(tag)) {
            let packaged = tree.tag.as_ref().map_or_else(
                || format!("commit {commit} and no tag"),
                |packaged| format!("the tag {packaged}"),
            );
            self.contradiction("tag", format!("{tag:?} is not what is packaged, {packaged}"));
        }
        if let Some(said) = said.commit.filter(|said| said.is_empty() || !commit.starts_with(said)) {
            self.contradiction("commit", format!("{said:?} is not what is packaged, commit {commit}"));
        }
        if said.state == Some(LabelState::Dirty) {
            self.contradiction("state", "what comes straight from a commit is clean".to_owned());
        }
        Some(Label { repository: said.repository.or(tree.repository), ..tree })
    }

    fn contradiction(&mut self, field: &str, message: String) {
        let place = FieldPath::top().field("label").field(field);
        self.wrong(&rules::LABEL, &place, message, "leave it out: source control says it itself");
    }
}
