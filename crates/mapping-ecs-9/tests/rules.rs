//! Rules that a golden folder does not show well: what differs from Elastic's
//! integration, what wins over what, what moves a fingerprint, settings.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "only tests are here"
)]

mod common;

use common::{NOW_MS, body, mapper, mapper_with};
use mapping::{Mapping, NoteKind, Operation, Origin, Rejection, SettingsError};
use mapping_ecs_9::Ecs9;
use serde_json::{Value, json};

fn event() -> Value {
    json!({"Event": {
        "uuid": "e", "info": "title", "timestamp": "1700000500", "publish_timestamp": "1700000600",
        "published": true, "attribute_count": "2", "analysis": "1",
        "Attribute": [{"uuid": "a", "type": "domain", "value": "example.com", "timestamp": "1700000100"}],
    }})
}

/// The event with these members of its attribute.
fn with(members: Value) -> Value {
    let mut record = event();
    let attribute = record["Event"]["Attribute"][0].as_object_mut().unwrap();
    if let Value::Object(members) = members {
        attribute.extend(members);
    }
    record
}

fn document(mapper: &Ecs9, record: &Value) -> mapping::Document {
    let outcome = mapper.transform(record.to_string().as_bytes(), NOW_MS);
    outcome.unwrap().documents.remove(0)
}

/// `threat.indicator` of a value.
fn indicator(kind: &str, value: &str) -> Value {
    let record = with(json!({"type": kind, "value": value, "to_ids": true}));
    body(&document(&mapper(), &record))["threat"]["indicator"].clone()
}

fn tagged(event_tags: &[&str], own: &[&str]) -> Value {
    let tags = |names: &[&str]| {
        names
            .iter()
            .map(|name| json!({"name": name}))
            .collect::<Vec<_>>()
    };
    let mut record = with(json!({"Tag": tags(own)}));
    record["Event"]["Tag"] = tags(event_tags).into();
    body(&document(&mapper(), &record))
}

