//! Fields that the host knows and a mapping merges into every document.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Fields that the host adds to every document. Each group is `true` (its
/// defaults), `false` (left out), or an object that is laid over its defaults,
/// where `null` takes a field away.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StaticFields {
    /// `event.module` (default `ti_misp_ecs`) and `event.dataset` (`ti_misp_ecs.threat`).
    pub(crate) event: Group,
    /// `data_stream.type` (`logs`), `.dataset` (`ti_misp_ecs.threat`), `.namespace` (`default`).
    pub(crate) data_stream: Group,
    /// `input.type` (`misp`).
    pub(crate) input: Group,
    /// `agent.type` (`misp-ecs`), `.version`, `.name`, `.hostname`, `.id` (kept in the state), `.ephemeral_id` (new at each start).
    pub(crate) agent: Group,
    /// `host.*`, as the system says: off by default.
    pub(crate) host: Group,
    /// `cloud.*`: only what is given here.
    pub(crate) cloud: Group,
    /// `container.*`: only what is given here.
    pub(crate) container: Group,
    /// `log.*`: only what is given here.
    pub(crate) log: Group,
    /// `elastic_agent.*`: only what is given here.
    pub(crate) elastic_agent: Group,
}

/// One group of static fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Group {
    /// On with its defaults, or off.
    Switch(bool),
    /// Laid over the defaults.
    Fields(Map<String, Value>),
}

impl Default for Group {
    fn default() -> Self {
        Self::Switch(true)
    }
}

impl Default for StaticFields {
    fn default() -> Self {
        Self {
            event: Group::default(),
            data_stream: Group::default(),
            input: Group::default(),
            agent: Group::default(),
            // What the machine is called and runs is nobody's business but who asks for it.
            host: Group::Switch(false),
            cloud: Group::default(),
            container: Group::default(),
            log: Group::default(),
            elastic_agent: Group::default(),
        }
    }
}

/// What only the running host knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// `agent.id`, where there is a state to keep it.
    pub(crate) agent_id: Option<String>,
    /// `agent.ephemeral_id`.
    pub(crate) ephemeral_id: Option<String>,
}

impl StaticFields {
    /// The object that goes to the mapping as `origin.static-fields`.
    pub(crate) fn object(&self, facts: &Facts, tags: &[String]) -> Value {
        let hostname = sysinfo::System::host_name().ok();
        let groups: BTreeMap<&str, (&Group, Value)> = BTreeMap::from([
            (
                "event",
                (
                    &self.event,
                    json!({"module": "ti_misp_ecs", "dataset": "ti_misp_ecs.threat"}),
                ),
            ),
            (
                "data_stream",
                (
                    &self.data_stream,
                    json!({"type": "logs", "dataset": "ti_misp_ecs.threat", "namespace": "default"}),
                ),
            ),
            ("input", (&self.input, json!({"type": "misp"}))),
            (
                "agent",
                (
                    &self.agent,
                    json!({
                        "type": "misp-ecs",
                        "version": env!("CARGO_PKG_VERSION"),
                        "name": hostname,
                        "hostname": hostname,
                        "id": facts.agent_id,
                        "ephemeral_id": facts.ephemeral_id,
                    }),
                ),
            ),
            ("host", (&self.host, host())),
            ("cloud", (&self.cloud, json!({}))),
            ("container", (&self.container, json!({}))),
            ("log", (&self.log, json!({}))),
            ("elastic_agent", (&self.elastic_agent, json!({}))),
        ]);
        let mut object = Map::new();
        for (name, (group, defaults)) in groups {
            let fields = match group {
                Group::Switch(false) => continue,
                Group::Switch(true) => defaults,
                Group::Fields(fields) => lay_over(defaults, &Value::Object(fields.clone())),
            };
            let fields = without_nulls(fields);
            if fields.as_object().is_some_and(|fields| !fields.is_empty()) {
                object.insert(name.to_owned(), fields);
            }
        }
        if !tags.is_empty() {
            object.insert("tags".to_owned(), json!(tags));
        }
        Value::Object(object)
    }

    /// The first field given here that the catalogue of the host does not hold.
    pub(crate) fn unknown(&self) -> Option<String> {
        let given = [
            ("event", &self.event),
            ("data_stream", &self.data_stream),
            ("input", &self.input),
            ("agent", &self.agent),
            ("host", &self.host),
            ("cloud", &self.cloud),
            ("container", &self.container),
            ("log", &self.log),
            ("elastic_agent", &self.elastic_agent),
        ];
        given.iter().find_map(|(name, group)| match group {
            Group::Switch(_) => None,
            Group::Fields(fields) => leaves(name, &Value::Object(fields.clone()))
                .into_iter()
                .find(|leaf| !crate::catalogue::holds(leaf)),
        })
    }
}

fn leaves(prefix: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, value)| leaves(&format!("{prefix}.{key}"), value))
            .collect(),
        _ => vec![prefix.to_owned()],
    }
}

/// `host.*` as the system says.
fn host() -> Value {
    use sysinfo::System;
    let name = System::host_name().ok();
    json!({
        "name": name,
        "hostname": name,
        "architecture": System::cpu_arch(),
        "os": {
            "name": System::name().ok(),
            "platform": System::distribution_id(),
            "version": System::os_version().ok(),
            "kernel": System::kernel_version().ok(),
        },
    })
}

fn lay_over(mut base: Value, over: &Value) -> Value {
    match (&mut base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                let merged = lay_over(base.remove(key).unwrap_or(Value::Null), value);
                base.insert(key.clone(), merged);
            }
        }
        _ => return over.clone(),
    }
    base
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(yaml: &str) -> Value {
        let fields: StaticFields = serde_saphyr::from_str(yaml).unwrap();
        fields.object(&Facts::default(), &["lab".to_owned()])
    }

    #[test]
    fn the_defaults_name_us_and_not_elastic() {
        let object = object("{}");
        assert_eq!(object["event"]["module"], "ti_misp_ecs");
        assert_eq!(object["data_stream"]["dataset"], "ti_misp_ecs.threat");
        assert_eq!(object["input"]["type"], "misp");
        assert_eq!(object["agent"]["type"], "misp-ecs");
        assert_eq!(object["tags"], json!(["lab"]));
        assert_eq!(object.get("host"), None);
    }

    #[test]
    fn a_group_is_switched_laid_over_or_bared() {
        let object = object(
            "{agent: false, host: true, event: {dataset: mine}, input: {type: null}, cloud: {provider: example}}",
        );
        assert_eq!(object.get("agent"), None);
        assert!(object["host"]["architecture"].is_string());
        assert_eq!(
            object["event"],
            json!({"module": "ti_misp_ecs", "dataset": "mine"})
        );
        assert_eq!(object.get("input"), None);
        assert_eq!(object["cloud"]["provider"], "example");
    }

    #[test]
    fn every_default_is_in_the_catalogue_and_a_strange_field_is_named() {
        let all: StaticFields = serde_saphyr::from_str("{host: true}").unwrap();
        let mut object = all.object(
            &Facts {
                agent_id: Some("a".to_owned()),
                ephemeral_id: Some("b".to_owned()),
            },
            &[],
        );
        for (group, fields) in object.as_object_mut().unwrap() {
            for leaf in leaves(group, fields) {
                assert!(crate::catalogue::holds(&leaf), "{leaf}");
            }
        }
        let strange: StaticFields = serde_saphyr::from_str("{cloud: {providr: x}}").unwrap();
        assert_eq!(strange.unknown().as_deref(), Some("cloud.providr"));
    }
}
