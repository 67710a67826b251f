//! Made-up events inside the binary, for whoever has none at hand.

use std::io::Cursor;

use splitter::{Record, Records, SplitLimits};

use crate::commands::input;

/// A page of events: one attribute of every type, objects, tags, galaxies, odd text, a
/// deleted attribute, an event without attributes. Made by `cargo xtask generate`.
const PAGE: &[u8] = include_bytes!("sample.json");

/// The sample's page.
pub(crate) fn page() -> &'static [u8] {
    PAGE
}

/// The sample as records.
pub(crate) fn records() -> anyhow::Result<Vec<Record>> {
    records_of(PAGE, SplitLimits::default())
}

/// The records of any input in memory.
pub(crate) fn records_of(page: &[u8], limits: SplitLimits) -> anyhow::Result<Vec<Record>> {
    let body = input::spooled(&mut Cursor::new(page), "the sample")?;
    Ok(Records::from_input(body, limits)?.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use misp_ecs_tests::events;
    use serde_json::{Value, json};

    use super::*;

    fn made() -> String {
        let events: Vec<Value> = [
            events::event_of_every_type(),
            events::event_with_objects(),
            events::event_with_galaxies(),
            events::event(5, "Nothing in it yet").build(),
            events::event(
                6,
                "Odd text: \"quotes\", back\\slash, \u{2028}, ünïcode, 日本語\nand a new line",
            )
            .attribute(events::attr("text", "a\u{0}b\tc\r\nd"))
            .attribute(events::attr("comment", "null"))
            .attribute(events::attr("ip-dst", "192.0.2.0/24"))
            .attribute(events::attr("ip-src", "no address"))
            .attribute(events::attr("a-type-of-tomorrow", "unknown today"))
            .build(),
            events::event(9, "With a deleted attribute")
                .attribute(events::attr("ip-src", "192.0.2.77"))
                .attribute(events::attr("ip-src", "192.0.2.78").with("deleted", true))
                .build(),
        ]
        .into_iter()
        .map(|event| json!({ "Event": event }))
        .collect();
        format!("{}\n", json!({ "response": events }))
    }

    #[test]
    fn the_sample_is_current() {
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sample.json");
            std::fs::write(path, made()).unwrap();
            return;
        }
        assert_eq!(
            std::str::from_utf8(PAGE).unwrap(),
            made(),
            "run `cargo xtask generate`"
        );
    }

    #[test]
    fn it_holds_what_it_says() {
        let records = records().unwrap();
        assert_eq!(records.len(), 6);
        assert!(records.iter().any(|record| record.attributes == 0));
        assert!(records.iter().map(|record| record.attributes).sum::<u32>() > 200);
    }
}
