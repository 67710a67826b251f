//! An event far larger than what is in memory at any time.

use std::io::Write;

use crate::{Body, Records, SplitLimits, Spool, SpoolLimits};

const ATTRIBUTES: usize = 200_000;

fn big_event() -> Body {
    let mut spool = Spool::new(SpoolLimits {
        memory: 1 << 16,
        ..SpoolLimits::default()
    });
    write!(
        spool,
        r#"{{"response":[{{"Event":{{"info":"big","Attribute":["#
    )
    .unwrap();
    for number in 0..ATTRIBUTES {
        let comma = if number == 0 { "" } else { "," };
        write!(spool, r#"{comma}{{"uuid":"{number}","value":"x"}}"#).unwrap();
    }
    write!(spool, r#"],"Tag":[{{"name":"tlp:clear"}}]}}}}]}}"#).unwrap();
    spool.finish().unwrap()
}

#[test]
fn slices_of_a_big_event_are_small() {
    let limits = SplitLimits::default();
    let records = Records::from_answer(big_event(), limits).unwrap();
    assert_eq!(records.heads().len(), 1);
    let mut next = 0;
    for record in records {
        let record = record.unwrap();
        assert_eq!(record.attributes, limits.attributes);
        assert!(record.json.len() < 50_000);
        let json: serde_json::Value = serde_json::from_slice(&record.json).unwrap();
        assert_eq!(json["Event"]["Tag"][0]["name"], "tlp:clear");
        for attribute in json["Event"]["Attribute"].as_array().unwrap() {
            assert_eq!(attribute["uuid"], next.to_string());
            next += 1;
        }
        assert_eq!(record.last, next == ATTRIBUTES);
    }
    assert_eq!(next, ATTRIBUTES);
}
