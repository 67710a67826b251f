//! The attribute types whose values no document holds.

use std::collections::BTreeMap;

use misp_model::redaction::{self, Hidden};
use misp_model::{Json, Object};

/// Personal data: MISP marks these types as PII. Redacted unless the setting `keep_personal` is on.
/// Sorted.
const PERSONAL: [&str; 34] = [
    "aba-rtn",
    "bank-account-nr",
    "bic",
    "bin",
    "cc-number",
    "cookie",
    "country-of-residence",
    "date-of-birth",
    "first-name",
    "frequent-flyer-number",
    "full-name",
    "gender",
    "iban",
    "identity-card-number",
    "issue-date-of-the-visa",
    "last-name",
    "middle-name",
    "nationality",
    "passenger-name-record-locator-number",
    "passport-country",
    "passport-expiration",
    "passport-number",
    "payment-details",
    "phone-number",
    "place-of-birth",
    "place-port-of-clearance",
    "place-port-of-onward-foreign-destination",
    "place-port-of-original-embarkation",
    "primary-residence",
    "prtn",
    "redress-number",
    "special-service-request",
    "travel-details",
    "visa-number",
];

/// Private keys: redacted always.
const SECRET: &str = "pgp-private-key";

/// The setting that keeps personal values.
pub const KEEP_PERSONAL: &str = "keep_personal";

/// The private types of a mapping with its settings.
#[derive(Debug, Clone, Copy)]
pub struct Private {
    /// Whether personal values are kept.
    pub keep_personal: bool,
}

impl Private {
    /// All types that can be private.
    pub const ALL: Self = Self {
        keep_personal: false,
    };

    /// Whether a type is private.
    pub fn covers(self, attribute_type: &str) -> bool {
        attribute_type == SECRET
            || (!self.keep_personal && PERSONAL.binary_search(&attribute_type).is_ok())
    }

    /// Whether an attribute is of such a type.
    pub fn is(self, attribute: &Object<'_>) -> bool {
        matches!(attribute.get("type"), Some(Json::String(kind)) if self.covers(kind))
    }

    /// The types as `describe().extra` lists them, whatever the settings.
    pub fn types() -> String {
        let mut types = PERSONAL.to_vec();
        types.push(SECRET);
        types.sort_unstable();
        types.join(",")
    }
}

/// What tells the private attributes of a record apart, taken before they were redacted: by the
/// address of the attribute. It goes into ids, which are hashes, and nowhere else.
#[derive(Debug, Default)]
pub struct Identities(BTreeMap<usize, Identity>);

/// What tells an attribute apart from the others of its event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its uuid, unless it is empty.
    pub uuid: Option<String>,
    /// Its value, unless it is empty.
    pub value: Option<String>,
}

impl Identity {
    fn of(attribute: &Object<'_>) -> Self {
        let text = |key: &str| {
            let text = attribute.some(key)?.text()?;
            (!text.is_empty()).then(|| text.into_owned())
        };
        Self {
            uuid: text("uuid"),
            value: text("value"),
        }
    }
}

impl Identities {
    /// What an attribute had before it was redacted; `None` for all others.
    pub fn of(&self, attribute: &Object<'_>) -> Option<&Identity> {
        self.0.get(&std::ptr::from_ref(attribute).addr())
    }
}

/// Redacts a record; returns what tells its private attributes apart, and whether there are any.
pub fn redact(record: &mut Json<'_>, private: Private) -> (Identities, bool) {
    let mut identities = Identities::default();
    let is_private = |kind: &str| private.covers(kind);
    let redacted = redaction::redact(record, &is_private, &mut |hidden| {
        if let Hidden::Attribute(attribute) = hidden {
            let address = std::ptr::from_ref(attribute).addr();
            identities.0.insert(address, Identity::of(attribute));
        }
    });
    (identities, redacted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_types_are_sorted_and_can_be_kept() {
        assert!(PERSONAL.is_sorted());
        let all = Private::ALL;
        assert!(all.covers("passport-number") && all.covers(SECRET) && !all.covers("md5"));
        let kept = Private {
            keep_personal: true,
        };
        assert!(!kept.covers("passport-number") && kept.covers(SECRET));
    }
}
