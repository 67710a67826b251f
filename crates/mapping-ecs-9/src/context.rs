//! What tags and galaxies say: markings, confidence, techniques, groups, software.

use ecs_model::{FieldId, Leaves, json};
use mapping::confidence;
use mapping::tags::{self, MachineTag};
use misp_model::Object;

use crate::fields::CATALOGUE;
use crate::galaxies::{self, Attack, Cluster, Found, Named};
use crate::unique::{Keyed, Unique};

const TAGS: FieldId = CATALOGUE.id("tags");
const TLP: FieldId = CATALOGUE.id("threat.indicator.marking.tlp");
const TLP_VERSION: FieldId = CATALOGUE.id("threat.indicator.marking.tlp_version");
const PAP: FieldId = CATALOGUE.id("misp.pap");
const CONFIDENCE: FieldId = CATALOGUE.id("threat.indicator.confidence");
const CONFIDENCE_NUMBER: FieldId = CATALOGUE.id("misp.confidence");
const FRAMEWORK: FieldId = CATALOGUE.id("threat.framework");
const GROUP_ALIAS: FieldId = CATALOGUE.id("threat.group.alias");
const GROUP_ID: FieldId = CATALOGUE.id("threat.group.id");
const GROUP_NAME: FieldId = CATALOGUE.id("threat.group.name");
const GROUP_REFERENCE: FieldId = CATALOGUE.id("threat.group.reference");
const SOFTWARE_ALIAS: FieldId = CATALOGUE.id("threat.software.alias");
const SOFTWARE_ID: FieldId = CATALOGUE.id("threat.software.id");
const SOFTWARE_NAME: FieldId = CATALOGUE.id("threat.software.name");
const SOFTWARE_TYPE: FieldId = CATALOGUE.id("threat.software.type");

macro_rules! attack_fields {
    ($level:literal) => {
        [
            CATALOGUE.id(concat!("threat.", $level, ".id")),
            CATALOGUE.id(concat!("threat.", $level, ".name")),
            CATALOGUE.id(concat!("threat.", $level, ".reference")),
        ]
    };
}

const TACTIC: [FieldId; 3] = attack_fields!("tactic");
const TECHNIQUE: [FieldId; 3] = attack_fields!("technique");
const SUBTECHNIQUE: [FieldId; 3] = attack_fields!("technique.subtechnique");

/// What the tags and clusters of an event, or of an attribute and its event, say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Context {
    /// Tag names as MISP has them, each once.
    names: Unique<String>,
    tlp: Option<Tlp>,
    pap: Option<Tlp>,
    confidence: Option<u8>,
    attack: Attack,
    group: Option<Named>,
    software: Option<Named>,
}

impl Context {
    /// Of one holder of tags; `clusters` are those that tags may name.
    pub(crate) fn new(names: &[String], clusters: &[Cluster]) -> Self {
        let mut context = Self {
            confidence: confidence::of(names),
            ..Self::default()
        };
        let clusters: Unique<&Cluster> = clusters.iter().collect();
        for name in names {
            if !context.names.insert(name.clone()) {
                continue;
            }
            let Some(tag) = MachineTag::parse(name) else {
                continue;
            };
            if tag.namespace.eq_ignore_ascii_case("tlp") {
                context.tlp = context.tlp.max(Tlp::read(tag.predicate));
            } else if tag.namespace.eq_ignore_ascii_case("pap") {
                context.pap = context.pap.max(Tlp::read(tag.predicate));
            } else if tag.namespace.eq_ignore_ascii_case("misp-galaxy")
                && let Some(value) = tag.value
            {
                context.galaxy(tag.predicate, value, clusters.get(name).copied());
            }
        }
        context
    }

    /// With clusters that no tag names.
    pub(crate) fn with(mut self, clusters: &[Cluster]) -> Self {
        for cluster in clusters {
            if self.names.get(&cluster.tag).is_none() {
                self.galaxy(&cluster.galaxy, &cluster.value, Some(cluster));
            }
        }
        self
    }

    /// With a group or software that a value names: before all others.
    pub(crate) fn named(mut self, found: Option<Found>) -> Self {
        match found {
            Some(Found::Group(group)) => self.group = Some(group),
            Some(Found::Software(software)) => self.software = Some(software),
            Some(Found::Attack(..)) | None => {}
        }
        self
    }

    /// Of an attribute: its own, then that of its event.
    pub(crate) fn over(mut self, event: &Self) -> Self {
        for name in event.names.iter() {
            self.names.insert(name.clone());
        }
        self.tlp = self.tlp.or(event.tlp);
        self.pap = self.pap.or(event.pap);
        self.confidence = self.confidence.or(event.confidence);
        self.attack.add(&event.attack);
        for (own, other) in [
            (&mut self.group, &event.group),
            (&mut self.software, &event.software),
        ] {
            if let Some(other) = other
                && own.as_ref().is_none_or(|own| other.rank < own.rank)
            {
                *own = Some(other.clone());
            }
        }
        self
    }

