//! What the user wants found: any filter of `events/restSearch`, made safe to send.

mod ids;
mod known;
mod names;
mod refuse;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Map, Value};

use crate::client::Endpoint;
use crate::walk::CursorKind;

pub use known::{ATTRIBUTE_TYPES, CATEGORIES};
pub use refuse::{FilterError, Nearest, check_filters};

/// The user's filters as they are sent: integers where MISP misreads booleans, and without the
/// names that the walk sets itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Those that choose events.
    of_events: Map<String, Value>,
    /// Those that are sent to `attributes/restSearch` only: they select attributes, or add to
    /// them. Empty for a walk of `events/restSearch`.
    of_attributes: Map<String, Value>,
}

/// Something a person should know about a filter, told before the first poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterWarning {
    /// MISP does not know the name and drops it without a word.
    Unknown {
        /// As the user wrote it.
        name: String,
        /// The known name nearest to it.
        nearest: Option<String>,
    },
    /// A name of attributes/restSearch that events/restSearch drops without a word.
    Ignored {
        /// As the user wrote it.
        name: String,
    },
    /// The walk sets this itself; the user's value is not sent.
    Overridden {
        /// As the user wrote it.
        name: String,
    },
    /// A boolean that MISP would misread, sent as an integer.
    Converted {
        /// As the user wrote it.
        name: String,
        /// What is sent.
        sent: i64,
    },
    /// A time that MISP takes for the future, so that nothing is ever found.
    Never {
        /// As the user wrote it.
        name: String,
        /// The value.
        value: String,
    },
}

impl fmt::Display for FilterWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown {
                name,
                nearest: Some(nearest),
            } => write!(
                f,
                "filter `{name}` is unknown to MISP, which ignores it: did you mean `{nearest}`?"
            ),
            Self::Unknown { name, .. } => {
                write!(f, "filter `{name}` is unknown to MISP, which ignores it")
            }
            Self::Ignored { name } => write!(
                f,
                "filter `{name}` has no effect on a search of events: MISP ignores it"
            ),
            Self::Overridden { name } => write!(
                f,
                "filter `{name}` is set by the walk itself and not sent (use `page_size` and \
                 `lookback`)"
            ),
            Self::Converted { name, sent } => write!(
                f,
                "filter `{name}` is sent as {sent}: MISP misreads a boolean there"
            ),
            Self::Never { name, value } => write!(
                f,
                "filter `{name}: {value}` finds nothing: give UNIX seconds, a date, or a time ago \
                 such as 30d, 12h or 90m"
            ),
        }
    }
}

impl Filters {
    /// Reads the user's filters for a walk by `publish_timestamp`, and says what is odd about
    /// them.
    pub fn new(given: &Map<String, Value>) -> (Self, Vec<FilterWarning>) {
        Self::for_walk(given, CursorKind::Publish)
    }

    /// [`Self::new`] for a walk by this clock, which is then no filter: the walk would not keep
    /// to it, and a sweep would withdraw what the walk delivers.
    pub fn for_walk(given: &Map<String, Value>, cursor: CursorKind) -> (Self, Vec<FilterWarning>) {
        Self::for_endpoint(given, cursor, Endpoint::Events)
    }

    /// [`Self::for_walk`] of this endpoint. With [`Endpoint::Attributes`], the filters that select
    /// attributes on `attributes/restSearch` are kept from the search for events: there, `type`
    /// or `!tag` would choose whole events by any of their attributes.
    pub fn for_endpoint(
        given: &Map<String, Value>,
        cursor: CursorKind,
        endpoint: Endpoint,
    ) -> (Self, Vec<FilterWarning>) {
        let mut filters = Map::new();
        let mut warnings: Vec<FilterWarning> = unknown(given, endpoint);
        for (name, value) in given {
            let clock =
                cursor == CursorKind::Timestamp && names::EVENT_CLOCK.contains(&name.as_str());
            if clock || names::WALKS.contains(&name.as_str()) {
                warnings.push(FilterWarning::Overridden { name: name.clone() });
                continue;
            }
            let mut value = value.clone();
            if names::INTEGERS.contains(&name.as_str())
                && let Some(sent) = integer_meant(&value)
            {
                value = sent.into();
                warnings.push(FilterWarning::Converted {
                    name: name.clone(),
                    sent,
                });
            }
            if names::TIMES.contains(&name.as_str()) && finds_nothing(&value) {
                warnings.push(FilterWarning::Never {
                    name: name.clone(),
                    value: value.to_string(),
                });
            }
            filters.insert(name.clone(), value);
        }
        let mut of_attributes = Map::new();
        if endpoint == Endpoint::Attributes {
            // The other name that events/restSearch has for `tags`.
            if let Some(tag) = filters.remove("tag") {
                filters.entry("tags").or_insert(tag);
            }
            for (name, value) in std::mem::take(&mut filters) {
                let is_unknown = !names::KNOWN.contains(&name.as_str())
                    && !names::KNOWN_TO_ATTRIBUTES.contains(&name.as_str())
                    && !name.starts_with("galaxy.");
                if is_unknown {
                    // Allowed by the user: which of the two searches knows it is not known here.
                    filters.insert(name.clone(), value.clone());
                    of_attributes.insert(name, value);
                    continue;
                }
                let is_theirs = names::SELECT_ATTRIBUTES.contains(&name.as_str())
                    || names::OF_ATTRIBUTES.contains(&name.as_str())
                    || name.starts_with("include");
                if is_theirs {
                    of_attributes.insert(name, value);
                } else {
                    filters.insert(name, value);
                }
            }
        }
        let filters = Self {
            of_events: filters,
            of_attributes,
        };
        (filters, warnings)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let of_attributes = || self.of_attributes.get(name);
        self.of_events.get(name).or_else(of_attributes)
    }

