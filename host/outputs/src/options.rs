//! The outputs a configuration can name.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pipeline::{Output, OutputError};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    ElasticsearchOptions, ElasticsearchOutput, FileOptions, FileOutput, HttpOptions, HttpOutput,
    StdoutOptions, StdoutOutput,
};
#[cfg(feature = "kafka")]
use crate::{KafkaOptions, KafkaOutput};
#[cfg(feature = "nats")]
use crate::{NatsOptions, NatsOutput};

/// One output of the configuration; `type` says which kind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum OutputOptions {
    /// NDJSON on standard output.
    Stdout(StdoutOptions),
    /// NDJSON in a file.
    File(FileOptions),
    /// Documents posted to an HTTP receiver.
    Http(HttpOptions),
    /// Elasticsearch 8 or 9, OpenSearch 2 or 3.
    Elasticsearch(Box<ElasticsearchOptions>),
    /// Documents produced to a topic of Kafka.
    #[cfg(feature = "kafka")]
    Kafka(KafkaOptions),
    /// Documents published to a stream of NATS JetStream.
    #[cfg(feature = "nats")]
    Nats(NatsOptions),
}

impl OutputOptions {
    /// Every file that is named, to be resolved against the configuration's folder.
    pub fn files_mut(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Stdout(_) => Vec::new(),
            Self::File(options) => vec![&mut options.path],
            Self::Http(options) => options.files_mut().collect(),
            Self::Elasticsearch(options) => options.files_mut().collect(),
            #[cfg(feature = "kafka")]
            Self::Kafka(options) => options.files_mut().collect(),
            #[cfg(feature = "nats")]
            Self::Nats(options) => options.files_mut().collect(),
        }
    }

    /// How long it may fail until the others go on without it; `None`: they wait for it.
    #[must_use]
    pub fn optional_after(&self) -> Option<Duration> {
        let after = match self {
            Self::Stdout(_) => None,
            Self::File(options) => options.optional_after,
            Self::Http(options) => options.optional_after,
            Self::Elasticsearch(options) => options.optional_after,
            #[cfg(feature = "kafka")]
            Self::Kafka(options) => options.optional_after,
            #[cfg(feature = "nats")]
            Self::Nats(options) => options.optional_after,
        };
        after.map(|after| after.get())
    }

    /// The output under its name, without touching anything outside: for `check`.
    #[must_use]
    pub fn build(&self, name: &str) -> Arc<dyn Output> {
        match self {
            Self::Stdout(options) => Arc::new(StdoutOutput::new(name, options)),
            Self::File(options) => Arc::new(FileOutput::new(name, options)),
            Self::Http(options) => Arc::new(HttpOutput::new(name, options)),
            Self::Elasticsearch(options) => Arc::new(ElasticsearchOutput::new(name, options)),
            #[cfg(feature = "kafka")]
            Self::Kafka(options) => Arc::new(KafkaOutput::new(name, options)),
            #[cfg(feature = "nats")]
            Self::Nats(options) => Arc::new(NatsOutput::new(name, options)),
        }
    }

    /// The output, ready to write: files are created, locked and repaired now rather
    /// than with the first batch. Blocks on the disk.
    ///
    /// # Errors
    /// What keeps it from writing.
    pub fn open(&self, name: &str) -> Result<Arc<dyn Output>, OutputError> {
        match self {
            Self::Stdout(options) => Ok(Arc::new(StdoutOutput::new(name, options))),
            Self::File(options) => Ok(Arc::new(FileOutput::open(name, options)?)),
            Self::Http(options) => Ok(Arc::new(HttpOutput::open(name, options)?)),
            Self::Elasticsearch(options) => Ok(Arc::new(ElasticsearchOutput::open(name, options)?)),
            #[cfg(feature = "kafka")]
            Self::Kafka(options) => Ok(Arc::new(KafkaOutput::open(name, options)?)),
            #[cfg(feature = "nats")]
            Self::Nats(options) => Ok(Arc::new(NatsOutput::open(name, options)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fsync;
    use serde_json::json;
    use units::{ByteSize, Duration as Span};

    fn read(value: serde_json::Value) -> Result<OutputOptions, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let OutputOptions::File(options) = read(json!({"type": "file", "path": "a"})).unwrap()
        else {
            panic!("not a file");
        };
        assert_eq!(options.rotate_size, ByteSize::mib(100));
        assert_eq!(options.rotate_age, Span::from_hours(24));
        assert_eq!((options.keep, options.fsync), (0, Fsync::Batch));
        assert_eq!((options.deletes, options.envelope_field), (false, false));
        assert_eq!(
            read(json!({"type": "stdout"})),
            Ok(OutputOptions::Stdout(StdoutOptions {
                deletes: false,
                envelope_field: false
            }))
        );
    }

    #[test]
    fn an_unknown_key_or_type_is_an_error_that_lists_the_known() {
        let error = read(json!({"type": "file", "path": "a", "rotatesize": "1MiB"})).unwrap_err();
        assert!(
            error.contains("rotatesize") && error.contains("rotate_size"),
            "{error}"
        );
        let error = read(json!({"type": "flie", "path": "a"})).unwrap_err();
        assert!(error.contains("flie") && error.contains("file"), "{error}");
        assert!(read(json!({"type": "file"})).unwrap_err().contains("path"));
    }

    #[test]
    fn the_schema_describes_every_setting() {
        let schema = schemars::schema_for!(OutputOptions).to_value();
        let text = schema.to_string();
        for key in [
            "rotate_size",
            "rotate_age",
            "keep",
            "fsync",
            "deletes",
            "envelope_field",
        ] {
            assert!(text.contains(key), "{key} is not in {schema:#}");
        }
        let mut missing = Vec::new();
        undescribed(&schema, "", &mut missing);
        assert_eq!(missing, Vec::<String>::new());
    }

    /// Properties without a description, but for the tag `type`.
    fn undescribed(value: &serde_json::Value, at: &str, missing: &mut Vec<String>) {
        let Some(object) = value.as_object() else {
            for item in value.as_array().into_iter().flatten() {
                undescribed(item, at, missing);
            }
            return;
        };
        for (key, child) in object {
            if key == "properties" {
                for (name, property) in child.as_object().unwrap() {
                    if name != "type" && property.get("description").is_none() {
                        missing.push(format!("{at}.{name}"));
                    }
                }
            }
            undescribed(child, &format!("{at}.{key}"), missing);
        }
    }
}
