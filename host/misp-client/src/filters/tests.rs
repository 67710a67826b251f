//! What is made of the user's filters.

use serde_json::json;

use super::*;

#[test]
fn names_unknown_filters_and_the_nearest() {
    let given = json!({"tag": "a", "eventInfo": "x", "publishd": 1, "score": 5, "zzz": 1,
                       "galaxy.type": "x"});
    assert_eq!(
        unknown_filters(&given),
        [
            ("eventInfo".to_owned(), Some("eventinfo".to_owned())),
            ("publishd".to_owned(), Some("published".to_owned())),
            ("score".to_owned(), None),
            ("zzz".to_owned(), None),
        ]
    );
}

#[test]
fn booleans_become_integers_and_the_walks_names_go() {
    let given = json!({"published": false, "to_ids": "true", "deleted": [0, 1], "limit": 0,
                       "publish_timestamp": "5d", "metadata": true});
    let (filters, warnings) = Filters::new(given.as_object().unwrap());
    let body = Value::Object(filters.body(&Map::new(), CursorKind::Publish));
    assert_eq!(
        body,
        json!({"published": 0, "to_ids": 1, "deleted": [0, 1], "metadata": true})
    );
    assert_eq!(warnings.len(), 4, "{warnings:?}");
}

#[test]
fn published_is_one_unless_said_otherwise_and_users_win_over_flags() {
    let (filters, _) = Filters::new(json!({"excludeGalaxy": 0}).as_object().unwrap());
    let flags = json!({"excludeGalaxy": 1, "includeDecayScore": 1, "deleted": false});
    let body = filters.body(flags.as_object().unwrap(), CursorKind::Publish);
    assert_eq!(
        Value::Object(body),
        json!({"published": 1, "excludeGalaxy": 0, "includeDecayScore": 1, "deleted": 0})
    );
}

#[test]
fn a_listing_is_of_live_attributes_whatever_an_answer_looks_like() {
    let given = json!({"deleted": [0, 1], "metadata": 1, "includeContext": 1, "headerless": 1,
                       "type": "md5", "to_ids": 1, "enforceWarninglist": 1});
    let (filters, _) = Filters::new(given.as_object().unwrap());
    assert_eq!(
        Value::Object(filters.selection(CursorKind::Publish)),
        json!({"published": 1, "type": "md5", "to_ids": 1, "enforceWarninglist": 1})
    );
    for (deleted, only) in [
        (json!([0, 1]), false),
        (json!(0), false),
        (json!(false), false),
        (json!(1), true),
        (json!([1]), true),
        (json!("only"), true),
    ] {
        let given = json!({"deleted": deleted});
        let (filters, _) = Filters::new(given.as_object().unwrap());
        assert_eq!(filters.only_deleted(), only, "{given}");
    }
}

#[test]
fn filters_of_attributes_are_kept_from_the_search_for_events() {
    let given = json!({"type": "md5", "tags": ["x"], "published": 0, "to_ids": true,
                       "withAttachments": 1, "includeDecayScore": 0, "deleted": 0,
                       "eventinfo": "y"});
    let flags = json!({"includeDecayScore": 1, "deleted": false, "enforceWarninglist": 1});
    let of_attributes = |given: &Value| {
        let (clock, endpoint) = (CursorKind::Publish, Endpoint::Attributes);
        Filters::for_endpoint(given.as_object().unwrap(), clock, endpoint).0
    };
    let filters = of_attributes(&given);
    assert_eq!(
        Value::Object(filters.of_attributes(flags.as_object().unwrap())),
        json!({"type": "md5", "tags": ["x"], "to_ids": 1, "withAttachments": 1,
               "includeDecayScore": 0, "deleted": [0, 1], "enforceWarninglist": 1})
    );
    assert_eq!(
        Value::Object(filters.body(&Map::new(), CursorKind::Publish)),
        json!({"published": 0, "eventinfo": "y"})
    );
    assert!(filters.select_attributes());
    let only = of_attributes(&json!({"deleted": 1}));
    assert_eq!(
        Value::Object(only.of_attributes(&Map::new())),
        json!({"deleted": 1})
    );
    assert!(!only.select_attributes());
    let alias = of_attributes(&json!({"tag": "x"}));
    assert_eq!(
        Value::Object(alias.selection_of_attributes()),
        json!({"tags": "x"})
    );
}

