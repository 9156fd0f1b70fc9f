//! Positions in a YAML text, by the path of the value. Only read to report mistakes: what a document
//! holds is decided by the other parser.

use std::collections::BTreeMap;

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
    holds: Holds,
}

/// What a node holds, each by its place in [`Marks::nodes`].
#[derive(Debug)]
enum Holds {
    Nothing,
    List(Vec<usize>),
    /// By the names of the fields, with where the last of that name stands.
    Map(BTreeMap<String, (Position, usize)>),
}

impl Marks {
    /// Reads as far as the text can be read.
    pub(super) fn of(text: &str) -> Self {
        let mut marks = Self::default();
        let mut open: Vec<(usize, Option<(String, Position)>)> = Vec::new();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            match event {
                Event::Scalar(value, ..) => marks.take(&mut open, &span, Some(&value), Holds::Nothing),
                Event::Alias(_) => marks.take(&mut open, &span, None, Holds::Nothing),
                Event::SequenceStart(..) => marks.take(&mut open, &span, None, Holds::List(Vec::new())),
                Event::MappingStart(..) => marks.take(&mut open, &span, None, Holds::Map(BTreeMap::new())),
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
        holds: Holds,
    ) {
        let at = (span.start.line() as u64, span.start.col() as u64 + 1);
        let node = self.nodes.len();
        let opens = !matches!(holds, Holds::Nothing);
        if let Some((parent, key)) = open.last_mut()
            && let Some(mark) = self.nodes.get_mut(*parent)
        {
            match (&mut mark.holds, key.take()) {
                (Holds::Map(_), None) => {
                    *key = Some((scalar.unwrap_or_default().to_owned(), at));
                    if !opens {
                        return;
                    }
                }
                (Holds::Map(fields), Some((name, at))) => drop(fields.insert(name, (at, node))),
                (Holds::List(items), _) => items.push(node),
                (Holds::Nothing, _) => {}
            }
        }
        self.nodes.push(Mark { at, holds });
        if opens {
            open.push((node, None));
        }
    }

    /// Where `path` leads to, or the nearest that holds it.
    pub(super) fn find(&self, path: &FieldPath, spot: Spot) -> Position {
        let Some(mut mark) = self.nodes.first() else { return (0, 0) };
        let mut key = None;
        for segment in path.segments() {
            let held = match (segment, &mark.holds) {
                (Segment::Index(index), Holds::List(items)) => items.get(*index).map(|node| (None, *node)),
                (Segment::Field(name), Holds::Map(fields)) => {
                    fields.get(name).map(|(at, node)| (Some(*at), *node))
                }
                _ => None,
            };
            let Some((at, next)) = held.and_then(|(at, node)| Some((at, self.nodes.get(node)?))) else {
                return mark.at;
            };
            (key, mark) = (at, next);
        }
        match spot {
            Spot::Key => key.unwrap_or(mark.at),
            Spot::Value => mark.at,
        }
    }
}
