//! What is said about an enhancement: schedule, sites, tests, documents.

use std::collections::BTreeSet;

use super::Assembly;
use crate::{document::FieldPath, header::Attachment, rules};

impl Assembly<'_> {
    /// Checks them and digests the files they name.
    pub(super) fn surroundings(&mut self) -> Vec<Attachment> {
        self.schedule();
        self.sites();
        self.testing();
        self.move_date();
        self.attachments()
    }

    fn schedule(&mut self) {
        let Some(schedule) = &self.source.schedule else { return };
        if let (Some(begin), Some(end)) = (&schedule.not_before, &schedule.expires)
            && !begin.may_begin_before(end)
        {
            let place = FieldPath::top().field("schedule").field("expires");
            self.wrong(
                &rules::SCHEDULE,
                &place,
                format!("it expires on {end}, before it begins on {begin}"),
                "",
            );
        }
    }

    fn sites(&mut self) {
        let Some(distribution) = &self.source.distribution else { return };
        let top = FieldPath::top().field("distribution");
        let (mut seen, mut named) = (BTreeSet::new(), BTreeSet::new());
        for (at, site) in distribution.sites.iter().enumerate() {
            if !named.insert(site) {
                self.wrong(
                    &rules::SITES,
                    &top.field("sites").index(at),
                    format!("{site} is named twice"),
                    "",
                );
            }
        }
        for (phase, sites) in distribution.phases.iter().enumerate() {
            let place = top.field("phases").index(phase);
            if sites.is_empty() {
                self.wrong(&rules::SITES, &place, "a phase without a site", "");
            }
            for (at, site) in sites.iter().enumerate() {
                if !named.is_empty() && !named.contains(site) {
                    self.wrong(&rules::SITES, &place.index(at), format!("{site} is not one of `sites`"), "");
                }
                if !seen.insert(site) {
                    self.wrong(&rules::SITES, &place.index(at), format!("{site} is in two phases"), "");
                }
            }
        }
    }

    fn testing(&mut self) {
        let Some(testing) = &self.source.testing else { return };
        if testing.accepted && testing.evidence.is_none() {
            let message = "the tests are accepted, and nothing says where that can be read";
            let help = "name the file in `evidence`";
            self.wrong(&rules::TESTING, &FieldPath::top().field("testing"), message, help);
        }
    }

    fn move_date(&mut self) {
        let date = self.source.change_document.as_ref().and_then(|change| change.database_move_date.as_ref());
        if !self.source.sql.is_empty() && date.is_none() {
            let message = "a database changes and change_document.database_move_date is not given".to_owned();
            let place = FieldPath::top().field("sql");
            self.warnings.push(self.document.mistake(&rules::MOVE_DATE, &place, message, ""));
        }
    }

    fn attachments(&mut self) -> Vec<Attachment> {
        let change = FieldPath::top().field("change_document").field("documentation");
        let evidence = FieldPath::top().field("testing").field("evidence");
        let documents = self.source.change_document.iter().flat_map(|change| &change.documentation);
        let named: Vec<_> = documents
            .enumerate()
            .map(|(at, name)| (change.index(at), name))
            .chain(
                self.source
                    .testing
                    .iter()
                    .flat_map(|testing| &testing.evidence)
                    .map(|name| (evidence.clone(), name)),
            )
            .collect();
        let mut attachments = Vec::new();
        for (place, name) in named {
            match self.sources.file(name) {
                Ok(file) => match file.digest() {
                    Ok((digest, size)) => attachments.push(Attachment { name: name.clone(), digest, size }),
                    Err(error) => {
                        self.wrong(&rules::FILE, &place, format!("{name:?} cannot be read: {error}"), "");
                    }
                },
                Err(fault) => self.wrong_source(&place, fault),
            }
        }
        attachments
    }
}
