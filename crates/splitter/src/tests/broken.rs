//! Truncated, flipped and made-up bytes: told, and never a panic.

use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::json;

use super::body;
use super::made_up::{event, hand};
use crate::{Records, SplitError, SplitLimits};

/// Is it one JSON value, by another reader's opinion? Like ours it does not look into
/// surrogates and the range of numbers.
fn is_json(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

fn is_well_formed(bytes: &[u8], in_file: bool) -> bool {
    match Records::from_answer(body(bytes, in_file), SplitLimits::default()) {
        Err(SplitError::Malformed { .. }) => false,
        // What is no record is refused as a whole, with what cannot be read in it.
        Err(_) => is_json(bytes),
        Ok(records) => records.filter_map(Result::err).all(|error| match error {
            SplitError::Malformed { .. } | SplitError::Part { .. } => false,
            _ => is_json(bytes),
        }),
    }
}

proptest! {
    #[test]
    fn every_truncated_page_is_an_error(
        events in vec(event(), 1..3),
        mut hand in hand(),
        place in any::<proptest::sample::Index>(),
        in_file in any::<bool>(),
    ) {
        let text = hand.write(&json!({"response": events}));
        let cut = place.index(text.len());
        prop_assert!(!is_well_formed(&text.as_bytes()[..cut], in_file));
    }

    #[test]
    fn flipped_bytes_are_judged_as_another_reader_does(
        event in event(),
        mut hand in hand(),
        flips in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        in_file in any::<bool>(),
    ) {
        let mut bytes = hand.write(&json!({"response": [event]})).into_bytes();
        for (place, byte) in flips {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        prop_assert_eq!(is_well_formed(&bytes, in_file), is_json(&bytes));
        // Whatever it is, all of it is read, and each part of it once.
        let records = Records::from_input(body(&bytes, in_file), SplitLimits::default()).unwrap();
        prop_assert!(records.count() <= bytes.len());
    }

    #[test]
    fn soup_is_judged_as_another_reader_does(
        words in vec(proptest::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", " ", "\n", "1", "-", "0", ".", "e", "true",
            "null", "\"a\":", "\"Event\":", "\"Attribute\":[", "\"Object\":[{", "\"response\":", "é",
        ]), 0..24),
        in_file in any::<bool>(),
    ) {
        let soup = words.concat();
        prop_assert_eq!(is_well_formed(soup.as_bytes(), in_file), is_json(soup.as_bytes()));
        let records = Records::from_input(body(soup.as_bytes(), in_file), SplitLimits::default()).unwrap();
        prop_assert!(records.count() <= soup.len());
    }

    #[test]
    fn a_truncated_line_costs_itself(
        events in vec(event(), 1..4),
        broken in event(),
        place in any::<proptest::sample::Index>(),
        truncated in any::<proptest::sample::Index>(),
        in_file in any::<bool>(),
    ) {
        let mut lines: Vec<_> = events.iter().map(|event| json!({"Event": event}).to_string()).collect();
        let line = json!({"Event": broken}).to_string();
        let cut = (0..=truncated.index(line.len())).rev().find(|at| line.is_char_boundary(*at));
        lines.insert(place.index(lines.len() + 1), line[..cut.unwrap()].to_owned());
        let input = lines.join("\n");

        let records = Records::from_input(body(input.as_bytes(), in_file), SplitLimits::default()).unwrap();
        let (good, bad): (Vec<_>, Vec<_>) = records.partition(Result::is_ok);
        let good: Vec<_> = good.into_iter().map(|record| {
            String::from_utf8(record.unwrap().json.to_vec()).unwrap()
        }).collect();
        let expected: Vec<_> = events.iter().map(|event| json!({"Event": event}).to_string()).collect();
        prop_assert_eq!(good, expected);
        prop_assert_eq!(bad.len(), usize::from(cut > Some(0)));
    }
}
