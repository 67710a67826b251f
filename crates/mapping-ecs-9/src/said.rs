//! What MISP and its users say of an attribute beside its value: decay, sightings, hits
//! on warninglists, times.

use ecs_model::{FieldId, Leaves};
use mapping::members::copy_lists;
use mapping::problems::Problems;
use misp_model::{Json, Object};

use crate::fields::CATALOGUE;
use crate::members;

const DECAYED: FieldId = CATALOGUE.id("misp.attribute.decayed");
const TIMES: [(FieldId, FieldId); 3] = [
    (
        CATALOGUE.id("threat.indicator.first_seen"),
        CATALOGUE.id("misp.attribute.first_seen"),
    ),
    (
        CATALOGUE.id("threat.indicator.last_seen"),
        CATALOGUE.id("misp.attribute.last_seen"),
    ),
    (
        CATALOGUE.id("threat.indicator.modified_at"),
        CATALOGUE.id("misp.attribute.timestamp"),
    ),
];
const SIGHTINGS: FieldId = CATALOGUE.id("threat.indicator.sightings");
const SIGHTINGS_BY_TYPE: [FieldId; 3] = [
    CATALOGUE.id("misp.sightings.seen"),
    CATALOGUE.id("misp.sightings.false_positive"),
    CATALOGUE.id("misp.sightings.expired"),
];

/// Copies decay scores; says whether at least half of them are decayed.
pub(crate) fn decay(
    attribute: &Object<'_>,
    leaves: &mut Leaves<'_>,
    problems: &mut Problems,
) -> Option<bool> {
    let scores: Vec<_> = objects(attribute, "decay_score").collect();
    if scores.is_empty() {
        return None;
    }
    copy_lists(members::DECAY, &scores, leaves, problems);
    let models = scores.iter().filter_map(|score| score.get("DecayingModel"));
    let models: Vec<_> = models.filter_map(Json::as_object).collect();
    copy_lists(members::DECAYING_MODEL, &models, leaves, problems);
    let decayed = |score: &&&Object<'_>| score.get("decayed").and_then(Json::boolean) == Some(true);
    let decayed = scores.iter().filter(decayed).count() * 2 >= scores.len();
    leaves.boolean(DECAYED, decayed);
    Some(decayed)
}

/// Counts sightings by their type, where the attribute has a list of them.
pub(crate) fn sightings(attribute: &Object<'_>, leaves: &mut Leaves<'_>) {
    if attribute.get("Sighting").and_then(Json::as_array).is_none() {
        return;
    }
    for (kind, field) in (0..).zip(SIGHTINGS_BY_TYPE) {
        let of_kind =
            |sighting: &&Object<'_>| sighting.get("type").and_then(Json::integer) == Some(kind);
        let count = objects(attribute, "Sighting").filter(of_kind).count();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        leaves.integer(field, count);
        if kind == 0 {
            leaves.integer(SIGHTINGS, count);
        }
    }
}

/// Copies hits on warninglists.
pub(crate) fn warnings(attribute: &Object<'_>, leaves: &mut Leaves<'_>, problems: &mut Problems) {
    let hits: Vec<_> = objects(attribute, "warnings").collect();
    if hits.is_empty() {
        return;
    }
    copy_lists(members::WARNINGS, &hits, leaves, problems);
}

/// Sets the times of the indicator: those of the attribute, where they are times.
pub(crate) fn times(leaves: &mut Leaves<'_>) {
    for (field, of_attribute) in TIMES {
        leaves.same(field, of_attribute);
    }
}

fn objects<'j, 'a>(holder: &'j Object<'a>, key: &str) -> impl Iterator<Item = &'j Object<'a>> {
    let items = holder.get(key).and_then(Json::as_array).unwrap_or_default();
    items.iter().filter_map(Json::as_object)
}
