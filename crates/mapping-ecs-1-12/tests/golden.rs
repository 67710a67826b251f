//! Every golden folder: `input.json` mapped (with `settings.json` and
//! `static-fields.json`, where they are) is `expected.ndjson`. After a wanted change
//! run the test with `UPDATE_GOLDEN=1` and read the difference.

mod common;

use std::collections::BTreeSet;

use common::{Case, checker, lines};

#[test]
fn golden_folders() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for case in Case::all() {
        let expected = case.folder.join("expected.ndjson");
        let found: String = lines(&case.map())
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        if update {
            std::fs::write(&expected, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        let both = found.lines().zip(expected.lines());
        for (number, (found, expected)) in both.enumerate() {
            assert_eq!(
                found,
                expected,
                "{} line {}",
                case.folder.display(),
                number + 1
            );
        }
        assert_eq!(
            found.lines().count(),
            expected.lines().count(),
            "{}",
            case.folder.display()
        );
    }
}

#[test]
fn every_document_is_valid_and_every_field_is_produced() {
    let checker = checker();
    let mut produced = BTreeSet::new();
    for case in Case::all() {
        for document in case.map().documents {
            let names = checker.check(&document.body);
            produced.extend(names.unwrap_or_else(|wrong| {
                panic!("{}: {wrong:?}", case.folder.display());
            }));
            let text = std::str::from_utf8(&document.body).unwrap();
            assert_eq!(text.lines().count(), 1);
            assert!(!text.contains(['\u{85}', '\u{2028}', '\u{2029}']));
        }
    }
    let listed = <mapping_ecs_1_12::Ecs112 as mapping::Mapping>::describe().fields;
    let missing: Vec<_> = listed
        .iter()
        .filter(|field| !produced.contains(&field.name))
        .collect();
    assert!(missing.is_empty(), "no golden folder produces {missing:?}");
}
