//! `event.original`: the record of one attribute, as JSON text.
//!
//! An attribute that is split out of a larger record gets that record's event, holding
//! only this attribute: compact, keys sorted. All that does not change from attribute
//! to attribute is written once ([`Frame`]), already escaped for the string it ends in.

use std::cell::OnceCell;

use ecs_model::json;
use misp_model::{Json, Object};

use crate::compact::{Attributes, compact, compact_attribute, keep, member, members};

/// An event's text with two gaps, for its `Attribute` and its `Object`.
#[derive(Debug, Clone)]
pub struct EventText {
    before: Vec<u8>,
    between: Vec<u8>,
    after: Vec<u8>,
}

impl EventText {
    /// The text of an event. `Attribute` and `Object` always stand in it, so that a
    /// slice of an event gives the same text as the event.
    pub fn new(event: &Object<'_>) -> Self {
        let mut text = br#"{\"Event\":{"#.to_vec();
        members(&mut text, event, |key, value| {
            key < "Attribute" && keep(key, value)
        });
        member(&mut text, "Attribute");
        let before = std::mem::take(&mut text);
        members(&mut text, event, |key, value| {
            key > "Attribute" && key < "Object" && keep(key, value)
        });
        member(&mut text, "Object");
        let between = std::mem::take(&mut text);
        members(&mut text, event, |key, value| {
            key > "Object" && keep(key, value)
        });
        text.extend_from_slice(b"}}");
        Self {
            before,
            between,
            after: text,
        }
    }

    /// The frame of the event's own attributes.
    pub fn attribute_frame(&self) -> Frame {
        let after = [self.between.as_slice(), b"[]", &self.after].concat();
        Frame {
            before: self.before.clone(),
            after,
        }
    }

    /// The frame of the attributes of one of its objects; `beside` is the event-level
    /// attribute of a pre-split record.
    pub fn object_frame(&self, object: &Object<'_>, beside: Option<&Object<'_>>) -> Frame {
        let mut attribute = b"[]".to_vec();
        if let Some(beside) = beside {
            attribute.clear();
            compact_attribute(&mut attribute, beside);
        }
        let mut before = [self.before.as_slice(), &attribute, &self.between].concat();
        let mut text = b"{".to_vec();
        members(&mut text, object, |key, value| {
            key < "Attribute" && keep(key, value)
        });
        member(&mut text, "Attribute");
        before.extend_from_slice(&text);
        text.clear();
        members(&mut text, object, |key, value| {
            key > "Attribute" && keep(key, value)
        });
        text.push(b'}');
        let after = [text.as_slice(), &self.after].concat();
        Frame { before, after }
    }

    /// Appends the text of an event without any attribute, as a JSON string.
    pub fn write_without_attribute(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        for part in [
            self.before.as_slice(),
            b"[]",
            &self.between,
            b"[]",
            &self.after,
        ] {
            out.extend_from_slice(part);
        }
        out.push(b'"');
    }
}

/// The text around one attribute.
#[derive(Debug, Clone)]
pub struct Frame {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Frame {
    /// Appends the text with this attribute in it, as a JSON string.
    pub fn write<'a>(
        &self,
        out: &mut Vec<u8>,
        attribute: &Object<'a>,
        attributes: &mut Attributes<'a>,
    ) {
        out.push(b'"');
        out.extend_from_slice(&self.before);
        attributes.write(out, attribute);
        out.extend_from_slice(&self.after);
        out.push(b'"');
    }
}

/// An event, and its text once it is needed.
#[derive(Debug)]
pub struct Original<'j, 'a> {
    event: &'j Object<'a>,
    text: OnceCell<EventText>,
}

impl<'j, 'a> Original<'j, 'a> {
    /// Nothing is written yet.
    pub fn new(event: &'j Object<'a>) -> Self {
        Self {
            event,
            text: OnceCell::new(),
        }
    }

    fn text(&self) -> &EventText {
        self.text.get_or_init(|| EventText::new(self.event))
    }
}

/// What stands around an attribute in its event, written once it is needed.
#[derive(Debug)]
pub struct Around<'s, 'a> {
    original: &'s Original<'s, 'a>,
    object: Option<&'s Object<'a>>,
    beside: Option<&'s Object<'a>>,
    frame: OnceCell<Frame>,
}

impl<'s, 'a> Around<'s, 'a> {
    /// Around an attribute of `object`, or of the event itself; `beside` is the
    /// event-level attribute of a pre-split record.
    pub fn new(
        original: &'s Original<'s, 'a>,
        object: Option<&'s Object<'a>>,
        beside: Option<&'s Object<'a>>,
    ) -> Self {
        Self {
            original,
            object,
            beside,
            frame: OnceCell::new(),
        }
    }