#[test]
fn filters_that_misp_would_ignore_are_refused() {
    let check = |given: Value, endpoint| {
        let checked = check_filters(given.as_object().unwrap(), endpoint, false);
        checked.map_err(|error| error.to_string())
    };
    let (events, attributes) = (Endpoint::Events, Endpoint::Attributes);
    for (given, endpoint, text) in [
        (json!({"tagz": "x"}), events, "did you mean `tags`?"),
        (json!({"foo": "x"}), attributes, "unknown filter `foo`"),
        (
            json!({"first_seen": "1d"}),
            events,
            "use `endpoint: attributes`",
        ),
        (json!({"analysis": 1}), attributes, "no effect"),
        (
            json!({"type": {"NOT": ["ip-dest"]}}),
            events,
            "did you mean `ip-dst`?",
        ),
        (
            json!({"type": "md5||!shq1"}),
            events,
            "did you mean `sha1`?",
        ),
        (
            json!({"category": "network activity"}),
            events,
            "did you mean `Network activity`?",
        ),
        (
            json!({"threat_level_id": [1, 5]}),
            events,
            "unknown value `5`",
        ),
        (json!({"published": "maybe"}), events, "it takes 0 and 1"),
    ] {
        let error = check(given.clone(), endpoint).unwrap_err();
        assert!(error.contains(text), "{given}: {error}");
    }
    for (given, endpoint) in [
        (json!({"first_seen": "1d", "event_tags": "x"}), attributes),
        (
            json!({"type": ["ip-src", "!md5"], "category": {"OR": ["Other"]}, "to_ids": "1",
                   "published": false, "threat_level_id": "!4", "galaxy.type": "x",
                   "deleted": [0, 1]}),
            events,
        ),
    ] {
        assert_eq!(check(given, endpoint), Ok(()));
    }
    let allowed = json!({"new": 1});
    assert_eq!(
        check_filters(allowed.as_object().unwrap(), events, true),
        Ok(())
    );
}

#[test]
fn publication_is_wanted_as_it_would_be_found() {
    use CursorKind::{Publish, Timestamp};
    for (given, cursor, published, draft) in [
        (json!({}), Publish, true, false),
        (json!({}), Timestamp, true, true),
        (json!({"published": 1}), Timestamp, true, false),
        (json!({"published": false}), Publish, false, true),
        (json!({"published": [0, "1"]}), Publish, true, true),
    ] {
        let (filters, _) = Filters::for_walk(given.as_object().unwrap(), cursor);
        assert_eq!(filters.wants(Some(true), cursor), published, "{given}");
        assert_eq!(filters.wants(Some(false), cursor), draft, "{given}");
        assert!(filters.wants(None, cursor));
    }
}

#[test]
fn the_clock_of_the_walk_is_no_filter() {
    let given = json!({"timestamp": "30d", "event_timestamp": 5});
    let given = given.as_object().unwrap();
    assert_eq!(Filters::new(given).1, []);
    let (filters, warnings) = Filters::for_walk(given, CursorKind::Timestamp);
    assert_eq!(filters, Filters::default());
    assert_eq!(warnings.len(), 2);
}

#[test]
fn warns_of_times_that_find_nothing() {
    for (value, odd) in [
        (json!("2w"), true),
        (json!(1_777_593_600_000_i64), true),
        (json!(""), true),
        (json!("30d"), false),
        (json!("2026-01-01"), false),
        (json!([1, "1777593600"]), false),
    ] {
        let (_, warnings) = Filters::new(json!({"timestamp": value}).as_object().unwrap());
        assert_eq!(warnings.len(), usize::from(odd), "{value} {warnings:?}");
    }
}

#[test]
fn finds_the_tags_asked_for() {
    let given = json!({"tags": {"OR": ["tlp:green", "x%"], "NOT": ["tlp:red"]},
                       "event_tags": ["a||b", "!c"]});
    let (filters, _) = Filters::new(given.as_object().unwrap());
    assert_eq!(filters.tag_names(), ["tlp:green", "a", "b"]);
}