    fn galaxy(&mut self, galaxy: &str, value: &str, cluster: Option<&Cluster>) {
        let Some(found) = galaxies::read(galaxy, value, cluster) else {
            return;
        };
        match found {
            Found::Attack(id, name) => self.attack.insert(id, name),
            Found::Group(group) => keep_first(&mut self.group, group),
            Found::Software(software) => keep_first(&mut self.software, software),
        }
    }

    /// Sets the fields; `more` are tags that follow.
    pub(crate) fn write<'t>(
        &self,
        more: impl Iterator<Item = &'t String> + Clone,
        leaves: &mut Leaves<'_>,
    ) {
        if !self.names.is_empty() || more.clone().next().is_some() {
            let names = self.names.iter().map(|name| tags::clean(name));
            let more = more.cloned();
            leaves.set(TAGS, |out| json::strings(out, names.chain(more)));
        }
        if let Some(tlp) = self.tlp {
            leaves.string(TLP, tlp.name());
            if let Some(version) = tlp.version() {
                leaves.string(TLP_VERSION, version);
            }
        }
        if let Some(pap) = self.pap {
            leaves.string(PAP, pap.name());
        }
        if let Some(number) = self.confidence {
            leaves.integer(CONFIDENCE_NUMBER, number.into());
            leaves.string(CONFIDENCE, confidence::name(number));
        }
        self.write_galaxies(leaves);
    }

    fn write_galaxies(&self, leaves: &mut Leaves<'_>) {
        let mut attack = false;
        for (fields, list, folder) in [
            (TACTIC, &self.attack.tactics, "tactics"),
            (TECHNIQUE, &self.attack.techniques, "techniques"),
            (SUBTECHNIQUE, &self.attack.subtechniques, "techniques"),
        ] {
            let [ids, names, references] = fields;
            // Those without a name last: so each name stands where its id does.
            let named = || list.iter().filter(|(_, name)| name.is_some());
            let rest = list.iter().filter(|(_, name)| name.is_none());
            let all = || named().chain(rest.clone()).map(|(id, _)| id.as_str());
            if !list.is_empty() {
                leaves.set(ids, |out| json::strings(out, all()));
                let pages = all().map(|id| galaxies::page(folder, id));
                leaves.set(references, |out| json::strings(out, pages));
            }
            if named().next().is_some() {
                let texts = named().filter_map(|(_, name)| name.as_deref());
                leaves.set(names, |out| json::strings(out, texts));
            }
            attack |= !list.is_empty();
        }
        if attack {
            leaves.string(FRAMEWORK, "MITRE ATT&CK");
        }
        let mut text = |field: FieldId, text: &Option<String>| {
            if let Some(text) = text {
                leaves.string(field, text);
            }
        };
        if let Some(group) = &self.group {
            text(GROUP_NAME, &Some(group.name.clone()));
            text(GROUP_ID, &group.id);
            text(GROUP_REFERENCE, &group.reference);
        }
        if let Some(software) = &self.software {
            text(SOFTWARE_NAME, &Some(software.name.clone()));
            text(SOFTWARE_ID, &software.id);
            text(SOFTWARE_TYPE, &software.kind.map(str::to_owned));
        }
        for (field, found) in [(GROUP_ALIAS, &self.group), (SOFTWARE_ALIAS, &self.software)] {
            if let Some(found) = found
                && !found.alias.is_empty()
            {
                leaves.set(field, |out| json::strings(out, &found.alias));
            }
        }
    }
}

impl Keyed for &Cluster {
    fn key(&self) -> &str {
        &self.tag
    }
}

/// Has an attribute or event tags or galaxies?
pub(crate) fn has_own(holder: &Object<'_>) -> bool {
    ["Tag", "Galaxy"]
        .iter()
        .any(|key| holder.get(key).is_some_and(|json| !json.is_empty()))
}

fn keep_first(place: &mut Option<Named>, found: Named) {
    if place.as_ref().is_none_or(|first| found.rank < first.rank) {
        *place = Some(found);
    }
}

/// A marking; the greater is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tlp {
    White,
    Clear,
    Green,
    Amber,
    AmberStrict,
    Red,
}

impl Tlp {
    const ALL: [Tlp; 6] = [
        Tlp::White,
        Tlp::Clear,
        Tlp::Green,
        Tlp::Amber,
        Tlp::AmberStrict,
        Tlp::Red,
    ];

    fn read(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|tlp| tlp.name().eq_ignore_ascii_case(text.trim()))
    }

    fn name(self) -> &'static str {
        match self {
            Tlp::White => "WHITE",
            Tlp::Clear => "CLEAR",
            Tlp::Green => "GREEN",
            Tlp::Amber => "AMBER",
            Tlp::AmberStrict => "AMBER+STRICT",
            Tlp::Red => "RED",
        }
    }

    /// The version, where only one has it.
    fn version(self) -> Option<&'static str> {
        match self {
            Tlp::White => Some("1.0"),
            Tlp::Clear | Tlp::AmberStrict => Some("2.0"),
            Tlp::Green | Tlp::Amber | Tlp::Red => None,
        }
    }
}