    fn frame(&self) -> &Frame {
        self.frame.get_or_init(|| {
            let text = self.original.text();
            match self.object {
                Some(object) => text.object_frame(object, self.beside),
                None => text.attribute_frame(),
            }
        })
    }
}

/// Where `event.original` comes from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'s, 'a> {
    /// The whole record: its bytes as they were given, unless it was redacted, and what they hold.
    AsGiven(Option<&'s [u8]>, &'s Json<'a>),
    /// The event around the attribute.
    Around(&'s Around<'s, 'a>),
    /// An event without attributes.
    Event(&'s Original<'s, 'a>),
}

impl<'a> Source<'_, 'a> {
    /// Appends `event.original` as a JSON string.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        attribute: &Object<'a>,
        attributes: &mut Attributes<'a>,
    ) {
        match self {
            Source::AsGiven(bytes, record) => write_as_given(out, *bytes, record),
            Source::Around(around) => around.frame().write(out, attribute, attributes),
            Source::Event(original) => original.text().write_without_attribute(out),
        }
    }
}

/// Appends a whole record as it was given, as a JSON string: its bytes, unless it was redacted.
fn write_as_given(out: &mut Vec<u8>, bytes: Option<&[u8]>, record: &Json<'_>) {
    out.push(b'"');
    match bytes {
        None => compact(out, record),
        Some(bytes) => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            json::escaped(out, bytes.trim_ascii());
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_text(event: &str) -> EventText {
        EventText::new(Json::parse(event.as_bytes()).unwrap().as_object().unwrap())
    }

    fn framed(frame: &Frame, attribute: &str) -> String {
        let mut out = Vec::new();
        let attribute = Json::parse(attribute.as_bytes()).unwrap();
        let attribute = attribute.as_object().unwrap();
        let mut attributes = Attributes::default();
        frame.write(&mut out, attribute, &mut attributes);
        let first = out.clone();
        out.clear();
        frame.write(&mut out, attribute, &mut attributes);
        assert_eq!(out, first);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn an_attribute_stands_alone_in_its_event() {
        let text = event_text(
            r#"{"uuid":"u","info":"a \"b\"","Attribute":[1,2],"Tag":[{"z":1,"a":2}],"Galaxy":[1],"EventReport":[],"Orgc":{}}"#,
        );
        assert_eq!(
            framed(
                &text.attribute_frame(),
                r#"{"value":"v","id":"1","Galaxy":[],"ShadowAttribute":[1]}"#
            ),
            r#"{"Event":{"Attribute":{"Galaxy":[],"id":"1","value":"v"},"EventReport":[],"Object":[],"Orgc":{},"Tag":[{"a":2,"z":1}],"info":"a \"b\"","uuid":"u"}}"#
        );
    }

    #[test]
    fn an_object_attribute_stands_in_its_object() {
        let text = event_text(r#"{"Attribute":[1],"Object":[1]}"#);
        let object = Json::parse(br#"{"name":"file","Attribute":[1],"AA":1}"#).unwrap();
        let frame = text.object_frame(object.as_object().unwrap(), None);
        assert_eq!(
            framed(&frame, r#"{"id":"1"}"#),
            r#"{"Event":{"Attribute":[],"Object":{"AA":1,"Attribute":{"id":"1"},"name":"file"}}}"#
        );
        let bare = Json::parse(b"{}").unwrap();
        let beside = Json::parse(br#"{"id":"2"}"#).unwrap();
        let frame = text.object_frame(bare.as_object().unwrap(), beside.as_object());
        assert_eq!(
            framed(&frame, r#"{"id":"1"}"#),
            r#"{"Event":{"Attribute":{"id":"2"},"Object":{"Attribute":{"id":"1"}}}}"#
        );
    }

    #[test]
    fn an_event_without_attributes() {
        let mut out = Vec::new();
        event_text("{}").write_without_attribute(&mut out);
        let text: String = serde_json::from_slice(&out).unwrap();
        assert_eq!(text, r#"{"Event":{"Attribute":[],"Object":[]}}"#);
    }

    #[test]
    fn the_bytes_stay_unless_the_record_was_redacted() {
        let given = b" { \"b\":1, \"a\":2 }\n";
        let mut out = Vec::new();
        let record = Json::parse(given).unwrap();
        write_as_given(&mut out, Some(given), &record);
        let text: String = serde_json::from_slice(&out).unwrap();
        assert_eq!(text, "{ \"b\":1, \"a\":2 }");
        out.clear();
        write_as_given(&mut out, None, &record);
        let text: String = serde_json::from_slice(&out).unwrap();
        assert_eq!(text, r#"{"a":2,"b":1}"#);
    }
}
