//! Any bytes as an answer and as input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use splitter::{Body, Record, Records, SplitError, SplitLimits};

const TINY: SplitLimits = SplitLimits {
    attributes: 2,
    bytes: 40,
    head_times_attributes: 100,
    depth: 100,
};

fuzz_target!(|bytes: &[u8]| {
    let body = || Body::from(bytes.to_vec());
    let whole = Records::from_answer(body(), SplitLimits::default());
    judged_as_serde_json_does(bytes, &whole);
    if let Ok(whole) = whole {
        let whole = records(whole);
        let slices = records(Records::from_answer(body(), TINY).unwrap());
        assert_eq!(attributes(&whole), attributes(&slices));
        assert_eq!(ends(&whole), ends(&slices));
        whole.iter().for_each(take_apart);
        slices.iter().for_each(take_apart);
    }
    let parts = Records::from_input(body(), TINY).unwrap();
    assert!(parts.count() <= bytes.len());
});

fn judged_as_serde_json_does(bytes: &[u8], ours: &Result<Records, SplitError>) {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let theirs = std::str::from_utf8(text)
        .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    match ours {
        // Only the depth is limited more.
        Err(SplitError::Malformed { what, .. }) => assert!(!theirs || what.contains("deeply")),
        _ => assert!(theirs),
    }
}

fn records(records: Records) -> Vec<Record> {
    records.filter_map(Result::ok).collect()
}

fn attributes(records: &[Record]) -> u64 {
    records.iter().map(|record| u64::from(record.attributes)).sum()
}

fn ends(records: &[Record]) -> usize {
    records.iter().filter(|record| record.last).count()
}

fn take_apart(record: &Record) {
    let _ = record.attribute_uuid();
    if let Some((first, second)) = record.halves() {
        assert_eq!(first.attributes + second.attributes, record.attributes);
        assert!(first.attributes > 0 && second.attributes > 0);
        take_apart(&first);
        take_apart(&second);
    }
}
