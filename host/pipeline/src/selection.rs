//! Which attributes are delivered: `only` and `except`, over the facts that the mapping reports.

use std::borrow::Cow;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::{Facts, Mapped, Operation, Tlp};

/// Which attributes are delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Selection {
    /// What an attribute must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Criteria>,
    /// What an attribute must not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub except: Option<Criteria>,
}

/// Properties of attributes. `only` delivers an attribute if it matches every key that is given;
/// `except` drops it if it matches any of them. A list matches if one of its entries does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Criteria {
    /// Attribute types of MISP, such as `ip-dst`.
    #[serde(default, deserialize_with = "one_or_more")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<String>>,
    /// Categories of MISP, such as `Network activity`.
    #[serde(default, deserialize_with = "one_or_more")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub categories: Option<Vec<String>>,
    /// Names of tags, whatever their case; `%` stands for any text. The tags of the attribute and
    /// of its event count.
    #[serde(default, deserialize_with = "one_or_more")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// `clear` (or `white`), `green`, `amber`, `amber+strict`, `red`: the attribute's own marking,
    /// else its event's. In `only`, an attribute without a marking counts as `red`.
    #[serde(default, deserialize_with = "one_or_more")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tlp: Option<Vec<Tlp>>,
    /// Whether the attribute's `to_ids` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ids: Option<bool>,
    /// Names or uuids of the organisations that created the event, whatever their case.
    #[serde(default, deserialize_with = "one_or_more")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisations: Option<Vec<String>>,
    /// The lowest confidence that matches, 0 to 100. An attribute whose tags state none does not
    /// match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub min_confidence: Option<u8>,
}

/// An empty list would match nothing in `only`, or look as if it matched everything.
fn one_or_more<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let list = Vec::deserialize(deserializer)?;
    if list.is_empty() {
        return Err(serde::de::Error::custom(
            "the list is empty; leave the key out to set no condition",
        ));
    }
    Ok(Some(list))
}

impl Selection {
    /// Returns whether a document with these facts is delivered.
    #[must_use]
    pub fn passes(&self, facts: &Facts) -> bool {
        let only = self.only.as_ref();
        let except = self.except.as_ref();
        only.is_none_or(|only| only.all_match(facts))
            && !except.is_some_and(|except| except.any_matches(facts))
    }

    /// Turns the documents that do not pass into deletes; returns how many there were.
    pub(crate) fn apply(&self, mapped: &mut [Mapped]) -> u64 {
        if self.only.is_none() && self.except.is_none() {
            return 0;
        }
        let mut filtered = 0;
        for outcome in mapped.iter_mut().flatten() {
            // Documents share their facts.
            let mut decided: HashMap<*const Facts, bool> = HashMap::new();
            for document in &mut outcome.documents {
                let facts = Arc::as_ptr(&document.facts);
                let decision = decided.entry(facts);
                let passes = *decision.or_insert_with(|| self.passes(&document.facts));
                if !passes && document.operation == Operation::Put {
                    document.operation = Operation::Delete;
                    filtered += 1;
                }
            }
        }
        filtered
    }
}

impl Criteria {
    /// Returns whether no key is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn all_match(&self, facts: &Facts) -> bool {
        let strictest = Some(facts.tlp.unwrap_or(Tlp::Red));
        self.matches(facts, strictest)
            .into_iter()
            .flatten()
            .all(|is| is)
    }

    fn any_matches(&self, facts: &Facts) -> bool {
        self.matches(facts, facts.tlp)
            .into_iter()
            .flatten()
            .any(|is| is)
    }

    /// Returns for each key whether it matches; `None` for a key that is not given.
    fn matches(&self, facts: &Facts, tlp: Option<Tlp>) -> [Option<bool>; 7] {
        let is_one_of = |list: &Vec<String>, fact: &Option<String>| {
            fact.as_ref().is_some_and(|fact| list.contains(fact))
        };
        let organisations = [&facts.organisation, &facts.organisation_uuid];
        let is_organisation = |name: &String| {
            let mut known = organisations.into_iter().flatten();
            known.any(|known| lower(known) == lower(name))
        };
        [
            self.types
                .as_ref()
                .map(|types| is_one_of(types, &facts.attribute_type)),
            self.categories
                .as_ref()
                .map(|categories| is_one_of(categories, &facts.category)),
            self.tags
                .as_ref()
                .map(|patterns| patterns.iter().any(|pattern| has_tag(facts, pattern))),
            self.tlp
                .as_ref()
                .map(|list| tlp.is_some_and(|tlp| list.contains(&tlp))),
            self.to_ids.map(|to_ids| facts.to_ids == Some(to_ids)),
            self.organisations
                .as_ref()
                .map(|names| names.iter().any(is_organisation)),
            self.min_confidence
                .map(|least| facts.confidence.is_some_and(|number| number >= least)),
        ]
    }
}

