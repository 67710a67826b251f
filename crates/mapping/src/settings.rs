//! Settings: a flat JSON object, every key of it known.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::SettingsError;

/// One setting that a mapping knows.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// One sentence for the schema.
    pub about: &'static str,
}

/// What the value of a setting is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A flag and its default.
    Flag(bool),
    /// A duration such as `90d`, `12h`, `30m`, `45s`; none by default.
    Duration,
    /// A list of strings; empty by default.
    Texts,
    /// One of these names; the first by default.
    Choice(&'static [&'static str]),
}

/// The settings that were given. What was not given has its default.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<&'static str, Given>);

#[derive(Debug, Clone)]
enum Given {
    Flag(bool),
    DurationMs(i64),
    Texts(Vec<String>),
    Choice(&'static str),
}

impl Settings {
    /// Reads a JSON object; no bytes mean `{}`, and `null` means the default.
    ///
    /// # Errors
    /// When it is no object, a key is unknown, or a value is not of the setting's kind.
    pub fn read(bytes: &[u8], known: &[Setting]) -> Result<Self, SettingsError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let given: Map<String, Value> = serde_json::from_slice(bytes).map_err(|error| {
            SettingsError::Malformed(format!("the settings are not a JSON object: {error}"))
        })?;
        let mut settings = BTreeMap::new();
        for (key, value) in &given {
            let setting = known
                .iter()
                .find(|s| s.name == key)
                .ok_or_else(|| unknown(key, known))?;
            if !value.is_null() {
                let value = setting.kind.read(value).ok_or_else(|| {
                    let expected = setting.kind.expected();
                    SettingsError::Invalid(format!("`{key}` is {value}, but must be {expected}"))
                })?;
                settings.insert(setting.name, value);
            }
        }
        Ok(Self(settings))
    }

    /// A flag.
    pub fn flag(&self, setting: &Setting) -> bool {
        match (self.0.get(setting.name), setting.kind) {
            (Some(Given::Flag(flag)), _) => *flag,
            (_, Kind::Flag(default)) => default,
            _ => false,
        }
    }

    /// A duration in milliseconds.
    pub fn duration_ms(&self, setting: &Setting) -> Option<i64> {
        match self.0.get(setting.name) {
            Some(Given::DurationMs(duration)) => Some(*duration),
            _ => None,
        }
    }