    /// Are attributes selected by what only `attributes/restSearch` selects them by?
    pub(crate) fn select_attributes(&self) -> bool {
        let mut names = self.of_attributes.keys();
        names.any(|name| names::SELECT_ATTRIBUTES.contains(&name.as_str()))
    }

    /// The names of tags that are asked for, without those that are refused (`!`) or patterns.
    pub fn tag_names(&self) -> Vec<String> {
        let mut found = Vec::new();
        for name in ["tags", "tag", "event_tags"] {
            if let Some(value) = self.get(name) {
                collect_names(value, &mut found);
            }
        }
        found.retain(|name| !name.starts_with('!') && !name.contains('%'));
        found
    }

    /// For a walk by `publish_timestamp`, `published` 1 unless the user says otherwise; then
    /// `flags`, then the user's filters.
    pub(crate) fn body(
        &self,
        flags: &Map<String, Value>,
        cursor: CursorKind,
    ) -> Map<String, Value> {
        let mut body = Map::new();
        if cursor == CursorKind::Publish {
            // What is edited after it was published is not reviewed yet.
            body.insert("published".to_owned(), Value::from(1));
        }
        body.extend(as_integers(flags));
        body.extend(self.of_events.clone());
        body
    }
}

impl Filters {
    /// What is found, and not what it looks like: the body of a listing of live attributes.
    pub(crate) fn selection(&self, cursor: CursorKind) -> Map<String, Value> {
        let mut body = self.body(&Map::new(), cursor);
        let cut = self.of_attributes.iter();
        let cut = cut.filter(|(name, _)| names::CUT.contains(&name.as_str()));
        body.extend(cut.map(|(name, value)| (name.clone(), value.clone())));
        // What is deleted is not there, whoever asks for it.
        body.remove("deleted");
        body.retain(|name, _| {
            !names::SHAPES.contains(&name.as_str()) && !name.starts_with("include")
        });
        body
    }

    /// As [`Self::selection`], of the attributes of events that are already chosen: the body of a
    /// search of `attributes/restSearch`.
    pub(crate) fn selection_of_attributes(&self) -> Map<String, Value> {
        let mut body = self.of_attributes.clone();
        body.remove("deleted");
        body.retain(|name, _| {
            !names::SHAPES.contains(&name.as_str()) && !name.starts_with("include")
        });
        body
    }

    /// Are live attributes left out?
    pub(crate) fn only_deleted(&self) -> bool {
        let is_live = |one: &Value| integer(one) == Some(0);
        match self.get("deleted") {
            None | Some(Value::Null) => false,
            Some(Value::Array(list)) => !list.is_empty() && !list.iter().any(is_live),
            Some(one) => !is_live(one),
        }
    }

    /// Is an event in this state of publication looked for? One of unknown state may be.
    pub(crate) fn wants(&self, published: Option<bool>, cursor: CursorKind) -> bool {
        let Some(published) = published else {
            return true;
        };
        let by_default = Value::from(1);
        let wanted = match self.get("published") {
            None if cursor == CursorKind::Publish => &by_default,
            None | Some(Value::Null) => return true,
            Some(wanted) => wanted,
        };
        let matches = |one: &Value| integer(one).is_none_or(|flag| (flag != 0) == published);
        match wanted {
            Value::Array(list) => list.iter().any(matches),
            one => matches(one),
        }
    }

