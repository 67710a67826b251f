//! Every golden folder: `input.json` mapped (with `settings.json`, `static-fields.json`
//! and the instance's URL in `url.txt`, where they are) is `expected.ndjson`. After a
//! wanted change run the test with `UPDATE_GOLDEN=1` and read the difference.

mod common;

use std::collections::BTreeSet;

use common::body;
use common::support::{Case, golden_folders, produced_fields};
use mapping::Mapping as _;
use mapping_ecs_9::Ecs9;
use serde_json::Value;

/// Without the public suffix list three fields are missing, and so each fingerprint of
/// a document that had them is another.
fn without_suffixes(line: &mut Value) {
    if cfg!(feature = "public-suffix") {
        return;
    }
    if let Some(line) = line.as_object_mut() {
        line.remove("fingerprint");
    }
    let url = line.pointer_mut("/body/threat/indicator/url");
    if let Some(url) = url.and_then(Value::as_object_mut) {
        for part in ["registered_domain", "subdomain", "top_level_domain"] {
            url.remove(part);
        }
    }
}

#[test]
fn every_folder_gives_what_is_expected() {
    golden_folders::<Ecs9>(without_suffixes);
}

#[test]
fn every_document_is_valid_and_every_field_is_produced() {
    let produced = produced_fields::<Ecs9>();
    let listed = Ecs9::describe().fields;
    let missing: Vec<_> = listed
        .iter()
        .filter(|field| !produced.contains(&field.name))
        .collect();
    assert!(missing.is_empty(), "no golden folder produces {missing:?}");
}

#[test]
fn every_type_has_a_fixture() {
    let mut seen = BTreeSet::new();
    for case in Case::<Ecs9>::all() {
        for document in case.map().documents {
            let kind = &body(&document)["misp"]["attribute"]["type"];
            seen.extend(kind.as_str().map(str::to_owned));
        }
    }
    let missing: Vec<_> = mapping_ecs_9::attribute_types()
        .filter(|name| !seen.contains(*name))
        .collect();
    assert!(missing.is_empty(), "no golden folder has {missing:?}");
}
