//! Filters that cannot mean what the user wants, refused before any request is sent.

use serde_json::{Map, Value};

use super::{integer, known, names};
use crate::client::Endpoint;

/// A filter that MISP would ignore or that can find nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// MISP ignores names that it does not know, and would return everything.
    #[error(
        "unknown filter `{name}`{}; MISP would ignore it and return everything. Set \
         `allow_unknown_filters: true` to send it all the same",
        did_you_mean(nearest.as_deref())
    )]
    Unknown {
        /// As the user wrote it.
        name: String,
        /// The known name nearest to it.
        nearest: Option<String>,
    },
    /// MISP knows the name, but ignores it in this search.
    #[error(
        "filter `{name}` has no effect with `endpoint: {endpoint}`: MISP ignores it there and \
         would return everything. Remove it{}, or set `allow_unknown_filters: true`",
        if *other { ", use `endpoint: attributes`" } else { "" }
    )]
    NoEffect {
        /// As the user wrote it.
        name: String,
        /// The endpoint of the instance.
        endpoint: &'static str,
        /// Whether it works with `endpoint: attributes`.
        other: bool,
    },
    /// A value that is not one of the words that MISP knows there.
    #[error("filter `{name}`: unknown value `{value}`{}", did_you_mean_or(nearest))]
    UnknownValue {
        /// The name of the filter.
        name: String,
        /// The value as the user wrote it.
        value: String,
        /// The known word nearest to it, or all of them if they are few.
        nearest: Nearest,
    },
}

/// What a user may have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nearest {
    /// The nearest of many words, if one is near.
    Word(Option<String>),
    /// All of a few words.
    AnyOf(&'static str),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| {
        format!("; did you mean `{nearest}`?")
    })
}

fn did_you_mean_or(nearest: &Nearest) -> String {
    match nearest {
        Nearest::Word(nearest) => did_you_mean(nearest.as_deref()),
        Nearest::AnyOf(words) => format!("; it takes {words}"),
    }
}

/// Checks the user's filters for this endpoint: names that MISP ignores, unless they are allowed,
/// and values of which MISP has a list.
///
/// # Errors
/// The first filter that is wrong.
pub fn check_filters(
    filters: &Map<String, Value>,
    endpoint: Endpoint,
    allow_unknown: bool,
) -> Result<(), FilterError> {
    for (name, value) in filters {
        if !allow_unknown {
            check_name(name, endpoint)?;
        }
        check_value(name, value)?;
    }
    Ok(())
}

fn check_name(name: &str, endpoint: Endpoint) -> Result<(), FilterError> {
    let of_events = names::KNOWN.contains(&name) || name.starts_with("galaxy.");
    let of_attributes = names::KNOWN_TO_ATTRIBUTES.contains(&name);
    let (works, endpoint) = match endpoint {
        Endpoint::Events => (of_events, "events"),
        // The events are looked for with the filters of events.
        Endpoint::Attributes => (of_events || of_attributes, "attributes"),
    };
    if works {
        return Ok(());
    }
    let name = name.to_owned();
    if of_attributes || names::IGNORED.contains(&name.as_str()) {
        return Err(FilterError::NoEffect {
            name,
            endpoint,
            other: of_attributes,
        });
    }
    Err(FilterError::Unknown {
        nearest: super::nearest(&name),
        name,
    })
}

fn check_value(name: &str, value: &Value) -> Result<(), FilterError> {
    let words = |words: &'static [&'static str]| {
        each_word(value, &mut |word| {
            if word.contains('%') || words.contains(&word) {
                return Ok(());
            }
            let nearest = super::nearest_of(word, words.iter().copied());
            Err(unknown_value(name, word, Nearest::Word(nearest)))
        })
    };
    let few = |is_one: &dyn Fn(&Value) -> bool, all: &'static str| {
        each_leaf(value, &mut |leaf| {
            if leaf.is_null() || is_one(leaf) {
                return Ok(());
            }
            let shown = leaf
                .as_str()
                .map_or_else(|| leaf.to_string(), str::to_owned);
            Err(unknown_value(name, &shown, Nearest::AnyOf(all)))
        })
    };
    let flag = |leaf: &Value| {
        matches!(
            super::integer_meant(leaf).or_else(|| integer(leaf)),
            Some(0 | 1)
        )
    };
    let is_word = |leaf: &Value, word: &str| leaf.as_str() == Some(word);
    match name {
        "type" => words(known::ATTRIBUTE_TYPES),
        "category" => words(known::CATEGORIES),
        "to_ids" => few(
            &|leaf| flag(leaf) || is_word(leaf, "exclude"),
            "0, 1 and `exclude`",
        ),
        "published" => few(&flag, "0 and 1"),
        "deleted" => few(
            &|leaf| flag(leaf) || is_word(leaf, "only"),
            "0, 1 and `only`",
        ),
        "threat_level_id" => few(
            &|leaf| {
                let level = leaf.as_str().map(|text| text.trim_start_matches('!'));
                let level = level.map_or_else(|| integer(leaf), |text| text.trim().parse().ok());
                matches!(level, Some(1..=4))
            },
            "1 (high), 2 (medium), 3 (low) and 4 (undefined)",
        ),
        _ => Ok(()),
    }
}

fn unknown_value(name: &str, value: &str, nearest: Nearest) -> FilterError {
    FilterError::UnknownValue {
        name: name.to_owned(),
        value: value.to_owned(),
        nearest,
    }
}

/// Calls `check` with each value of a filter: in lists, and in `OR`, `AND` and `NOT`.
fn each_leaf(
    value: &Value,
    check: &mut dyn FnMut(&Value) -> Result<(), FilterError>,
) -> Result<(), FilterError> {
    match value {
        Value::Array(list) => list.iter().try_for_each(|one| each_leaf(one, check)),
        Value::Object(map) => map.values().try_for_each(|one| each_leaf(one, check)),
        leaf => check(leaf),
    }
}

/// As [`each_leaf`], with each word of a text: `a||b`, `a&&b`, `!a`.
fn each_word(
    value: &Value,
    check: &mut dyn FnMut(&str) -> Result<(), FilterError>,
) -> Result<(), FilterError> {
    each_leaf(value, &mut |leaf| {
        let Some(text) = leaf.as_str() else {
            return if leaf.is_null() {
                Ok(())
            } else {
                check(&leaf.to_string())
            };
        };
        let mut words = text.split("||").flat_map(|part| part.split("&&"));
        words.try_for_each(|word| check(word.trim().trim_start_matches('!')))
    })
}
