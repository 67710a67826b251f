//! The log on stderr, for machines and for people.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeSet;
use std::fmt;

use common::{Setup, demo, output, text};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// JSON in which no object has a key twice.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<Self>()?;
            if !keys.insert(key.clone()) {
                return Err(A::Error::custom(format!("`{key}` twice")));
            }
        }
        Ok(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_json_and_no_key_occurs_twice() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "").with_compiled();
    // What a run logs, with its summary; an error; a wrong option.
    for (words, code) in [
        (&["run", "--once"][..], 0),
        (&["status"], 5),
        (&["audit", "--no-such-option"], 2),
        (&["reprocess", "--since", "last week"], 2),
    ] {
        let mut command = setup.command(words);
        command.args(["--log-json", "--log", "debug"]);
        let ran = output(command).await;
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(code), "{words:?}: {said}");
        assert!(!said.is_empty(), "{words:?}");
        for line in said.lines() {
            let unique: Result<Unique, _> = serde_json::from_str(line);
            let is_unique = unique.map(drop);
            assert!(is_unique.is_ok(), "{words:?}: {is_unique:?}: {line}");
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            for key in ["timestamp", "level", "fields"] {
                assert!(value.get(key).is_some(), "{key}: {line}");
            }
        }
        // What ends a command is an error. (A run may log others, such as one of the clocks.)
        let has_error = said.contains("\"level\":\"ERROR\"");
        assert!(code == 0 || has_error, "{words:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_level_is_refused() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    let mut command = setup.command(&["run", "--once"]);
    command.env("MISP_ECS_LOG", "nonsense");
    let ran = output(command).await;
    assert_eq!(ran.status.code(), Some(2));
    let said = text(&ran.stderr);
    assert!(said.contains("`nonsense` is not a level"), "{said}");
}
