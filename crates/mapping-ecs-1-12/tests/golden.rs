//! Every golden folder: `input.json` mapped (with `settings.json` and
//! `static-fields.json`, where they are) is `expected.ndjson`. After a wanted change
//! run the test with `UPDATE_GOLDEN=1` and read the difference.

mod common;

use common::support::{golden_folders, produced_fields};
use mapping::Mapping as _;
use mapping_ecs_1_12::Ecs112;

#[test]
fn every_folder_gives_what_is_expected() {
    golden_folders::<Ecs112>(|_| {});
}

#[test]
fn every_document_is_valid_and_every_field_is_produced() {
    let produced = produced_fields::<Ecs112>();
    let listed = Ecs112::describe().fields;
    let missing: Vec<_> = listed
        .iter()
        .filter(|field| !produced.contains(&field.name))
        .collect();
    assert!(missing.is_empty(), "no golden folder produces {missing:?}");
}