fn has_tag(facts: &Facts, pattern: &str) -> bool {
    let pattern = lower(pattern);
    facts.tags.iter().any(|tag| is_like(&lower(tag), &pattern))
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_uppercase) {
        Cow::Owned(text.to_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns whether a text matches a pattern, in which `%` stands for any text.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('%') else {
        return text == pattern;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    let (middle, end) = rest.rsplit_once('%').unwrap_or(("", rest));
    let Some(mut text) = text.strip_suffix(end) else {
        return false;
    };
    // The first place of each part leaves the most for the parts that follow.
    for part in middle.split('%') {
        match text.find(part) {
            Some(place) => text = text.get(place + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

impl Tlp {
    const NAMES: [(&'static str, Self); 6] = [
        ("clear", Self::Clear),
        ("white", Self::Clear),
        ("green", Self::Green),
        ("amber", Self::Amber),
        ("amber+strict", Self::AmberStrict),
        ("red", Self::Red),
    ];
}

/// A word that is not a marking.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not a TLP marking; there are clear, white, green, amber, amber+strict, red")]
pub struct UnknownTlp {
    word: String,
}

impl FromStr for Tlp {
    type Err = UnknownTlp;

    /// Reads a marking with or without `tlp:`, whatever its case.
    fn from_str(text: &str) -> Result<Self, UnknownTlp> {
        let word = text.trim().to_lowercase();
        let word = word.strip_prefix("tlp:").unwrap_or(&word);
        let known = Self::NAMES.into_iter().find(|(name, _)| *name == word);
        known.map(|(_, tlp)| tlp).ok_or_else(|| UnknownTlp {
            word: text.to_owned(),
        })
    }
}

impl<'de> Deserialize<'de> for Tlp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Tlp {
    fn schema_name() -> Cow<'static, str> {
        "Tlp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names = Self::NAMES.map(|(name, _)| name);
        schemars::json_schema!({ "type": "string", "enum": names })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts() -> Facts {
        Facts {
            attribute_type: Some("ip-dst".to_owned()),
            category: Some("Network activity".to_owned()),
            to_ids: Some(true),
            tags: vec!["TLP:GREEN".to_owned(), "osint:source=\"blog\"".to_owned()],
            tlp: Some(Tlp::Green),
            organisation: Some("Example CERT".to_owned()),
            organisation_uuid: Some("6db5ae91-a25c-4989-a52a-809c4420f43d".to_owned()),
            confidence: Some(50),
        }
    }

    fn criteria(json: serde_json::Value) -> Option<Criteria> {
        Some(serde_json::from_value(json).unwrap())
    }

    fn only(json: serde_json::Value) -> Selection {
        Selection {
            only: criteria(json),
            except: None,
        }
    }

    fn except(json: serde_json::Value) -> Selection {
        Selection {
            only: None,
            except: criteria(json),
        }
    }

    #[test]
    fn each_key_matches_its_fact() {
        for (matching, other) in [
            (
                serde_json::json!({"types": ["url", "ip-dst"]}),
                serde_json::json!({"types": ["ip-src"]}),
            ),
            (
                serde_json::json!({"categories": ["Network activity"]}),
                serde_json::json!({"categories": ["Other"]}),
            ),
            (
                serde_json::json!({"tags": ["tlp:%"]}),
                serde_json::json!({"tags": ["tlp"]}),
            ),
            (
                serde_json::json!({"tlp": ["TLP:Green"]}),
                serde_json::json!({"tlp": ["white", "red"]}),
            ),
            (
                serde_json::json!({"to_ids": true}),
                serde_json::json!({"to_ids": false}),
            ),
            (
                serde_json::json!({"organisations": ["example cert"]}),
                serde_json::json!({"organisations": ["Example"]}),
            ),
            (
                serde_json::json!({"organisations": ["6DB5AE91-a25c-4989-a52a-809c4420f43d"]}),
                serde_json::json!({"organisations": ["00000000-a25c-4989-a52a-809c4420f43d"]}),
            ),
            (
                serde_json::json!({"min_confidence": 50}),
                serde_json::json!({"min_confidence": 51}),
            ),
        ] {
            assert!(only(matching.clone()).passes(&facts()), "{matching}");
            assert!(!except(matching.clone()).passes(&facts()), "{matching}");
            assert!(!only(other.clone()).passes(&facts()), "{other}");
            assert!(except(other.clone()).passes(&facts()), "{other}");
        }
    }

    #[test]
    fn only_needs_every_key_and_except_needs_one() {
        let mixed = serde_json::json!({"types": ["ip-dst"], "to_ids": false});
        assert!(!only(mixed.clone()).passes(&facts()));
        assert!(!except(mixed).passes(&facts()));
    }

    #[test]
    fn what_is_not_known_does_not_pass_only() {
        let unknown = Facts::default();
        for json in [
            serde_json::json!({"types": ["ip-dst"]}),
            serde_json::json!({"tlp": ["clear", "green", "amber", "amber+strict"]}),
            serde_json::json!({"to_ids": false}),
            serde_json::json!({"min_confidence": 0}),
        ] {
            assert!(!only(json.clone()).passes(&unknown), "{json}");
            assert!(except(json.clone()).passes(&unknown), "{json}");
        }
        assert!(only(serde_json::json!({"tlp": ["red"]})).passes(&unknown));
    }

    #[test]
    fn odd_criteria_are_refused() {
        for (json, text) in [
            (
                serde_json::json!({"tlp": ["gren"]}),
                "`gren` is not a TLP marking",
            ),
            (serde_json::json!({"types": []}), "the list is empty"),
            (serde_json::json!({"typ": ["url"]}), "unknown field `typ`"),
        ] {
            let error = serde_json::from_value::<Criteria>(json).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_it_was_made_from(
            parts in prop::collection::vec("[ab]{0,3}", 1..5),
            filling in prop::collection::vec("[abc]{0,3}", 5),
        ) {
            let pattern = parts.join("%");
            let mut text = String::new();
            for (number, part) in parts.iter().enumerate() {
                if number > 0 {
                    text.push_str(&filling[number]);
                }
                text.push_str(part);
            }
            prop_assert!(is_like(&text, &pattern), "{} {}", text, pattern);
            let (longer, sooner) = (text.clone() + "x", "x".to_owned() + &text);
            let (ends, begins) = (pattern.clone() + "b", "b".to_owned() + &pattern);
            prop_assert!(!is_like(&longer, &ends));
            prop_assert!(!is_like(&sooner, &begins));
        }
    }
}
