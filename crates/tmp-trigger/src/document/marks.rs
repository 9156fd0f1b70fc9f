//! Positions in a YAML text, by the path of the value. Only read to report mistakes: what a document
//! holds is decided by the other parser.

use saphyr_parser::{Event, Parser, Span};

use super::field_path::{FieldPath, Segment};

/// Line and column, both from 1, both in characters.
pub(super) type Position = (u64, u64);

/// Which part of a field is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    /// Its name, at its last occurrence.
    Key,
    /// Its value.
    Value,
}

/// Where everything stands in one text.
#[derive(Debug, Default)]
pub(super) struct Marks {
    nodes: Vec<Mark>,
}

#[derive(Debug)]
struct Mark {
    at: Position,
    held: Vec<Held>,
    map: bool,
}

#[derive(Debug)]
struct Held {
    /// The name of a field and where that stands; none in a list.
    key: Option<(String, Position)>,
    node: usize,
}

impl Marks {
    /// Reads as far as the text can be read.
    pub(super) fn of(text: &str) -> Self {
        let mut marks = Self::default();
        let mut open: Vec<(usize, Option<(String, Position)>)> = Vec::new();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            match event {
                Event::Scalar(value, ..) => marks.take(&mut open, &span, Some(&value), None),
                Event::Alias(_) => marks.take(&mut open, &span, None, None),
                Event::SequenceStart(..) => marks.take(&mut open, &span, None, Some(false)),
                Event::MappingStart(..) => marks.take(&mut open, &span, None, Some(true)),
                Event::SequenceEnd | Event::MappingEnd => drop(open.pop()),
                _ => {}
            }
        }
        marks
    }

    /// Takes in the next node: a field's name, or a value that is held by the innermost open node.
    fn take(
        &mut self,
        open: &mut Vec<(usize, Option<(String, Position)>)>,
        span: &Span,
        scalar: Option<&str>,
        opens: Option<bool>,
    ) {
        let at = (span.start.line() as u64, span.start.col() as u64 + 1);
        let node = self.nodes.len();
        if let Some((parent, key)) = open.last_mut()
            && let Some(mark) = self.nodes.get_mut(*parent)
        {
            if mark.map && key.is_none() {
                *key = Some((scalar.unwrap_or_default().to_owned(), at));
                if opens.is_none() {
                    return;
                }
            } else {
                mark.held.push(Held { key: key.take(), node });
            }
        }
        self.nodes.push(Mark { at, held: Vec::new(), map: opens == Some(true) });
        if opens.is_some() {
            open.push((node, None));
        }
    }

    /// Where `path` leads to, or the nearest that holds it.
    pub(super) fn find(&self, path: &FieldPath, spot: Spot) -> Position {
        let Some(mut mark) = self.nodes.first() else { return (0, 0) };
        let mut key = None;
        for segment in path.segments() {
            let held = match segment {
                Segment::Index(index) => mark.held.get(*index),
                Segment::Field(name) => mark
                    .held
                    .iter()
                    .rev()
                    .find(|held| held.key.as_ref().is_some_and(|(found, _)| found == name)),
            };
            let Some((held, next)) = held.and_then(|held| Some((held, self.nodes.get(held.node)?))) else {
                return mark.at;
            };
            key = held.key.as_ref().map(|(_, at)| *at);
            mark = next;
        }
        match spot {
            Spot::Key => key.unwrap_or(mark.at),
            Spot::Value => mark.at,
        }
    }
}
