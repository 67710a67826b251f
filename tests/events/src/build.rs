//! Builders that fill in every key MISP sends.

use serde_json::{Map, Value, json};

/// A uuid made from two numbers: the same numbers, the same uuid (of the form of a version 5).
pub fn uuid(event: u64, part: u64) -> String {
    let high = mix(event.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ part);
    let low = mix(high ^ part.wrapping_add(1));
    format!(
        "{:08x}-{:04x}-5{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff,
    )
}

/// Hexadecimal digits that are the hash of nothing.
pub fn hex(seed: u64, digits: usize) -> String {
    let mut text = String::with_capacity(digits + 16);
    let mut state = seed;
    while text.len() < digits {
        state = mix(state.wrapping_add(0x51_7cc1));
        text.push_str(&format!("{state:016x}"));
    }
    text.truncate(digits);
    text
}

/// splitmix64: spreads neighbouring numbers over all bits.
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A tag as events and their attributes carry it.
pub fn tag(name: &str) -> Value {
    let colour = match name {
        "tlp:red" => "#FF2B2B",
        "tlp:amber" => "#FFC000",
        "tlp:green" => "#33FF00",
        "tlp:clear" | "tlp:white" => "#ffffff",
        _ => "#0088cc",
    };
    let id = name
        .bytes()
        .fold(7_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 100_000);
    json!({
        "id": id.to_string(), "name": name, "colour": colour, "exportable": true,
        "user_id": "0", "hide_tag": false, "numerical_value": null,
        "is_galaxy": name.starts_with("misp-galaxy:"), "is_custom_galaxy": false,
        "local_only": false, "local": false, "relationship_type": null,
    })
}

/// An attribute to be put into an event or an object.
#[derive(Debug, Clone)]
pub struct Attr {
    fields: Map<String, Value>,
}

/// An attribute of this type and value, to_ids on.
pub fn attr(attribute_type: &str, value: &str) -> Attr {
    let known = super::TYPES
        .iter()
        .find(|sample| sample.name == attribute_type);
    let mut fields = Map::new();
    fields.insert("type".into(), attribute_type.into());
    fields.insert("value".into(), value.into());
    fields.insert(
        "category".into(),
        known.map_or("Other", |sample| sample.category).into(),
    );
    fields.insert(
        "to_ids".into(),
        known.is_none_or(|sample| sample.to_ids).into(),
    );
    Attr { fields }
}

impl Attr {
    /// Sets any field to any value, also one that MISP would not send.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.into(), value.into());
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, name: &str) -> Self {
        if let Value::Array(tags) = self
            .fields
            .entry("Tag")
            .or_insert_with(|| Value::Array(Vec::new()))
        {
            tags.push(tag(name));
        }
        self
    }

    fn build(self, seed: u64, part: u64, timestamp: i64) -> Value {
        let mut whole = json!({
            "id": "0", "uuid": uuid(seed, part), "event_id": "0", "distribution": "5",
            "timestamp": timestamp.to_string(), "comment": "", "sharing_group_id": "0",
            "deleted": false, "disable_correlation": false, "object_id": "0",
            "object_relation": null, "first_seen": null, "last_seen": null,
            "Galaxy": [], "ShadowAttribute": [],
        });
        if let Value::Object(map) = &mut whole {
            map.extend(self.fields);
        }
        whole
    }
}

/// An object to be put into an event.
#[derive(Debug, Clone)]
pub struct MispObject {
    name: String,
    meta_category: String,
    comment: String,
    attributes: Vec<(String, Attr)>,
    references: Vec<(usize, String)>,
}

/// An object of this template.
pub fn object(name: &str, meta_category: &str) -> MispObject {
    MispObject {
        name: name.into(),
        meta_category: meta_category.into(),
        comment: String::new(),
        attributes: Vec::new(),
        references: Vec::new(),
    }
}

impl MispObject {
    /// Sets the comment.
    #[must_use]
    pub fn comment(mut self, text: &str) -> Self {
        self.comment = text.into();
        self
    }

    /// Adds an attribute under its name in the template.
    #[must_use]
    pub fn attribute(mut self, relation: &str, attribute: Attr) -> Self {
        self.attributes.push((relation.into(), attribute));
        self
    }

    /// Points at the event's n-th object (from 0).
    #[must_use]
    pub fn refers_to(mut self, nth: usize, relationship: &str) -> Self {
        self.references.push((nth, relationship.into()));
        self
    }
}

/// An event being built. [`EventBuilder::build`] gives what is inside `{"Event": ..}`.
#[derive(Debug, Clone)]
pub struct EventBuilder {
    seed: u64,
    timestamp: i64,
    fields: Map<String, Value>,
    tags: Vec<Value>,
    galaxies: Vec<Value>,
    attributes: Vec<Attr>,
    objects: Vec<MispObject>,
}

/// An event whose uuids all come from `seed`; never published, until
/// [`EventBuilder::published_at`].
pub fn event(seed: u64, info: &str) -> EventBuilder {
    let mut fields = Map::new();
    fields.insert("info".into(), info.into());
    EventBuilder {
        seed,
        timestamp: super::BASE_TIME,
        fields,
        tags: Vec::new(),
        galaxies: Vec::new(),
        attributes: Vec::new(),
        objects: Vec::new(),
    }
}