    /// A name by which events can be asked for beside the user's filters: MISP looks for an
    /// event's uuid under both. If the user has taken both, [`Self::lets_event`] holds one.
    pub(crate) fn free_name_for_events(&self) -> &'static str {
        if self.of_events.contains_key("uuid") {
            "eventid"
        } else {
            "uuid"
        }
    }

    /// Does the user's `eventid` let this event through, where it cannot be sent because both
    /// names are taken?
    pub(crate) fn lets_event(&self, id: &str, uuid: &str) -> bool {
        match self.of_events.get("eventid") {
            Some(wanted) if self.of_events.contains_key("uuid") => {
                ids::let_through(wanted, [id, uuid])
            }
            _ => true,
        }
    }

    /// For the attributes of events that are already chosen: `flags`, and of the user's filters
    /// those that select attributes or add to them. Deleted attributes are among them, so that
    /// pages keep still.
    pub(crate) fn of_attributes(&self, flags: &Map<String, Value>) -> Map<String, Value> {
        let mut body = as_integers(flags);
        body.remove("published");
        body.extend(self.of_attributes.clone());
        let deleted = self.get("deleted").filter(|_| self.only_deleted());
        let both = || Value::from(vec![0, 1]);
        body.insert("deleted".to_owned(), deleted.cloned().unwrap_or_else(both));
        body
    }
}

/// Flags with integers where MISP misreads booleans.
fn as_integers(flags: &Map<String, Value>) -> Map<String, Value> {
    let flags = flags.iter().map(|(name, value)| {
        let integer = integer_meant(value).filter(|_| names::INTEGERS.contains(&name.as_str()));
        let value = integer.map_or_else(|| value.clone(), Value::from);
        (name.clone(), value)
    });
    flags.collect()
}

/// A flag as a number; a list or a word such as `only` is none.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(flag) => Some((*flag).into()),
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The names in an object of filters that MISP does not know, each with the nearest it knows.
/// Those it knows for attributes only are among them, without a nearest.
pub fn unknown_filters(filters: &Value) -> Vec<(String, Option<String>)> {
    filters
        .as_object()
        .map(|filters| unknown(filters, Endpoint::Events))
        .unwrap_or_default()
        .into_iter()
        .filter_map(|warning| match warning {
            FilterWarning::Unknown { name, nearest } => Some((name, nearest)),
            FilterWarning::Ignored { name } => Some((name, None)),
            _ => None,
        })
        .collect()
}

fn unknown(filters: &Map<String, Value>, endpoint: Endpoint) -> Vec<FilterWarning> {
    let of_attributes =
        |name: &str| endpoint == Endpoint::Attributes && names::KNOWN_TO_ATTRIBUTES.contains(&name);
    filters
        .keys()
        .filter(|name| !names::KNOWN.contains(&name.as_str()) && !name.starts_with("galaxy."))
        .filter(|name| !of_attributes(name))
        .map(|name| {
            let name = name.clone();
            if names::IGNORED.contains(&name.as_str()) {
                FilterWarning::Ignored { name }
            } else {
                FilterWarning::Unknown {
                    nearest: nearest(&name),
                    name,
                }
            }
        })
        .collect()
}

fn nearest(name: &str) -> Option<String> {
    let known = names::KNOWN.iter().chain(names::KNOWN_TO_ATTRIBUTES);
    nearest_of(name, known.copied())
}

fn nearest_of<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    let word = word.to_lowercase();
    known
        .map(|known| {
            (
                strsim::damerau_levenshtein(&word, &known.to_lowercase()),
                known,
            )
        })
        .min_by_key(|(distance, _)| *distance)
        // A third of the letters wrong is another word.
        .filter(|(distance, known)| distance * 3 <= known.len().max(3))
        .map(|(_, known)| known.to_owned())
}

/// What a boolean, or the word for one, should have been.
fn integer_meant(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(flag) => Some((*flag).into()),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(1),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(0),
        _ => None,
    }
}

/// Milliseconds, nothing at all, or a unit that MISP does not know.
fn finds_nothing(value: &Value) -> bool {
    const YEAR_3000: i64 = 32_503_680_000;
    match value {
        Value::Number(number) => number.as_i64().is_some_and(|seconds| seconds > YEAR_3000),
        Value::String(text) => {
            let text = text.trim();
            let weeks = text.strip_suffix(['w', 'W', 'y', 'Y']);
            text.is_empty()
                || text.parse().is_ok_and(|seconds: i64| seconds > YEAR_3000)
                || weeks.is_some_and(|count| count.parse::<f64>().is_ok())
        }
        Value::Array(list) => list.iter().any(finds_nothing),
        _ => false,
    }
}

fn collect_names(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.extend(
            text.split("||")
                .flat_map(|part| part.split("&&"))
                .map(|name| name.trim().to_owned()),
        ),
        Value::Array(list) => list.iter().for_each(|one| collect_names(one, found)),
        Value::Object(map) => map
            .iter()
            .filter(|(operator, _)| !operator.eq_ignore_ascii_case("not"))
            .for_each(|(_, one)| collect_names(one, found)),
        _ => {}
    }
}
