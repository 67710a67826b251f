//! The fields that the host knows and a mapping merges: together with the
//! mapping's own catalogue, every field that a document can hold.

mod schema;
mod template;
mod tree;

use runtime::{Field, FieldOrigin};

pub(crate) use schema::json_schema;
pub(crate) use template::component_template;

/// Name, Elasticsearch type, where it comes from.
const FIELDS: &[(&str, &str, &str)] = &[
    (
        "agent.ephemeral_id",
        "keyword",
        "made anew at each start of the host",
    ),
    (
        "agent.hostname",
        "keyword",
        "the name of the machine that polls",
    ),
    ("agent.id", "keyword", "made once, kept in the state folder"),
    (
        "agent.name",
        "keyword",
        "the name of the machine that polls, or what the configuration says",
    ),
    (
        "agent.type",
        "keyword",
        "misp-ecs, or what the configuration says",
    ),
    ("agent.version", "keyword", "the version of the host"),
    ("cloud.account.id", "keyword", "configuration"),
    ("cloud.availability_zone", "keyword", "configuration"),
    ("cloud.image.id", "keyword", "configuration"),
    ("cloud.instance.id", "keyword", "configuration"),
    ("cloud.instance.name", "keyword", "configuration"),
    ("cloud.machine.type", "keyword", "configuration"),
    ("cloud.project.id", "keyword", "configuration"),
    ("cloud.provider", "keyword", "configuration"),
    ("cloud.region", "keyword", "configuration"),
    ("container.id", "keyword", "configuration"),
    ("container.image.name", "keyword", "configuration"),
    ("container.labels", "object", "configuration"),
    ("container.name", "keyword", "configuration"),
    (
        "data_stream.dataset",
        "constant_keyword",
        "ti_misp_ecs.threat, or what the configuration says",
    ),
    (
        "data_stream.namespace",
        "constant_keyword",
        "default, or what the configuration says",
    ),
    (
        "data_stream.type",
        "constant_keyword",
        "logs, or what the configuration says",
    ),
    ("elastic_agent.id", "keyword", "configuration"),
    ("elastic_agent.snapshot", "boolean", "configuration"),
    ("elastic_agent.version", "keyword", "configuration"),
    (
        "event.dataset",
        "constant_keyword",
        "ti_misp_ecs.threat, or what the configuration says",
    ),
    (
        "event.module",
        "constant_keyword",
        "ti_misp_ecs, or what the configuration says",
    ),
    (
        "host.architecture",
        "keyword",
        "the system, when the group host is on",
    ),
    ("host.containerized", "boolean", "configuration"),
    ("host.domain", "keyword", "configuration"),
    (
        "host.hostname",
        "keyword",
        "the system, when the group host is on",
    ),
    ("host.id", "keyword", "configuration"),
    ("host.ip", "ip", "configuration"),
    ("host.mac", "keyword", "configuration"),
    (
        "host.name",
        "keyword",
        "the system, when the group host is on",
    ),
    ("host.os.build", "keyword", "configuration"),
    ("host.os.codename", "keyword", "configuration"),
    ("host.os.family", "keyword", "configuration"),
    (
        "host.os.kernel",
        "keyword",
        "the system, when the group host is on",
    ),
    (
        "host.os.name",
        "keyword",
        "the system, when the group host is on",
    ),
    (
        "host.os.platform",
        "keyword",
        "the system, when the group host is on",
    ),
    (
        "host.os.version",
        "keyword",
        "the system, when the group host is on",
    ),
    ("host.type", "keyword", "configuration"),
    (
        "input.type",
        "keyword",
        "misp, or what the configuration says",
    ),
    ("log.file.path", "keyword", "configuration"),
    ("log.flags", "keyword", "configuration"),
    ("log.offset", "long", "configuration"),
    (
        "message",
        "match_only_text",
        "nothing fills it: it is there for templates made for the seed's fields",
    ),
    (
        "misp_ecs.digest",
        "keyword",
        "the SHA-256 of the mapping's bytes, with the output's envelope_field",
    ),
    (
        "misp_ecs.id",
        "keyword",
        "the document's id, in Elasticsearch and with the output's envelope_field",
    ),
    (
        "misp_ecs.mapping",
        "keyword",
        "name and version of the mapping, with the output's envelope_field",
    ),
    (
        "misp_ecs.operation",
        "keyword",
        "put or delete, in an Elasticsearch data stream, with the output's envelope_field and in \
         tombstones",
    ),
    (
        "threat.indicator.file.type",
        "keyword",
        "nothing fills it: it is there for templates made for the seed's fields",
    ),
    (
        "misp_ecs.version",
        "long",
        "the host's write version, in Elasticsearch, with the output's envelope_field and in \
         tombstones",
    ),
];

/// Whether the host's catalogue holds a field. Below an `object` anything goes.
pub(crate) fn holds(name: &str) -> bool {
    FIELDS.iter().any(|(known, kind, _)| {
        *known == name
            || (*kind == "object"
                && name
                    .strip_prefix(known)
                    .is_some_and(|rest| rest.starts_with('.')))
    })
}

/// The mapping's fields and the host's, by name.
pub(crate) fn whole(mapping: &[Field]) -> Vec<Field> {
    let mut all = mapping.to_vec();
    for (name, data_type, source) in FIELDS {
        if !all.iter().any(|field| field.name == *name) {
            all.push(Field {
                name: (*name).to_owned(),
                data_type: (*data_type).to_owned(),
                origin: if name.starts_with("misp_ecs.") {
                    FieldOrigin::Custom
                } else {
                    FieldOrigin::Ecs
                },
                source: format!("host: {source}"),
            });
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}
