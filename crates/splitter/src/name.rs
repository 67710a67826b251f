//! The keys that tell shapes apart.

/// A key of an object, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Response,
    Event,
    Attribute,
    Object,
    Uuid,
    Id,
    Timestamp,
    PublishTimestamp,
    Published,
    AttributeCount,
    EventUuid,
    EventId,
    Date,
    /// Only attributes have it.
    OfAttribute,
    /// Only events have it.
    OfEvent,
    /// A number: PHP writes a list with gaps as an object.
    Index,
    Other,
}

impl Name {
    /// A longer key (with all its letters escaped) is not one of these.
    pub(crate) const LONGEST: usize = 6 * "publish_timestamp".len() + 2;

    /// Of a key as written, with its quotes.
    pub(crate) fn of(raw: &[u8]) -> Self {
        if raw.len() > Self::LONGEST {
            return Self::Other;
        }
        if raw.contains(&b'\\') {
            let text: Option<String> = serde_json::from_slice(raw).ok();
            return text.map_or(Self::Other, |text| Self::of_text(text.as_bytes()));
        }
        let text = raw.strip_prefix(b"\"").and_then(|r| r.strip_suffix(b"\""));
        text.map_or(Self::Other, Self::of_text)
    }

    fn of_text(text: &[u8]) -> Self {
        match text {
            b"response" => Self::Response,
            b"Event" => Self::Event,
            b"Attribute" => Self::Attribute,
            b"Object" => Self::Object,
            b"uuid" => Self::Uuid,
            b"id" => Self::Id,
            b"timestamp" => Self::Timestamp,
            b"publish_timestamp" => Self::PublishTimestamp,
            b"published" => Self::Published,
            b"attribute_count" => Self::AttributeCount,
            b"event_uuid" => Self::EventUuid,
            b"event_id" => Self::EventId,
            b"date" => Self::Date,
            b"value" | b"to_ids" | b"category" => Self::OfAttribute,
            b"info" | b"Orgc" | b"threat_level_id" | b"analysis" | b"orgc_id" => Self::OfEvent,
            _ if is_index(text) => Self::Index,
            _ => Self::Other,
        }
    }
}

fn is_index(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_do_not_hide_a_name() {
        assert_eq!(Name::of(br#""Attribute""#), Name::Attribute);
        assert_eq!(Name::of(br#""\u0041ttribute""#), Name::Attribute);
        let escaped: String = "publish_timestamp"
            .bytes()
            .map(|b| format!("\\u{b:04x}"))
            .collect();
        assert_eq!(
            Name::of(format!("\"{escaped}\"").as_bytes()),
            Name::PublishTimestamp
        );
        assert_eq!(Name::of(br#""attribute""#), Name::Other);
        assert_eq!(Name::of(br#""\ud800""#), Name::Other);
        assert_eq!(Name::of(br#""17""#), Name::Index);
        assert_eq!(Name::of(br#""""#), Name::Other);
    }
}