#[test]
fn analysis_is_no_scanner_stats() {
    let field = |settings: &str| {
        body(&document(&mapper_with(settings), &event()))["threat"]["indicator"]["scanner_stats"]
            .clone()
    };
    assert_eq!(field("{}"), Value::Null);
    assert_eq!(field(r#"{"scanner_stats_from_analysis":true}"#), 1);
}

#[test]
fn a_link_is_a_report() {
    let url = "https://blog.example.org/report";
    for to_ids in [false, true] {
        let record = with(json!({"type": "link", "value": url, "to_ids": to_ids}));
        let indicator = &body(&document(&mapper(), &record))["threat"]["indicator"];
        assert_eq!(indicator["reference"], url);
        assert_eq!(indicator["type"] == "url", to_ids);
        assert_eq!(indicator.get("url").is_some(), to_ids);
    }
}

#[test]
fn victims_patterns_and_rules_are_no_indicators() {
    for kind in [
        "target-user",
        "target-email",
        "target-machine",
        "target-org",
        "target-location",
        "target-external",
        "filename-pattern",
        "pattern-in-file",
        "pattern-in-traffic",
        "pattern-in-memory",
        "yara",
        "sigma",
        "snort",
        "suricata",
        "bro",
        "zeek",
        "stix2-pattern",
        "gene",
        "kusto-query",
    ] {
        let indicator = indicator(kind, "x@example.org");
        assert_eq!(indicator.get("type"), None, "{kind}");
        assert_eq!(indicator.get("email"), None, "{kind}");
    }
}

#[test]
fn addresses_have_their_family_and_networks_no_field() {
    assert_eq!(indicator("ip-dst", "2001:db8::1")["type"], "ipv6-addr");
    for (network, kind) in [
        ("192.0.2.0/24", "ipv4-addr"),
        ("2001:db8::/32", "ipv6-addr"),
        ("192.0.2.1-192.0.2.9", "ipv4-addr"),
    ] {
        let indicator = indicator("ip-src", network);
        assert_eq!(
            (&indicator["type"], &indicator["name"]),
            (&json!(kind), &json!(network))
        );
        assert_eq!(indicator.get("ip"), None);
    }
}

#[test]
fn registry_data_and_hive_have_their_fields() {
    let registry = &indicator("regkey|value", r"HKEY_LOCAL_MACHINE\A|b|c")["registry"];
    assert_eq!(
        *registry,
        json!({"data": {"strings": ["b|c"]}, "hive": "HKLM", "key": "A", "path": r"HKLM\A"})
    );
}

#[test]
fn hashes_have_the_fields_of_ecs() {
    let digits = "0123456789abcdef".repeat(4);
    let file = |kind: &str, length: usize| indicator(kind, &digits[..length])["file"].clone();
    assert_eq!(
        file("sha512/256", 64),
        json!({"hash": {"sha512_256": digits}})
    );
    assert_eq!(
        file("imphash", 32),
        json!({"pe": {"imphash": digits[..32], "import_hash": digits[..32]}})
    );
    assert_eq!(file("pehash", 40), json!({"pe": {"pehash": digits[..40]}}));
    let long = "ab".repeat(35);
    assert_eq!(
        indicator("telfhash", &long)["file"],
        json!({"elf": {"telfhash": long}})
    );
    let wrong = indicator("sha256", &digits[..32]);
    assert_eq!((&wrong["type"], wrong.get("file")), (&json!("file"), None));
}

#[test]
fn types_that_the_integration_leaves_out_are_mapped() {
    assert_eq!(indicator("hostname|port", "a.example.com|80")["port"], 80);
    let onion = indicator("onion-address", "expyuzz4wqqyqhjn.onion");
    assert_eq!(onion["url"]["domain"], "expyuzz4wqqyqhjn.onion");
    let sample = indicator("malware-sample", &format!("a.exe|{}", "0".repeat(32)));
    assert_eq!(sample["file"]["hash"]["md5"], "0".repeat(32));
    let certificate = indicator("x509-fingerprint-md5", &"0".repeat(32));
    assert_eq!(certificate["type"], "x509-certificate");
}

#[test]
fn a_path_is_split_and_data_is_not_copied() {
    let file = &indicator("filename", "C:/a/b.tar.gz")["file"];
    assert_eq!(
        *file,
        json!({"path": "C:/a/b.tar.gz", "name": "b.tar.gz", "extension": "gz"})
    );
    let record = with(json!({"type": "attachment", "value": "a.pdf", "data": "Y2FuYXJ5"}));
    let document = document(&mapper(), &record);
    assert!(!String::from_utf8_lossy(&document.body).contains("Y2FuYXJ5"));
}

#[test]
fn an_unparsable_url_is_kept() {
    for url in [
        "http//x",
        "hxxp://a[.]b/",
        "http://a b/",
        "://",
        "http://example.com:x/",
    ] {
        let found = &indicator("url", url)["url"];
        assert_eq!(
            (&found["original"], &found["full"]),
            (&json!(url), &json!(url)),
            "{url}"
        );
    }
}

#[test]
fn the_strictest_tlp_of_the_nearest_holder_wins() {
    let tlp = |event: &[&str], own: &[&str]| {
        let marking = &tagged(event, own)["threat"]["indicator"]["marking"];
        (
            marking["tlp"].as_str().map(str::to_owned),
            marking["tlp_version"].as_str().map(str::to_owned),
        )
    };
    let some =
        |tlp: &str, version: Option<&str>| (Some(tlp.to_owned()), version.map(str::to_owned));
    assert_eq!(tlp(&[], &[]), (None, None));
    assert_eq!(tlp(&["tlp:ex:chr", "tlp:unclear"], &[]), (None, None));
    assert_eq!(tlp(&["tlp:red"], &["tlp:green"]), some("GREEN", None));
    assert_eq!(
        tlp(&["tlp:green", "TLP:Red", "tlp:amber"], &["x:y"]),
        some("RED", None)
    );
    assert_eq!(
        tlp(&["tlp:amber", "tlp:amber+strict"], &[]),
        some("AMBER+STRICT", Some("2.0"))
    );
    assert_eq!(
        tlp(&["tlp:white", "tlp:clear"], &[]),
        some("CLEAR", Some("2.0"))
    );
    assert_eq!(tlp(&["tlp:white"], &[]), some("WHITE", Some("1.0")));
}

#[test]
fn the_nearest_confidence_counts() {
    let sure = r#"misp:confidence-level="completely-confident""#;
    let unsure = r#"osint:certainty="7""#;
    let found = tagged(&[sure], &[unsure]);
    assert_eq!(
        (
            &found["misp"]["confidence"],
            &found["threat"]["indicator"]["confidence"]
        ),
        (&json!(7), &json!("Low"))
    );
    assert_eq!(tagged(&[sure], &["x"])["misp"]["confidence"], 100);
    assert_eq!(tagged(&["tlp:red"], &[])["misp"].get("confidence"), None);
}

#[test]
fn galaxy_tags_become_techniques_groups_and_software() {
    let tags = [
        r#"misp-galaxy:mitre-attack-pattern="Unix Shell - T1059.004""#,
        r#"misp-galaxy:mitre-attack-pattern="Execution - TA0002""#,
        r#"misp-galaxy:mitre-course-of-action="Mitigation - T1087""#,
        r#"misp-galaxy:threat-actor="Some Actor""#,
        r#"MISP-Galaxy:Mitre-Intrusion-Set="Some Set - G0001""#,
        r#"misp-galaxy:mitre-tool="Some Tool - S0001""#,
        r#"misp-galaxy:threat-actor="bb3ab4f3-e221-49e9-9fd4-4e429f8f4664""#,
    ];
    let threat = &tagged(&tags, &[])["threat"];
    assert_eq!(threat["framework"], "MITRE ATT&CK");
    assert_eq!(threat["technique"]["id"], json!(["T1059"]));
    assert_eq!(
        threat["technique"]["subtechnique"],
        json!({"id": ["T1059.004"], "name": ["Unix Shell"], "reference": ["https://attack.mitre.org/techniques/T1059/004/"]})
    );
    assert_eq!(threat["tactic"]["id"], json!(["TA0002"]));
    assert_eq!(
        threat["group"],
        json!({"id": "G0001", "name": "Some Set", "reference": "https://attack.mitre.org/groups/G0001/"})
    );
    assert_eq!(
        threat["software"],
        json!({"id": "S0001", "name": "Some Tool", "type": "Tool"})
    );
}

#[test]
fn times_are_told_apart_by_length() {
    for (seen, expected) in [
        ("1700000000", "2023-11-14T22:13:20.000Z"),
        ("1700000000123", "2023-11-14T22:13:20.123Z"),
        ("1700000000123456", "2023-11-14T22:13:20.123456Z"),
    ] {
        let found = body(&document(
            &mapper(),
            &with(json!({"first_seen": seen, "last_seen": seen})),
        ));
        assert_eq!(found["threat"]["indicator"]["first_seen"], expected);
        assert_eq!(found["misp"]["attribute"]["last_seen"], expected);
    }
}

#[test]
fn what_moves_by_itself_leaves_the_fingerprint() {
    let fingerprint = |settings: &str, record: &Value, now_ms| {
        let outcome = mapper_with(settings).transform(record.to_string().as_bytes(), now_ms);
        outcome.unwrap().documents[0].fingerprint
    };
    let settings =
        r#"{"event_created":true,"timestamp":"observed","preserve_original_event":true}"#;
    let before = fingerprint(settings, &event(), NOW_MS);
    let mut record = event();
    for (key, value) in [
        ("timestamp", json!("1700009999")),
        ("publish_timestamp", json!("1700009999")),
        ("sighting_timestamp", json!("1700009999")),
        ("published", json!(false)),
        ("attribute_count", json!("3")),
    ] {
        record["Event"][key] = value;
        assert_eq!(fingerprint(settings, &record, NOW_MS + 1), before, "{key}");
    }
    let score = |score: f64| with(json!({"decay_score": [{"score": score, "decayed": false}]}));
    assert_eq!(
        fingerprint("{}", &score(70.0), NOW_MS),
        fingerprint("{}", &score(69.5), NOW_MS)
    );

    let publish = r#"{"timestamp":"publish"}"#;
    assert_ne!(
        fingerprint(publish, &event(), NOW_MS),
        fingerprint(publish, &record, NOW_MS)
    );
    let before = fingerprint("{}", &event(), NOW_MS);
    for (pointer, value) in [
        ("/Event/info", json!("other")),
        ("/Event/Tag", json!([{"name": "tlp:red"}])),
        ("/Event/Attribute/0/value", json!("example.org")),
        ("/Event/Attribute/0/timestamp", json!("1700000101")),
        ("/Event/Attribute/0/comment", json!("")),
        ("/Event/Attribute/0/Tag", json!([{"name": "tlp:red"}])),
        ("/Event/Attribute/0/Sighting", json!([{"type": "0"}])),
    ] {
        let mut record = event();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = record.pointer_mut(parent).unwrap();
        parent[key] = value;
        assert_ne!(fingerprint("{}", &record, NOW_MS), before, "{pointer}");
    }
}

#[test]
fn what_is_withdrawn() {
    let operation =
        |settings: &str, members: Value| document(&mapper_with(settings), &with(members)).operation;
    let decayed = |flags: &[bool]| {
        let scores: Vec<_> = flags.iter().map(|flag| json!({"decayed": flag})).collect();
        json!({"decay_score": scores})
    };
    let only = r#"{"only_to_ids":true}"#;
    let drop = r#"{"drop_decayed":true}"#;
    assert_eq!(operation("{}", json!({"to_ids": false})), Operation::Put);
    assert_eq!(operation("{}", json!({"deleted": "1"})), Operation::Delete);
    assert_eq!(operation(only, json!({"to_ids": 0})), Operation::Delete);
    assert_eq!(operation(only, json!({})), Operation::Put);
    assert_eq!(operation("{}", decayed(&[true])), Operation::Put);
    assert_eq!(operation(drop, decayed(&[true, false])), Operation::Delete);
    assert_eq!(
        operation(drop, decayed(&[true, false, false])),
        Operation::Put
    );
    assert_eq!(operation(drop, json!({"decay_score": []})), Operation::Put);
}

#[test]
fn expiry_counts_from_the_last_of_both() {
    let expires = |members: Value| {
        document(
            &mapper_with(r#"{"ioc_expiration_duration":"1h"}"#),
            &with(members),
        )
    };
    assert_eq!(
        expires(json!({})).expires_ms,
        Some((1_700_000_100 + 3600) * 1000)
    );
    let later = expires(json!({"last_seen": "1700001000"}));
    assert_eq!(later.expires_ms, Some((1_700_001_000 + 3600) * 1000));
    assert_eq!(
        body(&later)["misp"]["attribute"]["decayed_at"],
        "2023-11-14T23:30:00.000Z"
    );
    assert_eq!(document(&mapper(), &event()).expires_ms, None);
}

#[test]
fn one_id_an_attribute_for_ever() {
    let id = |record: &Value| document(&mapper(), record).id;
    let expected = mapping::id::sha1_base64url(&["e", "a"]);
    assert_eq!(id(&event()), expected);
    assert_eq!(
        id(&with(json!({"value": "other", "timestamp": "1"}))),
        expected
    );
    let attribute = event()["Event"]["Attribute"][0].clone();
    let in_object = json!({"Event": {"uuid": "e", "Object": [{"Attribute": [attribute]}]}});
    assert_eq!(id(&in_object), expected);
    let loose = json!({"uuid": "a", "value": "x", "Event": {"uuid": "e"}});
    assert_eq!(id(&loose), expected);
    let loose = json!({"uuid": "a", "value": "x", "event_uuid": "e"});
    assert_eq!(id(&loose), expected);
    let empty = json!({"Event": {"uuid": "e", "info": "x"}});
    assert_eq!(id(&empty), mapping::id::sha1_base64url(&["e"]));
}

#[test]
fn context_has_a_limit_and_long_values_are_whole() {
    let long = "é".repeat(6_000);
    let attributes: Vec<_> = (0..=101)
        .map(|n| json!({"uuid": n.to_string(), "type": "text", "value": long}))
        .collect();
    let record = json!({"Event": {"info": "x", "Object": [{"Attribute": attributes}]}});
    let document = document(&mapper(), &record);
    let found = body(&document);
    assert_eq!(found["misp"]["attribute"]["value"], long);
    assert_eq!(
        found["misp"]["context"]["attribute"]["value"]
            .as_array()
            .unwrap()
            .len(),
        100
    );
    assert!(
        document
            .notes
            .iter()
            .any(|note| note.kind == NoteKind::Truncated)
    );
}

#[test]
fn unknown_types_are_kept_and_said() {
    let record = with(json!({"type": "made-up", "value": "whole"}));
    let outcome = mapper()
        .transform(record.to_string().as_bytes(), NOW_MS)
        .unwrap();
    assert_eq!(
        body(&outcome.documents[0])["misp"]["attribute"]["value"],
        "whole"
    );
    assert_eq!(outcome.documents[0].notes[0].kind, NoteKind::UnmappedType);
    assert_eq!(outcome.tallies[0].indicator_type, None);
}

#[test]
fn records_that_are_none_are_refused() {
    let refused = |bytes: &[u8]| mapper().transform(bytes, NOW_MS).unwrap_err();
    assert!(matches!(refused(b"not json"), Rejection::Malformed(_)));
    assert!(matches!(
        refused(br#"{"name":"x"}"#),
        Rejection::Unsupported(_)
    ));
}

#[test]
fn settings_are_checked() {
    let new = |settings: &str| Ecs9::new(settings.as_bytes(), Origin::default()).unwrap_err();
    assert!(
        matches!(new(r#"{"only_toids":true}"#), SettingsError::UnknownKey(text) if text.contains("`only_to_ids`"))
    );
    assert!(matches!(
        new(r#"{"timestamp":"never"}"#),
        SettingsError::Invalid(_)
    ));
    assert!(matches!(new("[]"), SettingsError::Malformed(_)));
}

#[test]
fn it_asks_only_for_what_the_settings_use() {
    let request =
        |settings: &str| serde_json::from_str::<Value>(&mapper_with(settings).request()).unwrap();
    assert_eq!(
        request("{}"),
        json!({"noEventReports": 1, "noShadowAttributes": 1})
    );
    let all = r#"{"drop_decayed":true,"include_warninglist_hits":true,"include_sightings":true}"#;
    assert_eq!(
        request(all),
        json!({"noEventReports": 1, "noShadowAttributes": 1, "includeDecayScore": 1, "includeWarninglistHits": 1, "includeSightings": 1})
    );
}

#[test]
fn it_describes_itself() {
    let description = Ecs9::describe();
    assert_eq!(
        (description.name.as_str(), description.ecs_version.as_str()),
        ("ecs-9", "9.4.0")
    );
    let schema: Value = serde_json::from_str(&description.settings_schema).unwrap();
    assert_eq!(schema["properties"]["timestamp"]["default"], "attribute");
    let (_, redacted) = &description.extra[0];
    assert!(redacted.split(',').any(|kind| kind == "pgp-private-key"));
    assert!(redacted.split(',').any(|kind| kind == "cc-number"));
    assert_eq!(redacted.split(',').count(), 35);
}
