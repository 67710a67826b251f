//! Every shape that MISP, feeds and people have, and what becomes of it.

use crate::{Body, EventHead, Record, Records, SplitError, SplitLimits};

fn answer(json: &str) -> Result<Records, SplitError> {
    Records::from_answer(Body::from(json.as_bytes().to_vec()), SplitLimits::default())
}

fn input(json: &str) -> Records {
    Records::from_input(Body::from(json.as_bytes().to_vec()), SplitLimits::default()).unwrap()
}

/// A record as its JSON and its attributes, `!` for what is none, `?` for what is broken.
fn told(records: Records) -> Vec<String> {
    records
        .map(|record| match record {
            Ok(Record {
                json, attributes, ..
            }) => format!("{attributes} {}", String::from_utf8(json.to_vec()).unwrap()),
            Err(SplitError::NotARecord { .. }) => "!".to_owned(),
            Err(SplitError::Malformed { .. } | SplitError::Part { .. }) => "?".to_owned(),
            Err(SplitError::TooMany { .. }) => "+".to_owned(),
            Err(SplitError::Io { source }) => panic!("{source}"),
        })
        .collect()
}

#[test]
fn shapes() {
    let cases: &[(&str, &[&str])] = &[
        (r#"{"response":[]}"#, &[]),
        (r#"{"response":{"Attribute":[]}}"#, &[]),
        ("[]", &[]),
        (
            r#"{"response":[{"Event":{"id":"1"}},{"Event":{"Attribute":[{},{}]}}],"x":1}"#,
            &[
                r#"0 {"Event":{"id":"1"}}"#,
                r#"2 {"Event":{"Attribute":[{},{}]}}"#,
            ],
        ),
        (
            r#"{"response":{"Attribute":[{"value":"x"},{"uuid":"y"},7,{}]}}"#,
            &[
                r#"1 {"value":"x"}"#,
                r#"1 {"Attribute":{"uuid":"y"}}"#,
                "!",
                "!",
            ],
        ),
        (
            r#"{"response":{"Event":{"id":"1"}}}"#,
            &[r#"0 {"Event":{"id":"1"}}"#],
        ),
        (
            r#"[{"Event":{"id":"1"}},{"info":"bare"},3,{"x":1},[]]"#,
            &[
                r#"0 {"Event":{"id":"1"}}"#,
                r#"0 {"Event":{"info":"bare"}}"#,
                "!",
                "!",
                "!",
            ],
        ),
        (
            r#"{"info":"x","Attribute":[{}],"Object":[{"Attribute":[{},{}]},{}]}"#,
            &[r#"3 {"Event":{"info":"x","Attribute":[{}],"Object":[{"Attribute":[{},{}]},{}]}}"#],
        ),
        (
            r#"{"Attribute":{"value":"x"}}"#,
            &[r#"1 {"Attribute":{"value":"x"}}"#],
        ),
        (
            r#"{"Attribute":[{"value":"x"},{}],"Event":{"id":"1"}}"#,
            &[r#"2 {"Attribute":[{"value":"x"},{}],"Event":{"id":"1"}}"#],
        ),
        (
            r#" { "type" : "md5" , "value" : "x", "Event" : { "id" : "1" } } "#,
            &[r#"1 { "type" : "md5" , "value" : "x", "Event" : { "id" : "1" } }"#],
        ),
        (
            r#"{"Event":{"Attribute":{"id":1},"Object":{"Attribute":{"id":2}}},"@timestamp":1}"#,
            &[
                r#"1 {"Event":{"Attribute":{"id":1},"Object":{"Attribute":{"id":2}}},"@timestamp":1}"#,
            ],
        ),
        (
            r#"{"Event":{"Attribute":{"id":1},"Object":{"Attribute":[]}}}"#,
            &[r#"1 {"Event":{"Attribute":{"id":1},"Object":{"Attribute":[]}}}"#],
        ),
        (
            r#"{"info":"x","Attribute":{"id":1},"Object":[]}"#,
            &[r#"1 {"info":"x","Attribute":{"id":1},"Object":[]}"#],
        ),
        (
            r#"{"Event":{"Attribute":null,"Object":null}}"#,
            &[r#"0 {"Event":{"Attribute":null,"Object":null}}"#],
        ),
        (
            r#"{"Event":{"Attribute":{"0":{},"5":{}},"Object":{"3":{"Attribute":[1,null]}}}}"#,
            &[r#"4 {"Event":{"Attribute":{"0":{},"5":{}},"Object":{"3":{"Attribute":[1,null]}}}}"#],
        ),
        (
            r#"{"Event":{"Attribute":[{}],"Attribute":[{},{}],"Object":[null,"",7]}}"#,
            &[r#"4 {"Event":{"Attribute":[{}],"Attribute":[{},{}],"Object":[null,"",7]}}"#],
        ),
        (
            r#"{"Event":{"id":"1"},"Event":{"id":"2"}}"#,
            &[r#"0 {"Event":{"id":"1"}}"#, r#"0 {"Event":{"id":"2"}}"#],
        ),
        (
            r#"{"\u0072esponse":[{"\u0045vent":{"\u0041ttribute":[{}]}}]}"#,
            &[r#"1 {"\u0045vent":{"\u0041ttribute":[{}]}}"#],
        ),
        (
            r#"{"response":[{"Event":{"id":"1"}}],"response":[{"Event":{"id":"2"}}]}"#,
            &[r#"0 {"Event":{"id":"1"}}"#, r#"0 {"Event":{"id":"2"}}"#],
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(told(answer(json).unwrap()), *expected, "answer {json}");
        assert_eq!(told(input(json)), *expected, "input {json}");
    }
}

#[test]
fn anything_else_is_no_answer() {
    for json in [
        "{}",
        "7",
        "null",
        r#"{"response":null}"#,
        r#"{"response":"x"}"#,
        r#"{"response":{"x":[]}}"#,
        " 7",
        r#"{"name":"x","message":"x","url":"/"}"#,
        r#"{"Event":3}"#,
    ] {
        assert!(
            matches!(answer(json), Err(SplitError::NotARecord { .. })),
            "{json}"
        );
    }
    for json in [
        "",
        " ",
        "<html></html>",
        r#"{"response":[]}x"#,
        r#"{"response":[]}{"response":[]}"#,
        r#"{"response":[{"Event":{}}"#,
        r#"{"response":[{"Event":{"id":"1}}]}"#,
        r#"{"response":[{"Event":{"id":01}}]}"#,
        r#"{"response":[{"Event":{"id":1,}}]}"#,
        r#"{"response":[{"Event":{}},]}"#,
        r#"{"response":[{"Event":{]}]}"#,
    ] {
        assert!(
            matches!(answer(json), Err(SplitError::Malformed { .. })),
            "{json}"
        );
    }
    assert!(matches!(
        Records::from_answer(
            Body::from(b"{\"response\":[\"\xff\"]}".to_vec()),
            SplitLimits::default()
        ),
        Err(SplitError::Malformed { offset: 14, .. })
    ));
}

#[test]
fn heads_and_retain() {
    let mut records = answer(
        r#"{"response":[{"Event":{"uuid":"a","id":1,"timestamp":"10","publish_timestamp":20,
                "published":true,"attribute_count":"3"}},
            5,
            {"Event":{"Attribute":[{"uuid":"no","id":"no","timestamp":"1"}],"uuid":"b","id":"2"}},
            {"Event":{"uuid":"c","uuid":"d","timestamp":null}}]}"#,
    )
    .unwrap();
    let head = |uuid: &str, id: &str, timestamp, publish_timestamp| EventHead {
        uuid: uuid.to_owned(),
        id: id.to_owned(),
        timestamp,
        publish_timestamp,
        ..EventHead::default()
    };
    let (a, b, d) = (
        EventHead {
            published: Some(true),
            attribute_count: Some(3),
            ..head("a", "1", Some(10), Some(20))
        },
        head("b", "2", None, None),
        head("d", "", None, None),
    );
    assert_eq!(records.heads(), [a.clone(), b, d.clone()]);
    records.retain(|place, head| {
        assert_eq!(head.uuid, ["a", "b", "d"][place]);
        place != 1
    });
    assert_eq!(records.heads(), [a.clone(), d.clone()]);
    let heads: Vec<_> = records.map(|r| r.ok().map(|r| r.head)).collect();
    assert_eq!(heads, [Some(a), None, Some(d)]);
}

#[test]
fn the_head_of_a_loose_attribute_is_its_event() {
    let records = answer(
        r#"{"response":{"Attribute":[
            {"value":"x","uuid":"no","event_id":"3","Event":{"id":"7","uuid":"a","timestamp":"5"}},
            {"value":"y","uuid":"no","event_id":"3"}]}}"#,
    )
    .unwrap();
    let heads: Vec<_> = records
        .heads()
        .iter()
        .map(|h| (h.uuid.as_str(), h.id.as_str()))
        .collect();
    assert_eq!(heads, [("a", "7"), ("", "3")]);
}

#[test]
fn a_broken_value_costs_itself() {
    let event = r#"{"Event":{"id":"1"}}"#;
    let good = format!("0 {event}");
    let cases: &[(&str, &[&str])] = &[
        ("E\nE\r\n\r\nE", &["E", "E", "E"]),
        ("E E", &["E", "E"]),
        ("\u{feff}E\n", &["E"]),
        ("oops\nE\n", &["?", "E"]),
        ("{\"Event\":{\"id\":\"1\nE\n", &["?", "E"]),
        ("{\"Event\":{\"Attribute\":[\nE\nE\n", &["?", "E", "E"]),
        ("7\n\"x\"\nE\n", &["!", "!", "E"]),
        (
            "{\"response\":[E,E,{\"Event\":{\nE\n",
            &["E", "E", "?", "E"],
        ),
        ("[\nE,\nE,\n{\"Event\":}\n]\nE", &["E", "E", "?", "E"]),
        ("E}\nE", &["E", "?", "E"]),
        ("", &[]),
        ("  \n", &[]),
    ];
    for (json, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|e| e.replace('E', &good)).collect();
        assert_eq!(told(input(&json.replace('E', event))), expected, "{json}");
    }
}

#[test]
fn what_was_skipped_can_be_shown() {
    let mut records = input("{\"Event\":{}}\n{\"oops\":\n{\"Event\":{}}\n");
    assert!(records.next().unwrap().is_ok());
    let Some(Err(SplitError::Malformed { skipped, .. })) = records.next() else {
        panic!("expected an error");
    };
    let bytes = records.body().read_range(skipped, 100).unwrap();
    assert_eq!(bytes, b"{\"oops\":\n");
}

#[test]
fn records_can_be_moved_to_another_thread() {
    let records = answer(r#"[{"info":"x"}]"#).unwrap();
    let count = std::thread::spawn(|| records.count()).join().unwrap();
    assert_eq!(count, 1);
}

#[test]
fn what_was_handed_out_before_is_not_asked_for() {
    let mut records = answer(r#"[{"info":"x"},{"info":"y"},{"info":"z"}]"#).unwrap();
    assert!(records.next().is_some());
    let mut asked = Vec::new();
    records.retain(|place, _| {
        asked.push(place);
        place != 1
    });
    assert_eq!(asked, [1, 2]);
    assert_eq!(told(records), [r#"0 {"Event":{"info":"z"}}"#]);
}
