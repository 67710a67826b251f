//! What SIGHUP asks for: the configuration is read again. A change of the mapping is a swap; any
//! other change starts the process again in place, with the same process id.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Swap;
use crate::args::Configured;
use crate::wiring::{self, Server};

impl Swap {
    /// Applies the configuration as it is now. `stop` ends the polls where that takes a start.
    pub(super) async fn reload_all(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let changed = match (&self.file, &self.raw) {
            (Some(file), Some(before)) => changes(before, &wiring::raw(file)?),
            _ => BTreeSet::new(),
        };
        let is_mapping = |place: &&String| *place == "mapping" || place.starts_with("mapping.");
        let (mapping, others): (Vec<&String>, Vec<&String>) = changed.iter().partition(is_mapping);
        let others = others.into_iter().map(String::as_str).collect::<Vec<_>>();
        let (Some(file), false) = (&self.file, others.is_empty()) else {
            self.reload().await?;
            return Ok(());
        };
        let changed = others.join(", ");
        if self.once {
            tracing::warn!(changed, "configuration changed: the next start applies it");
            return Ok(());
        }
        self.usable(file)?;
        if !mapping.is_empty() {
            self.reload().await?;
        }
        tracing::info!(changed, "configuration changed, starting again with it");
        self.again.cancel();
        stop.cancel();
        Ok(())
    }

    /// Does this process have to start again once all polls have ended?
    pub(crate) fn starts_again(&self) -> bool {
        self.again.is_cancelled()
    }

    /// Finds now what would keep the process from starting again.
    fn usable(&self, file: &Path) -> anyhow::Result<()> {
        let configured = Configured {
            config: Some(file.to_owned()),
            state: None,
        };
        let loaded = wiring::load_config(&configured)?;
        wiring::check_names(&loaded.config)?;
        let folder = self.setting.kept.state();
        for (instance, credential) in loaded.config.instances.iter().zip(&loaded.credentials) {
            Server::of(instance, credential, folder)?;
        }
        wiring::find_mapping(&loaded.config.mapping, loaded.directory.as_deref())?;
        Ok(())
    }
}

/// The keys whose values differ; those of an instance with its place in the list.
fn changes(before: &Value, after: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    compare("", before, after, &mut found);
    found
}

fn compare(place: &str, before: &Value, after: &Value, found: &mut BTreeSet<String>) {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            for key in one.keys().chain(other.keys()) {
                let dot = if place.is_empty() { "" } else { "." };
                let (one, other) = (one.get(key), other.get(key));
                let null = Value::Null;
                let (one, other) = (one.unwrap_or(&null), other.unwrap_or(&null));
                compare(&format!("{place}{dot}{key}"), one, other, found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{place}[{index}]"), one, other, found);
            }
        }
        (one, other) if one == other => {}
        _ => {
            found.insert(place.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::changes;

    #[test]
    fn changed_keys_are_named() {
        let before = json!({
            "instances": [{"url": "a", "interval": "1m", "filters": {"tags": ["x"]}}],
            "mapping": {"name": "ecs-9"},
        });
        let mut after = before.clone();
        after["instances"][0]["interval"] = json!("2m");
        after["instances"][0]["filters"]["tags"] = json!(["x", "y"]);
        after["outputs"] = json!({"out": {"type": "file"}});
        let found = changes(&before, &after).into_iter().collect::<Vec<_>>();
        assert_eq!(
            found,
            [
                "instances[0].filters.tags",
                "instances[0].interval",
                "outputs"
            ]
        );
        assert!(changes(&before, &before).is_empty());
    }
}
