//! The mapping of the house with one flaw, which the setting `flaw` names: each must be
//! found by `misp-ecs mapping verify`. Natively empty.

#![cfg(target_arch = "wasm32")]

use std::cell::Cell;

use mapping::{Description, Mapping, Origin, Outcome, Rejection, SettingsError};
use mapping_ecs_1_12::Ecs112;
use serde_json::{Map, Value};

type Component = component_bindings::Shell<Flawed>;
component_bindings::export!(Component);

/// See the crate.
#[derive(Debug)]
pub struct Flawed {
    good: Ecs112,
    flaw: String,
    calls: Cell<i64>,
}

impl Mapping for Flawed {
    fn describe() -> Description {
        Ecs112::describe()
    }

    fn new(settings: &[u8], mut origin: Origin) -> Result<Self, SettingsError> {
        let mut flaw = String::new();
        let mut given = settings.to_vec();
        if let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(settings) {
            if let Some(Value::String(name)) = object.remove("flaw") {
                flaw = name;
            }
            if flaw == "settings" {
                object.clear();
            }
            given = Value::Object(object).to_string().into_bytes();
        }
        if flaw == "static fields" {
            origin.static_fields.clear();
        }
        Ok(Self {
            good: Ecs112::new(&given, origin)?,
            flaw,
            calls: Cell::new(0),
        })
    }

    fn request(&self) -> String {
        match self.flaw.as_str() {
            "request" => "no JSON".to_owned(),
            _ => self.good.request(),
        }
    }

    fn transform(&self, record: &[u8], now_ms: i64) -> Result<Outcome, Rejection> {
        self.calls.set(self.calls.get() + 1);
        match self.flaw.as_str() {
            "odd input" if serde_json::from_slice::<Map<String, Value>>(record).is_err() => {
                std::process::abort();
            }
            "limits" if record.len() > 1_000_000 => {
                std::hint::black_box(vec![1_u8; 300 << 20]);
            }
            _ => {}
        }
        let mut outcome = self.good.transform(record, now_ms)?;
        match self.flaw.as_str() {
            "sample" => drop(outcome.documents.pop()),
            "count" => outcome.documents.extend(outcome.documents.first().cloned()),
            _ => {}
        }
        for (place, document) in (0_i64..).zip(&mut outcome.documents) {
            match self.flaw.as_str() {
                "ids" => document.id = "same".to_owned(),
                "documents" => {
                    document.body.pop();
                    document.body.extend_from_slice(b",\"unlisted\":1}");
                }
                "slices" => document.timestamp_ms = place,
                "determinism" => document.timestamp_ms = self.calls.get(),
                "fingerprints" => document.fingerprint = 0,
                "fingerprints by the clock" => document.fingerprint = now_ms.unsigned_abs(),
                _ => {}
            }
        }
        Ok(outcome)
    }
}
