//! The mappings inside, chosen by name.

use baked_settings::Settings;
use mapping::privacy::KEEP_PERSONAL;
use mapping::{Description, Mapping, Origin, Outcome, Rejection, SettingsError};
use mapping_ecs_1_12::Ecs112;
use mapping_ecs_9::Ecs9;
use serde_json::Value;

/// One of the mappings inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `ecs-9`
    Ecs9,
    /// `ecs-1.12`
    Ecs112,
}

impl Layout {
    /// The mapping of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ecs-9" => Some(Self::Ecs9),
            "ecs-1.12" => Some(Self::Ecs112),
            _ => None,
        }
    }

    fn describe(self) -> Description {
        match self {
            Self::Ecs9 => Ecs9::describe(),
            Self::Ecs112 => Ecs112::describe(),
        }
    }
}

#[derive(Debug)]
enum Inner {
    Ecs9(Box<Ecs9>),
    Ecs112(Box<Ecs112>),
}

/// A mapping at work, and what the adapter was told to do around it.
#[derive(Debug)]
pub(crate) struct Mapper {
    inner: Inner,
    /// `name@version`
    pub(crate) identity: String,
    pub(crate) envelope: bool,
    pub(crate) deletes: bool,
    /// `None`: as is usual for the adapter.
    pub(crate) errors: Option<bool>,
    /// Whether settings of records hold.
    pub(crate) record_settings: bool,
    /// Whether it writes personal values.
    pub(crate) keeps_personal: bool,
}

impl Mapper {
    /// Starts a mapping: the one asked for, or the one that the settings name. Unless
    /// `may_keep_personal` is set, personal values are redacted whatever the settings say.
    ///
    /// # Errors
    /// When the settings are not accepted; one sentence.
    pub(crate) fn start(
        settings: &[u8],
        asked: Option<Layout>,
        may_keep_personal: bool,
    ) -> Result<Self, String> {
        let Settings {
            adapter,
            mut mapping,
        } = Settings::read(settings)?;
        let keeps_personal = mapping.get(KEEP_PERSONAL) == Some(&Value::Bool(true));
        if keeps_personal && !may_keep_personal {
            mapping.insert(KEEP_PERSONAL.to_owned(), Value::Bool(false));
        }
        let named = || {
            Layout::named(&adapter.mapping).ok_or_else(|| {
                format!(
                    "there is no mapping `{}` inside, only ecs-9 and ecs-1.12",
                    adapter.mapping
                )
            })
        };
        let layout = asked.map_or_else(named, Ok)?;
        let origin = Origin {
            name: adapter.instance,
            url: adapter.url,
            static_fields: match adapter.static_fields.is_empty() {
                true => Vec::new(),
                false => Value::Object(adapter.static_fields)
                    .to_string()
                    .into_bytes(),
            },
        };
        let settings = Value::Object(mapping).to_string();
        let settings = settings.as_bytes();
        let inner = match layout {
            Layout::Ecs9 => Ecs9::new(settings, origin).map(|it| Inner::Ecs9(Box::new(it))),
            Layout::Ecs112 => Ecs112::new(settings, origin).map(|it| Inner::Ecs112(Box::new(it))),
        };
        let inner = inner.map_err(|error| match error {
            SettingsError::Malformed(text)
            | SettingsError::UnknownKey(text)
            | SettingsError::Invalid(text) => text,
        })?;
        let Description { name, version, .. } = layout.describe();
        Ok(Self {
            inner,
            identity: format!("{name}@{version}"),
            envelope: adapter.envelope,
            deletes: adapter.deletes,
            errors: adapter.errors,
            record_settings: adapter.record_settings,
            keeps_personal: keeps_personal && may_keep_personal,
        })
    }

    pub(crate) fn transform(&self, record: &[u8], now_ms: i64) -> Result<Outcome, Rejection> {
        match &self.inner {
            Inner::Ecs9(mapping) => mapping.transform(record, now_ms),
            Inner::Ecs112(mapping) => mapping.transform(record, now_ms),
        }
    }
}
