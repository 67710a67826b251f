//! Made-up events, written in every way that JSON allows.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// An event: scalars, lists and objects in its head, attributes, objects.
pub(super) fn event() -> impl Strategy<Value = Value> {
    (
        vec((key(), value()), 0..6),
        proptest::option::of(vec(attribute(), 0..12)),
        proptest::option::of(vec(object(), 0..6)),
        any::<u32>(),
    )
        .prop_map(|(head, attributes, objects, time)| {
            let mut event: Map<_, _> = head.into_iter().collect();
            event.insert("info".to_owned(), json!("made up"));
            event.insert("timestamp".to_owned(), json!(time));
            event.insert("publish_timestamp".to_owned(), json!(time.to_string()));
            event.insert("Attribute".to_owned(), json!(attributes));
            event.insert("Object".to_owned(), json!(objects));
            Value::Object(event)
        })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("uuid".to_owned()),
        Just("id".to_owned()),
        Just("Tag".to_owned()),
        Just("Orgc".to_owned()),
        "k[a-zé\"\\\\ ]{0,9}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        "[a-z]{0,20}".prop_map(Value::from),
        "\\PC{0,9}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((key(), inner.clone()), 0..4).prop_map(|m| m.into_iter().collect()),
            // What looks like an event's lists, but is not.
            inner.prop_map(|value| json!({"Attribute": value, "Object": [], "Event": {}})),
        ]
    })
}

fn attribute() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => (any::<u32>(), value()).prop_map(|(uuid, value)| {
            json!({"uuid": uuid.to_string(), "type": "md5", "value": value})
        }),
        1 => Just(json!({})),
        1 => Just(Value::Null),
    ]
}

fn object() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => (value(), vec(attribute(), 0..6)).prop_map(|(name, attributes)| {
            json!({"name": name, "Attribute": attributes})
        }),
        1 => Just(json!({"name": "file"})),
        1 => Just(Value::Null),
    ]
}

/// How to write: where it is drawn from what comes next.
#[derive(Debug, Clone)]
pub(super) struct Hand {
    draws: Vec<u8>,
    next: usize,
}

/// A way to write.
pub(super) fn hand() -> impl Strategy<Value = Hand> {
    let plain = Just(vec![0]);
    let any = vec(any::<u8>(), 1..64);
    prop_oneof![1 => plain, 4 => any].prop_map(|draws| Hand { draws, next: 0 })
}

impl Hand {
    fn draw(&mut self) -> u8 {
        self.next += 1;
        self.draws[self.next % self.draws.len()]
    }

    /// Writes a value: its members in any order, white space and escapes anywhere.
    pub(super) fn write(&mut self, value: &Value) -> String {
        let mut text = String::new();
        self.value(value, &mut text);
        text
    }

    fn space(&mut self, text: &mut String) {
        text.push_str(match self.draw() {
            0..200 => "",
            200..220 => " ",
            220..235 => "\n  ",
            235..245 => "\r\n",
            _ => "\t \t",
        });
    }

    fn value(&mut self, value: &Value, text: &mut String) {
        match value {
            Value::Array(items) => {
                text.push('[');
                for (place, item) in items.iter().enumerate() {
                    self.space(text);
                    self.value(item, text);
                    self.space(text);
                    text.push_str(if place + 1 < items.len() { "," } else { "" });
                }
                self.space(text);
                text.push(']');
            }
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                let count = members.len();
                for place in 1..count {
                    members.swap(place, usize::from(self.draw()) % (place + 1));
                }
                text.push('{');
                for (place, (key, item)) in members.into_iter().enumerate() {
                    self.space(text);
                    self.string(key, text);
                    self.space(text);
                    text.push(':');
                    self.space(text);
                    self.value(item, text);
                    self.space(text);
                    text.push_str(if place + 1 < count { "," } else { "" });
                }
                self.space(text);
                text.push('}');
            }
            Value::String(string) => self.string(string, text),
            other => text.push_str(&other.to_string()),
        }
    }

    fn string(&mut self, string: &str, text: &mut String) {
        text.push('"');
        for c in string.chars() {
            let escaped = self.draw() > 240 || c < ' ' || c == '"' || c == '\\';
            if !escaped {
                text.push(c);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
        text.push('"');
    }
}
