//! Members of MISP's JSON that are copied to a field of their own name.

use ecs_model::{FieldId, Leaves, json};
use misp_model::{Json, Object, PerShape};

use crate::compact::compact;
use crate::problems::Problems;
use crate::time;

/// One member and its field.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its key in MISP's JSON.
    pub key: &'static str,
    /// See [`misp_model::prefix`].
    pub prefix: u64,
    /// The field it becomes.
    pub field: FieldId,
    /// How its value is read.
    pub kind: Kind,
}

/// How a value is read.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text, whatever its JSON type.
    Text,
    /// Seconds since the epoch, as text.
    Epoch,
    /// A day.
    Day,
    /// A point in time, as ISO 8601 in UTC; `0` is none.
    Time,
    /// An integer.
    Integer,
    /// A number.
    Number,
    /// A flag.
    Flag,
}

/// Members under one prefix of a catalogue: the kind of each and its key, which is
/// also the last part of its field's name.
#[macro_export]
macro_rules! members {
    ($catalogue:ident, $prefix:literal: $($kind:ident $key:literal,)*) => {
        &[$($crate::members::Member {
            key: $key,
            prefix: $crate::prefix($key),
            field: $catalogue.id(concat!($prefix, $key)),
            kind: $crate::members::Kind::$kind,
        },)*]
    };
}

/// Copies members of one object. Absent and null ones are left out.
pub fn copy<'a>(
    members: &[Member],
    from: &Object<'a>,
    leaves: &mut Leaves<'a>,
    problems: &mut Problems,
) {
    for member in members {
        if let Some(value) = from.find(member.prefix, member.key) {
            member.copy(value, leaves, problems);
        }
    }
}

/// Copies the same members of many objects: where those of one shape have them is found once.
#[derive(Debug)]
pub struct Copier<'a> {
    members: &'static [Member],
    /// The members that are there, and the places of their values.
    found: PerShape<'a, Vec<(&'static Member, usize)>>,
}

impl<'a> Copier<'a> {
    /// A copier of these members.
    pub fn new(members: &'static [Member]) -> Self {
        Self {
            members,
            found: PerShape::default(),
        }
    }

    /// Copies members of one object, as [`copy`].
    pub fn copy(&mut self, from: &Object<'a>, leaves: &mut Leaves<'a>, problems: &mut Problems) {
        let members = self.members.iter();
        let found = self.found.of(from, |shape| {
            let place = |member: &'static Member| shape.place(member.prefix, member.key);
            members
                .filter_map(|member| Some((member, place(member)?)))
                .collect()
        });
        for (member, place) in found.into_iter().flatten() {
            if let Some(value) = from.at(*place) {
                member.copy(value, leaves, problems);
            }
        }
    }
}

/// Copies members of several objects, each as the list of its values.
pub fn copy_lists(
    members: &[Member],
    from: &[&Object<'_>],
    leaves: &mut Leaves<'_>,
    problems: &mut Problems,
) {
    for member in members {
        leaves.set(member.field, |out| {
            let start = out.len();
            for object in from {
                let separator = out.len();
                out.push(if separator == start { b'[' } else { b',' });
                let value = object.some(member.key);
                let write = |value| member.write(value, out, problems);
                if !value.is_some_and(write) {
                    out.truncate(separator);
                }
            }
            if out.len() > start {
                out.push(b']');
            }
        });
    }
}

impl Member {
    fn copy<'a>(&self, value: &Json<'a>, leaves: &mut Leaves<'a>, problems: &mut Problems) {
        if value.is_null() {
            return;
        }
        match self.as_given(value) {
            Some(json) => leaves.given(self.field, json.as_bytes()),
            None => leaves.set(self.field, |out| {
                self.write(value, out, problems);
            }),
        }
    }

    /// The JSON text of the field, where it stands as such in MISP's JSON already.
    fn as_given<'a>(&self, value: &Json<'a>) -> Option<&'a str> {
        match (self.kind, value) {
            (Kind::Text, Json::String(text)) => text.quoted(),
            (Kind::Integer, Json::String(text)) => text.integer(),
            (Kind::Flag, Json::Bool(true)) => Some("true"),
            (Kind::Flag, Json::Bool(false)) => Some("false"),
            _ => None,
        }
    }

    /// Appends a value; says whether it fits.
    fn write(&self, value: &Json<'_>, out: &mut Vec<u8>, problems: &mut Problems) -> bool {
        let written = match self.kind {
            Kind::Text => {
                text(out, value);
                Some(())
            }
            Kind::Epoch => time::epoch_seconds(value).map(|text| json::string(out, &text)),
            Kind::Day => time::iso_text(value).map(|text| json::string(out, &text)),
            Kind::Time if value.integer() == Some(0) => return false,
            Kind::Time => time::iso_utc(value).map(|text| json::string(out, &text)),
            Kind::Integer => value.integer().map(|number| json::integer(out, number)),
            Kind::Number => match value {
                Json::Number(number) => {
                    out.extend_from_slice(number.to_string().as_bytes());
                    Some(())
                }
                other => other.integer().map(|number| json::integer(out, number)),
            },
            Kind::Flag => value.boolean().map(|flag| json::boolean(out, flag)),
        };
        if written.is_none() {
            problems.misfit(self.field, value, self.kind.expected());
        }
        written.is_some()
    }
}

impl Kind {
    fn expected(self) -> &'static str {
        match self {
            Kind::Text => "a text",
            Kind::Epoch => "a time in seconds since the epoch",
            Kind::Day => "a date",
            Kind::Time => "a time",
            Kind::Integer => "an integer",
            Kind::Number => "a number",
            Kind::Flag => "a flag",
        }
    }
}

/// Appends a value as a JSON string; lists and objects as their JSON text.
fn text(out: &mut Vec<u8>, value: &Json<'_>) {
    if let Some(text) = value.text() {
        json::string(out, &text);
    } else {
        out.push(b'"');
        compact(out, value);
        out.push(b'"');
    }
}