    /// One of the names of a choice.
    pub fn choice(&self, setting: &Setting) -> &'static str {
        match (self.0.get(setting.name), setting.kind) {
            (Some(Given::Choice(name)), _) => name,
            (_, Kind::Choice([default, ..])) => default,
            _ => "",
        }
    }

    /// A list of strings.
    pub fn texts(&self, setting: &Setting) -> Vec<String> {
        match self.0.get(setting.name) {
            Some(Given::Texts(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }
}

impl Kind {
    fn read(self, value: &Value) -> Option<Given> {
        match self {
            Kind::Flag(_) => value.as_bool().map(Given::Flag),
            Kind::Duration => value.as_str().and_then(duration_ms).map(Given::DurationMs),
            Kind::Texts => value
                .as_array()?
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map(Given::Texts),
            Kind::Choice(names) => {
                let given = value.as_str()?;
                let name = names.iter().find(|name| **name == given)?;
                Some(Given::Choice(name))
            }
        }
    }

    fn expected(self) -> String {
        match self {
            Kind::Flag(_) => "true or false".to_owned(),
            Kind::Duration => "a duration such as \"90d\", \"12h\", \"30m\" or \"45s\"".to_owned(),
            Kind::Texts => "a list of strings".to_owned(),
            Kind::Choice(names) => format!("one of {}", names.join(", ")),
        }
    }
}

fn unknown(key: &str, known: &[Setting]) -> SettingsError {
    let nearest = known
        .iter()
        .min_by_key(|s| strsim::damerau_levenshtein(s.name, key));
    let hint = nearest.map_or_else(String::new, |s| format!("; the nearest is `{}`", s.name));
    SettingsError::UnknownKey(format!("there is no setting `{key}`{hint}"))
}

/// `90d`, `12h`, `30m`, `45s` in milliseconds; more than zero.
fn duration_ms(text: &str) -> Option<i64> {
    const UNITS: [(char, i64); 4] = [
        ('d', 86_400_000),
        ('h', 3_600_000),
        ('m', 60_000),
        ('s', 1_000),
    ];
    UNITS.iter().find_map(|(unit, ms)| {
        let number = text.strip_suffix(*unit)?;
        let number: u32 = number
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| number.parse().ok())??;
        i64::from(number).checked_mul(*ms).filter(|ms| *ms > 0)
    })
}

/// A JSON Schema (2020-12) of these settings.
pub fn schema(known: &[Setting]) -> String {
    let mut properties = Map::new();
    for setting in known {
        let mut property = match setting.kind {
            Kind::Flag(default) => json!({"type": "boolean", "default": default}),
            Kind::Duration => json!({"type": "string", "pattern": "^[0-9]+[dhms]$"}),
            Kind::Texts => json!({"type": "array", "items": {"type": "string"}, "default": []}),
            Kind::Choice(names) => {
                json!({"type": "string", "enum": names, "default": names.first()})
            }
        };
        if let Some(property) = property.as_object_mut() {
            property.insert("description".to_owned(), setting.about.into());
        }
        properties.insert(setting.name.to_owned(), property);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: Setting = Setting {
        name: "on",
        kind: Kind::Flag(true),
        about: "a flag",
    };
    const EXPIRY: Setting = Setting {
        name: "expiry",
        kind: Kind::Duration,
        about: "a time",
    };
    const TAGS: Setting = Setting {
        name: "tags",
        kind: Kind::Texts,
        about: "some tags",
    };
    const CLOCK: Setting = Setting {
        name: "clock",
        kind: Kind::Choice(&["a", "b"]),
        about: "one of two",
    };
    const KNOWN: [Setting; 4] = [ON, EXPIRY, TAGS, CLOCK];

    #[test]
    fn what_is_not_given_has_its_default() {
        for bytes in [&b""[..], b"{}", br#"{"on":null,"tags":null}"#] {
            let settings = Settings::read(bytes, &KNOWN).unwrap();
            assert!(settings.flag(&ON));
            assert_eq!(settings.duration_ms(&EXPIRY), None);
            assert_eq!(settings.texts(&TAGS), Vec::<String>::new());
            assert_eq!(settings.choice(&CLOCK), "a");
        }
    }

    #[test]
    fn what_is_given_counts() {
        let settings = Settings::read(
            br#"{"on":false,"expiry":"90d","tags":["a","b"],"clock":"b"}"#,
            &KNOWN,
        )
        .unwrap();
        assert_eq!(settings.choice(&CLOCK), "b");
        assert!(!settings.flag(&ON));
        assert_eq!(settings.duration_ms(&EXPIRY), Some(90 * 86_400_000));
        assert_eq!(settings.texts(&TAGS), ["a", "b"]);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = Settings::read(br#"{"expiri":"1d"}"#, &KNOWN).unwrap_err();
        let text = "there is no setting `expiri`; the nearest is `expiry`";
        assert_eq!(error, SettingsError::UnknownKey(text.to_owned()));
    }

    #[test]
    fn bad_values_are_errors() {
        for bad in [
            r#"{"on":"yes"}"#,
            r#"{"expiry":"90"}"#,
            r#"{"expiry":"0d"}"#,
            r#"{"expiry":"-1d"}"#,
            r#"{"expiry":"d"}"#,
            r#"{"expiry":90}"#,
            r#"{"tags":"a"}"#,
            r#"{"tags":[1]}"#,
            r#"{"clock":"c"}"#,
        ] {
            let error = Settings::read(bad.as_bytes(), &KNOWN).unwrap_err();
            assert!(matches!(error, SettingsError::Invalid(_)), "{bad}");
        }
        assert!(matches!(
            Settings::read(b"[]", &KNOWN),
            Err(SettingsError::Malformed(_))
        ));
    }

    #[test]
    fn the_schema_lists_every_setting() {
        let schema: Value = serde_json::from_str(&schema(&KNOWN)).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["on"]["default"], true);
        assert_eq!(schema["properties"].as_object().unwrap().len(), KNOWN.len());
    }
}
