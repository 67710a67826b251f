//! What is baked in.

use serde::Deserialize;
use serde_json::{Map, Value};

/// The mapping's settings, and beside them under `adapter` what a host would decide.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// What the host would decide.
    pub adapter: Adapter,
    /// The settings of the mapping, as everywhere else.
    pub mapping: Map<String, Value>,
}

/// What a host would decide, for an artifact that runs without one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adapter {
    /// The mapping of those who name none; default `ecs-9`.
    pub mapping: String,
    /// The name of the MISP instance; empty (the default) for none.
    pub instance: String,
    /// Its base URL; none by default.
    pub url: Option<String>,
    /// An object of fields, merged into each document once; empty by default.
    pub static_fields: Map<String, Value>,
    /// Write `misp_ecs.{id,operation,mapping}` into each document; true by default.
    pub envelope: bool,
    /// Pass on what MISP has deleted, as `{"misp_ecs":{"id":..,"operation":"delete"}}`; false by default.
    pub deletes: bool,
    /// Write a document with `event.kind: pipeline_error` for what was refused. By default
    /// where there is no other way to say it.
    pub errors: Option<bool>,
    /// Settings that a record brings with it hold for this record; true by default. They never
    /// make a private value public.
    pub record_settings: bool,
    /// The command only: a folder to read instead of stdin, for engines that give no
    /// arguments and no input. Default: none.
    pub inbox: Option<String>,
}

impl Default for Adapter {
    fn default() -> Self {
        Self {
            mapping: "ecs-9".to_owned(),
            instance: String::new(),
            url: None,
            static_fields: Map::new(),
            envelope: true,
            deletes: false,
            errors: None,
            record_settings: true,
            inbox: None,
        }
    }
}

impl Settings {
    /// Reads a JSON object; no bytes mean `{}`.
    ///
    /// # Errors
    /// When it is no JSON object, or `adapter` has a key or a value that cannot be; one
    /// sentence. The mapping's settings are the mapping's to judge.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        if json.is_empty() {
            return Ok(Self::default());
        }
        let said = |error| format!("the settings cannot be read: {error}");
        let mut mapping: Map<String, Value> = serde_json::from_slice(json).map_err(said)?;
        let adapter = match mapping.remove("adapter") {
            Some(adapter) => Adapter::deserialize(adapter).map_err(said)?,
            None => Adapter::default(),
        };
        Ok(Self { adapter, mapping })
    }
}

/// The settings that hold where some are baked in and others given: by key, the given ones
/// first. What is no JSON object is passed on as it is, for the mapping to say so.
pub fn overlay(baked: &[u8], given: Vec<u8>) -> Vec<u8> {
    if baked.is_empty() {
        return given;
    }
    if given.is_empty() {
        return baked.to_vec();
    }
    let object = |json: &[u8]| serde_json::from_slice::<Map<String, Value>>(json).ok();
    match (object(baked), object(&given)) {
        (Some(mut all), Some(given)) => {
            all.extend(given);
            Value::Object(all).to_string().into_bytes()
        }
        _ => given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mappings_settings_are_beside_the_adapters() {
        let read = Settings::read(
            br#"{"tags":["a"],"adapter":{"deletes":true,"url":"https://misp.example.org"}}"#,
        );
        let read = read.unwrap();
        assert!(read.adapter.deletes && read.adapter.envelope);
        assert_eq!(read.adapter.mapping, "ecs-9");
        assert_eq!(Value::Object(read.mapping).to_string(), r#"{"tags":["a"]}"#);
        assert_eq!(Settings::read(b"{}"), Settings::read(b""));
    }

    #[test]
    fn what_is_given_holds_before_what_is_baked_in() {
        let over = |baked: &str, given: &str| {
            let all = overlay(baked.as_bytes(), given.as_bytes().to_vec());
            String::from_utf8(all).unwrap()
        };
        assert_eq!(over("", r#"{"a":1}"#), r#"{"a":1}"#);
        assert_eq!(over(r#"{"a":1}"#, ""), r#"{"a":1}"#);
        assert_eq!(over(r#"{"a":1,"b":[1]}"#, r#"{"b":2}"#), r#"{"a":1,"b":2}"#);
        assert_eq!(over(r#"{"a":1}"#, "[]"), "[]");
    }

    #[test]
    fn what_the_adapter_does_not_know_is_an_error() {
        for bad in [
            &b"[]"[..],
            b"{",
            br#"{"adapter":{"delete":true}}"#,
            br#"{"adapter":{"deletes":1}}"#,
        ] {
            assert!(Settings::read(bad).is_err());
        }
    }
}