impl EventBuilder {
    /// Sets any field of the event.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.into(), value.into());
        self
    }

    /// When it was last edited, UNIX seconds.
    #[must_use]
    pub fn edited_at(mut self, timestamp: i64) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// Published at this time, UNIX seconds.
    #[must_use]
    pub fn published_at(self, timestamp: i64) -> Self {
        self.with("published", true)
            .with("publish_timestamp", timestamp.to_string())
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, name: &str) -> Self {
        self.tags.push(tag(name));
        self
    }

    /// Adds a galaxy cluster and the tag that goes with it.
    #[must_use]
    pub fn galaxy(mut self, galaxy_type: &str, galaxy_name: &str, cluster: &str) -> Self {
        let tag_name = format!("misp-galaxy:{galaxy_type}=\"{cluster}\"");
        let part = 900_000 + self.galaxies.len() as u64;
        self.galaxies.push(json!({
            "id": "1", "uuid": uuid(0, part), "name": galaxy_name, "type": galaxy_type,
            "description": "A made-up galaxy", "version": "1", "icon": "map",
            "namespace": "misp", "enabled": true, "local_only": false,
            "GalaxyCluster": [{
                "id": "1", "uuid": uuid(self.seed, part), "collection_uuid": "",
                "type": galaxy_type, "value": cluster, "tag_name": tag_name,
                "description": "A made-up cluster", "galaxy_id": "1", "source": "made up",
                "authors": ["nobody"], "version": "1", "distribution": "3",
                "sharing_group_id": null, "org_id": "0", "orgc_id": "0", "default": true,
                "locked": false, "extends_uuid": "", "extends_version": "0",
                "published": false, "deleted": false,
                "meta": {"external_id": ["X0001"], "synonyms": ["another name"]},
                "tag_id": 9, "local": false, "relationship_type": false,
            }],
        }));
        self.tags.push(tag(&tag_name));
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, attribute: Attr) -> Self {
        self.attributes.push(attribute);
        self
    }

    /// Adds an object.
    #[must_use]
    pub fn object(mut self, object: MispObject) -> Self {
        self.objects.push(object);
        self
    }

    /// The event, as inside `{"Event": ..}`.
    pub fn build(self) -> Value {
        let Self {
            seed,
            timestamp,
            fields,
            tags,
            galaxies,
            attributes,
            objects,
        } = self;
        let count = attributes.len() + objects.iter().map(|o| o.attributes.len()).sum::<usize>();
        let mut part = 0;
        let loose: Vec<Value> = attributes
            .into_iter()
            .map(|attribute| {
                part += 1;
                attribute.build(seed, part, timestamp)
            })
            .collect();
        let objects: Vec<Value> = objects
            .into_iter()
            .enumerate()
            .map(|(nth, object)| build_object(object, seed, nth, timestamp, &mut part))
            .collect();
        let org = json!({
            "id": "1", "name": "Example CERT", "uuid": uuid(0, 1), "local": true,
        });
        let mut whole = json!({
            "id": "0", "orgc_id": "1", "org_id": "1", "date": "2026-05-01",
            "threat_level_id": "2", "published": false, "uuid": uuid(seed, 0),
            "attribute_count": count.to_string(), "analysis": "1",
            "timestamp": timestamp.to_string(), "distribution": "3",
            "proposal_email_lock": false, "locked": false, "publish_timestamp": "0",
            "sharing_group_id": "0", "disable_correlation": false, "extends_uuid": "",
            "protected": null, "Org": org, "Orgc": org, "Attribute": loose,
            "ShadowAttribute": [], "RelatedEvent": [], "Galaxy": galaxies,
            "Object": objects, "EventReport": [], "CryptographicKey": [],
        });
        if let Value::Object(map) = &mut whole {
            // MISP leaves the key out when there are none.
            if !tags.is_empty() {
                map.insert("Tag".into(), Value::Array(tags));
            }
            map.extend(fields);
        }
        whole
    }
}

fn object_uuid(seed: u64, nth: usize) -> String {
    uuid(seed, 500_000 + nth as u64)
}

fn build_object(
    object: MispObject,
    seed: u64,
    nth: usize,
    timestamp: i64,
    part: &mut u64,
) -> Value {
    let own = object_uuid(seed, nth);
    let references: Vec<Value> = object
        .references
        .iter()
        .enumerate()
        .map(|(place, (target, relationship))| {
            json!({
                "id": "1", "uuid": uuid(seed, 600_000 + (nth * 100 + place) as u64),
                "timestamp": timestamp.to_string(), "object_id": "0",
                "referenced_uuid": object_uuid(seed, *target), "referenced_id": "1",
                "referenced_type": "1", "relationship_type": relationship, "comment": "",
                "deleted": false, "event_id": "0", "source_uuid": own,
            })
        })
        .collect();
    let attributes: Vec<Value> = object
        .attributes
        .into_iter()
        .map(|(relation, attribute)| {
            *part += 1;
            attribute
                .with("object_relation", relation)
                .build(seed, *part, timestamp)
        })
        .collect();
    json!({
        "id": (nth + 1).to_string(), "name": object.name, "meta-category": object.meta_category,
        "description": "A made-up object", "template_uuid": uuid(0, 77),
        "template_version": "1", "event_id": "0", "uuid": own,
        "timestamp": timestamp.to_string(), "distribution": "5", "sharing_group_id": "0",
        "comment": object.comment, "deleted": false, "first_seen": null, "last_seen": null,
        "ObjectReference": references, "Attribute": attributes,
    })
}
