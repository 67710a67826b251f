//! Members of MISP's JSON that are copied to a field of their own name.

use ecs_model::{FieldId, Leaves, json};
use mapping::{REDACTED, time};
use misp_model::{Json, Object};

use crate::SECRETS;
use crate::fields::CATALOGUE;
use crate::problems::Problems;

/// One member and its field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    key: &'static str,
    field: FieldId,
    kind: Kind,
}

/// How a value is read.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Text, whatever its JSON type.
    Text,
    /// Seconds since the epoch, as text.
    Epoch,
    /// A day.
    Day,
    Integer,
    Flag,
}

macro_rules! members {
    ($prefix:literal: $($kind:ident $key:literal,)*) => {
        &[$(Member {
            key: $key,
            field: CATALOGUE.id(concat!($prefix, $key)),
            kind: Kind::$kind,
        },)*]
    };
}

/// Of an event.
pub(crate) const EVENT: &[Member] = members! { "misp.":
    Integer "attribute_count",
    Day "date",
    Flag "disable_correlation",
    Text "distribution",
    Text "extends_uuid",
    Text "id",
    Text "info",
    Flag "locked",
    Text "org_id",
    Text "orgc_id",
    Flag "proposal_email_lock",
    Epoch "publish_timestamp",
    Flag "published",
    Text "sharing_group_id",
    Integer "threat_level_id",
    Text "uuid",
};

/// Of an event, with the setting `keep_timestamp`.
pub(crate) const EVENT_TIMESTAMP: &[Member] = members! { "misp.": Epoch "timestamp", };

/// Of an event's `Orgc`.
pub(crate) const ORGC: &[Member] = members! { "misp.orgc.":
    Text "id", Flag "local", Text "name", Text "uuid",
};

/// Of an event's `Org`, with the setting `keep_org`.
pub(crate) const ORG: &[Member] = members! { "misp.org.":
    Text "id", Flag "local", Text "name", Text "uuid",
};

/// Of an attribute.
pub(crate) const ATTRIBUTE: &[Member] = members! { "misp.attribute.":
    Text "category",
    Text "comment",
    Flag "deleted",
    Flag "disable_correlation",
    Integer "distribution",
    Text "event_id",
    Text "id",
    Text "object_id",
    Text "object_relation",
    Text "sharing_group_id",
    Epoch "timestamp",
    Flag "to_ids",
    Text "type",
    Text "uuid",
    Text "value",
};

/// Of the attributes beside an object's attribute.
pub(crate) const CONTEXT: &[Member] = members! { "misp.context.attribute.":
    Text "category",
    Text "comment",
    Flag "deleted",
    Flag "disable_correlation",
    Integer "distribution",
    Text "event_id",
    Text "first_seen",
    Text "id",
    Text "last_seen",
    Text "object_id",
    Text "object_relation",
    Text "sharing_group_id",
    Epoch "timestamp",
    Flag "to_ids",
    Text "type",
    Text "uuid",
    Text "value",
};

/// Copies members of one object. Absent and null ones are left out.
pub(crate) fn copy(
    members: &[Member],
    from: &Object<'_>,
    leaves: &mut Leaves,
    problems: &mut Problems,
) {
    for member in members {
        leaves.set(member.field, |out| {
            member.write(from, out, problems);
        });
    }
}

/// Copies members of several objects, each as the list of its values.
pub(crate) fn copy_lists(
    members: &[Member],
    from: &[&Object<'_>],
    leaves: &mut Leaves,
    problems: &mut Problems,
) {
    for member in members {
        leaves.set(member.field, |out| {
            let start = out.len();
            for object in from {
                let separator = out.len();
                out.push(if separator == start { b'[' } else { b',' });
                if !member.write(object, out, problems) {
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
    /// Appends the value; says whether there was one that fits.
    fn write(&self, from: &Object<'_>, out: &mut Vec<u8>, problems: &mut Problems) -> bool {
        let Some(value) = from.some(self.key) else {
            return false;
        };
        if self.key == "value" && SECRETS.is_secret(from) {
            json::string(out, REDACTED);
            return true;
        }
        let written = match self.kind {
            Kind::Text => {
                text(out, value);
                Some(())
            }
            Kind::Epoch => time::epoch_seconds(value).map(|text| json::string(out, &text)),
            Kind::Day => time::iso_text(value).map(|text| json::string(out, &text)),
            Kind::Integer => value.integer().map(|number| json::integer(out, number)),
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
            Kind::Integer => "an integer",
            Kind::Flag => "a flag",
        }
    }
}

/// Appends a value as a JSON string; lists and objects as their JSON text.
fn text(out: &mut Vec<u8>, value: &Json<'_>) {
    if let Some(text) = value.text() {
        json::string(out, &text);
    } else {
        let mut compact = Vec::new();
        mapping::original::compact(&mut compact, value, SECRETS);
        out.push(b'"');
        json::escaped(out, &compact);
        out.push(b'"');
    }
}
