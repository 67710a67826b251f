//! The memory that hostile answers take: a process of its own, so that its peak is theirs.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use splitter::{Body, Records, SplitError, SplitLimits, Spool, SpoolLimits};

/// Bytes of each bomb. They are in a file, as a large answer is.
const LENGTH: usize = 64 << 20;
/// What memory may grow by: a window of the file, and what the limits allow.
const MOST: u64 = 48 << 20;

/// The most memory that this process has had, bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words = line.unwrap().split_whitespace();
    words
        .skip(1)
        .map(|word| word.parse::<u64>())
        .next()
        .unwrap()
        .unwrap()
        << 10
}

fn bomb(start: &str, again: &str, end: &str) -> Body {
    let mut spool = Spool::new(SpoolLimits {
        memory: 0,
        ..SpoolLimits::default()
    });
    let block = again.repeat((1 << 20) / again.len());
    spool.push(start.as_bytes()).unwrap();
    for _ in 0..LENGTH / block.len() {
        spool.push(block.as_bytes()).unwrap();
    }
    spool.push(end.as_bytes()).unwrap();
    spool.finish().unwrap()
}

#[test]
fn bombs_do_not_take_memory() {
    let before = peak();
    for (name, start, again, end) in [
        ("elements", "[0", ",0", "]"),
        ("empty objects", r#"{"response":[{}"#, ",{}", "]}"),
        (
            "loose attributes",
            r#"{"response":{"Attribute":[{}"#,
            ",{}",
            "]}}",
        ),
        (
            "broken attributes",
            r#"{"response":[{"Event":{"info":"x","Attribute":[{}"#,
            ",{01}",
            "]}}]}",
        ),
        (
            "a uuid",
            r#"[{"Event":{"info":"x","uuid":""#,
            "x",
            r#""}}]"#,
        ),
        ("a key", r#"[{"Event":{"info":"x",""#, "x", r#"":1}}]"#),
        ("a number", "[1", "1", "]"),
        (
            "an attribute",
            r#"{"response":[{"Event":{"info":"x","Attribute":[{"value":""#,
            "x",
            r#""},{"value":"y"}]}}]}"#,
        ),
        (
            "lists",
            r#"{"response":[{"Event":{"info":"x""#,
            r#","Attribute":[]"#,
            "}}]}",
        ),
        (
            "events",
            r#"{"info":"x""#,
            r#","Event":{"Attribute":[]}"#,
            "}",
        ),
        (
            "brackets",
            r#"{"response":[{"Event":{"info":"x","Attribute":[{"value":"#,
            "[",
            "}]}}]}",
        ),
    ] {
        let body = bomb(start, again, end);
        let read = Records::from_answer(body, SplitLimits::default());
        let refused = match read {
            Ok(records) => records.filter(Result::is_err).count(),
            Err(SplitError::Io { source }) => panic!("{source}"),
            Err(_) => 1,
        };
        let grown = peak() - before;
        println!("{name}: {refused} refused, {} MiB", grown >> 20);
        assert!(grown < MOST, "{name}: {} MiB", grown >> 20);
    }
}
