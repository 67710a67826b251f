//! Made-up events in MISP's real shapes. The same call gives the same event, always:
//! ids come from a number that the caller chooses, never from a clock or a die.

mod build;
mod canary;
mod demo;
mod types;

pub use build::{Attr, EventBuilder, MispObject, attr, event, hex, object, tag, uuid};
pub use canary::with_canary;
pub use demo::{
    BASE_TIME, demo, event_of_every_type, event_with_galaxies, event_with_objects, many,
    many_attributes,
};
pub use types::{TYPES, TypeSample};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn uuids_are_well_formed_and_repeatable() {
        let one = uuid(7, 1);
        assert_eq!(one, uuid(7, 1));
        assert_ne!(one, uuid(7, 2));
        assert_ne!(one, uuid(8, 1));
        let parts: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'5');
        assert!(b"89ab".contains(&one.as_bytes()[19]));
    }

    #[test]
    fn every_type_is_there_once_with_a_value() {
        let names: BTreeSet<&str> = TYPES.iter().map(|sample| sample.name).collect();
        assert_eq!(names.len(), 194);
        let event = event_of_every_type();
        let attributes = event["Attribute"].as_array().unwrap();
        let found: BTreeSet<&str> = attributes
            .iter()
            .map(|attribute| attribute["type"].as_str().unwrap())
            .collect();
        assert_eq!(found, names);
        for attribute in attributes {
            let value = attribute["value"].as_str().unwrap();
            assert!(!value.is_empty() && !value.contains("{hex"), "{attribute}");
        }
    }

    #[test]
    fn demo_has_the_promised_shapes_and_unique_uuids() {
        let events = demo();
        assert!(events.len() >= 55, "{}", events.len());
        let uuids: BTreeSet<&str> = events
            .iter()
            .map(|event| event["uuid"].as_str().unwrap())
            .collect();
        assert_eq!(uuids.len(), events.len());
        assert!(
            events
                .iter()
                .any(|event| event["Object"].as_array().is_some_and(|o| !o.is_empty()))
        );
        assert!(
            events
                .iter()
                .any(|event| event["Galaxy"].as_array().is_some_and(|g| !g.is_empty()))
        );
        assert!(events.iter().any(|event| event["published"] == false));
        assert_eq!(
            events,
            demo(),
            "the same call gives the same events, always"
        );
    }
}
