//! A mapping that misbehaves as its records ask: an attribute whose value is `trap`
//! traps, one that is `loop` never ends, and so on. Anything else is mapped to a
//! document that holds the value. Natively empty.

#![cfg(target_arch = "wasm32")]

use mapping::{
    Description, Document, Facts, Field, FieldOrigin, Mapping, Operation, Origin, Outcome,
    Rejection, SettingsError, Tally,
};
use serde_json::{Value, json};

use component_bindings::MapperOf;
use component_bindings::exports::misp_ecs::mapping::mapping as wit;

component_bindings::export!(Component);

/// The shell of any mapping, and around it what no shell would do.
#[derive(Debug)]
struct Component;

impl wit::Guest for Component {
    type Mapper = Miscounting;

    fn describe() -> wit::Description {
        <component_bindings::Shell<Hostile> as wit::Guest>::describe()
    }
}

/// Gives a result too few for a record that holds `too-few`, one too many for `too-many`.
#[derive(Debug)]
struct Miscounting(MapperOf<Hostile>);

impl wit::GuestMapper for Miscounting {
    fn new(settings: Vec<u8>, origin: wit::Origin) -> Result<Self, wit::SettingsError> {
        <MapperOf<Hostile> as wit::GuestMapper>::new(settings, origin).map(Self)
    }

    fn request(&self) -> String {
        self.0.request()
    }

    fn transform(
        &self,
        batch: Vec<Vec<u8>>,
        now_ms: i64,
    ) -> Vec<Result<wit::Outcome, wit::Rejection>> {
        let holds = |text: &[u8]| {
            let mut records = batch.iter();
            records.any(|record| record.windows(text.len()).any(|part| part == text))
        };
        let (few, many) = (holds(b"\"too-few\""), holds(b"\"too-many\""));
        let mut results = self.0.transform(batch, now_ms);
        if few {
            results.pop();
        }
        if many {
            let text = "one more".to_owned();
            results.push(Err(wit::Rejection::Other(text)));
        }
        results
    }
}

/// See the crate.
#[derive(Debug)]
pub struct Hostile;

impl Mapping for Hostile {
    fn describe() -> Description {
        Description {
            name: "hostile".to_owned(),
            version: "1".to_owned(),
            ecs_version: "0".to_owned(),
            settings_schema: "{}".to_owned(),
            fields: vec![Field {
                name: "value".to_owned(),
                data_type: "keyword".to_owned(),
                origin: FieldOrigin::Custom,
                source: "the attribute's value".to_owned(),
            }],
            extra: vec![("redact-types".to_owned(), "made-up-private".to_owned())],
        }
    }

    fn new(settings: &[u8], _: Origin) -> Result<Self, SettingsError> {
        match serde_json::from_slice::<Value>(settings) {
            Ok(Value::Object(settings)) => match settings.keys().next() {
                None => Ok(Self),
                Some(key) => Err(SettingsError::UnknownKey(key.clone())),
            },
            _ => Err(SettingsError::Malformed("not an object".to_owned())),
        }
    }

    fn request(&self) -> String {
        "{}".to_owned()
    }

    fn transform(&self, record: &[u8], _: i64) -> Result<Outcome, Rejection> {
        let record: Value = serde_json::from_slice(record)
            .map_err(|error| Rejection::Malformed(error.to_string()))?;
        let event = record.get("Event").cloned().unwrap_or_default();
        let mut attributes: Vec<Value> = list(&event, "Attribute");
        for object in list(&event, "Object") {
            attributes.extend(list(&object, "Attribute"));
        }
        let mut outcome = Outcome {
            event: text(&event, "uuid"),
            facts: vec![Facts::default()],
            ..Outcome::default()
        };
        if attributes.is_empty() {
            // An event without attributes is one document.
            attributes.push(json!({"uuid": outcome.event, "value": "no attributes"}));
        }
        for attribute in attributes {
            map(&attribute, &mut outcome);
        }
        Ok(outcome)
    }
}

fn map(attribute: &Value, outcome: &mut Outcome) {
    let value = text(attribute, "value");
    let mut body = json!({ "value": value }).to_string().into_bytes();
    let mut id = text(attribute, "uuid");
    match value.as_str() {
        "trap" => std::process::abort(),
        "panic" => panic!("asked to by {value}"),
        "loop" => while std::hint::black_box(true) {},
        "memory" => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(vec![1; 1 << 20]);
                std::hint::black_box(&hoard);
            }
        }
        "output" => body = format!("{{\"a\":\"{}\"}}", "x".repeat(3 << 20)).into_bytes(),
        "lose" => return,
        "not-utf8" => body = b"{\"a\":\"\xff\"}".to_vec(),
        "newline" => body = b"{\"a\":\n1}".to_vec(),
        "no-object" => body = b"[]".to_vec(),
        "no-id" => id = String::new(),
        "collide" => id = "the-same-for-all".to_owned(),
        _ => {}
    }
    outcome.documents.push(Document {
        id,
        attribute: Some(text(attribute, "uuid")),
        attribute_timestamp: None,
        operation: Operation::Put,
        dataset: None,
        timestamp_ms: 0,
        modified_ms: 0,
        expires_ms: None,
        facts: if value == "no-facts" { u32::MAX } else { 0 },
        fingerprint: 0,
        body,
        notes: Vec::new(),
    });
    outcome.tallies.push(Tally {
        attribute_type: "text".to_owned(),
        indicator_type: None,
        count: 1,
    });
}

fn list(value: &Value, key: &str) -> Vec<Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
