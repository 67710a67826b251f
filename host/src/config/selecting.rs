//! What of an instance is delivered: MISP's own filters, `only` and `except`.

use misp_client::{ATTRIBUTE_TYPES, CATEGORIES, check_filters};
use pipeline::{Criteria, Selection};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{ConfigError, CursorClock, Endpoint, Instance, Lookback, nearest};

/// The part of an instance's configuration that selects what is delivered.
#[derive(Debug, Clone, Serialize)]
struct Selecting<'i> {
    endpoint: Endpoint,
    cursor: CursorClock,
    filters: &'i Map<String, Value>,
    lookback_ms: Option<u128>,
    attributes: Selection,
}

impl Instance {
    /// Returns which attributes are delivered.
    pub(crate) fn attributes(&self) -> Selection {
        Selection {
            only: self.only.clone(),
            except: self.except.clone(),
        }
    }

    /// Returns the search of MISP that the filters are sent to.
    pub(crate) fn search(&self) -> misp_client::Endpoint {
        match self.endpoint {
            Endpoint::Events | Endpoint::Feed => misp_client::Endpoint::Events,
            Endpoint::Attributes => misp_client::Endpoint::Attributes,
        }
    }

    /// Returns a hash of everything that selects what is delivered: if it changes, what was
    /// delivered before is read again and compared.
    pub(crate) fn selection(&self) -> String {
        let selecting = Selecting {
            endpoint: self.endpoint,
            cursor: self.cursor,
            filters: &self.filters,
            lookback_ms: match self.lookback {
                Lookback::All => None,
                Lookback::For(duration) => Some(duration.get().as_millis()),
            },
            attributes: self.attributes(),
        };
        // Maps with texts as keys: writing them to memory cannot fail.
        let json = serde_json::to_vec(&selecting).unwrap_or_default();
        runtime::digest(&json)
    }
}

/// Refuses filters that MISP would ignore, and words that are in none of its lists.
pub(super) fn check(instance: &Instance) -> Result<(), ConfigError> {
    let endpoint = instance.search();
    let allowed = instance.allow_unknown_filters;
    check_filters(&instance.filters, endpoint, allowed).map_err(|error| ConfigError::Filter {
        instance: instance.label().to_owned(),
        error,
    })?;
    for (key, criteria) in [("only", &instance.only), ("except", &instance.except)] {
        if let Some(criteria) = criteria {
            check_criteria(criteria).map_err(|text| ConfigError::Criteria {
                instance: instance.label().to_owned(),
                key,
                text,
            })?;
        }
    }
    Ok(())
}

fn check_criteria(criteria: &Criteria) -> Result<(), String> {
    if criteria.is_empty() {
        return Err("no key is given; leave it out to set no condition".to_owned());
    }
    if let Some(number) = criteria.min_confidence.filter(|number| *number > 100) {
        return Err(format!("`min_confidence: {number}` is more than 100"));
    }
    let lists = [
        ("types", &criteria.types, ATTRIBUTE_TYPES, "attribute type"),
        ("categories", &criteria.categories, CATEGORIES, "category"),
    ];
    for (key, words, known, what) in lists {
        for word in words.iter().flatten() {
            if known.contains(&word.as_str()) {
                continue;
            }
            let nearest = nearest(word, known.iter().copied());
            let nearest = nearest.map(|nearest| format!("; did you mean `{nearest}`?"));
            return Err(format!(
                "`{key}`: MISP has no {what} `{word}`{}",
                nearest.unwrap_or_default()
            ));
        }
    }
    Ok(())
}
