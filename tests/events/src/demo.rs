//! Ready-made events and sets of them.

use serde_json::Value;

use super::build::{EventBuilder, attr, event, hex, object};
use super::types::TYPES;

/// The time made-up events count from: 2026-05-01 00:00:00 UTC, UNIX seconds.
pub const BASE_TIME: i64 = 1_777_593_600;

/// One event with an attribute of each type MISP knows.
pub fn event_of_every_type() -> Value {
    TYPES
        .iter()
        .enumerate()
        .fold(
            event(1, "Every attribute type")
                .tag("tlp:amber")
                .published_at(BASE_TIME + 60),
            |built, (place, sample)| {
                built.attribute(attr(sample.name, &fill(sample.value, 1_000 + place as u64)))
            },
        )
        .build()
}

/// Replaces `{hex:N}` with N digits.
fn fill(template: &str, seed: u64) -> String {
    let Some((before, rest)) = template.split_once("{hex:") else {
        return template.to_owned();
    };
    let Some((digits, after)) = rest.split_once('}') else {
        return template.to_owned();
    };
    format!("{before}{}{after}", hex(seed, digits.parse().unwrap_or(32)))
}

/// An event with a file, a domain-ip and an email object that refer to each other.
pub fn event_with_objects() -> Value {
    let seed = 2;
    event(seed, "A dropper and where it calls")
        .tag("tlp:green")
        .published_at(BASE_TIME + 120)
        .object(
            object("file", "file")
                .comment("seen in a made-up mailbox")
                .attribute("filename", attr("filename", "dropper.exe"))
                .attribute("sha256", attr("sha256", &hex(21, 64)))
                .attribute("md5", attr("md5", &hex(22, 32)))
                .attribute("size-in-bytes", attr("size-in-bytes", "48128"))
                .refers_to(1, "connects-to"),
        )
        .object(
            object("domain-ip", "network")
                .attribute("domain", attr("domain", "c2.example.org"))
                .attribute("ip", attr("ip-dst", "203.0.113.80"))
                .attribute(
                    "first-seen",
                    attr("datetime", "2026-04-30T08:00:00.000000+0000"),
                ),
        )
        .object(
            object("email", "network")
                .attribute("from", attr("email-src", "sender@example.com"))
                .attribute("subject", attr("email-subject", "Your \"invoice\""))
                .refers_to(0, "contains"),
        )
        .attribute(
            attr("url", "http://c2.example.org/gate.php")
                .with("first_seen", "2026-04-30T08:00:00.123456+00:00")
                .with("last_seen", "2026-05-01T09:30:00.000000+00:00"),
        )
        .build()
}

/// An event with galaxies at the event and tags at an attribute.
pub fn event_with_galaxies() -> Value {
    event(3, "Made Up Bear is back")
        .tag("tlp:red")
        .tag("workflow:state=\"complete\"")
        .galaxy("threat-actor", "Threat Actor", "Made Up Bear")
        .galaxy(
            "mitre-attack-pattern",
            "Attack Pattern",
            "Made-up Technique - T0000",
        )
        .published_at(BASE_TIME + 180)
        .attribute(attr("ip-dst", "198.51.100.200").tag("tlp:amber"))
        .attribute(attr("threat-actor", "Made Up Bear"))
        .build()
}

/// `n` small published events. Many share a second: groups of 1, 3, 10, 1 and 25, over and over.
pub fn many(n: usize) -> Vec<Value> {
    (0..n)
        .map(|place| {
            let group = match place % 40 {
                0 => 0,
                1..4 => 1,
                4..14 => 2,
                14 => 3,
                _ => 4,
            };
            let second = BASE_TIME + 1_000 + (place / 40 * 5 + group) as i64;
            small(10_000 + place as u64, place)
                .published_at(second)
                .build()
        })
        .collect()
}

/// One published event with `n` attributes.
pub fn many_attributes(seed: u64, n: usize) -> Value {
    (0..n)
        .fold(
            event(seed, "A long list")
                .tag("tlp:clear")
                .published_at(BASE_TIME + 300),
            |built, place| built.attribute(nth_attribute(place)),
        )
        .build()
}

fn nth_attribute(place: usize) -> super::build::Attr {
    let seed = place as u64;
    match place % 6 {
        0 => attr(
            "ip-dst",
            &format!("2001:db8::{:x}:{:x}", place >> 16, place & 0xffff),
        ),
        1 => attr("domain", &format!("host-{place}.example.net")),
        2 => attr("sha256", &hex(seed, 64)),
        3 => attr(
            "url",
            &format!("https://www.example.org/{place}/index.html?x=1"),
        ),
        4 => attr(
            "filename|sha1",
            &format!("sample-{place}.bin|{}", hex(seed, 40)),
        ),
        _ => attr("email-src", &format!("sender-{place}@example.com")),
    }
}

fn small(seed: u64, place: usize) -> EventBuilder {
    let tlp = ["tlp:clear", "tlp:green", "tlp:amber", "tlp:red"];
    let mut built = event(seed, &format!("Made-up event {place}"))
        .tag(tlp.get(place % 4).copied().unwrap_or("tlp:clear"))
        .with("threat_level_id", (1 + place % 4).to_string())
        .with("analysis", (place % 3).to_string());
    for nth in 0..1 + place % 4 {
        built = built.attribute(nth_attribute(place * 4 + nth));
    }
    built
}

/// About sixty events of every shape, for a demonstration: one of every attribute type, objects,
/// galaxies, TLP in all colours, an event without attributes, odd text, one event large enough to
/// be cut into slices, some never published and one edited since.
pub fn demo() -> Vec<Value> {
    let mut events = vec![
        event_of_every_type(),
        event_with_objects(),
        event_with_galaxies(),
        many_attributes(4, 2_500),
        event(5, "Nothing in it yet")
            .published_at(BASE_TIME + 240)
            .build(),
        event(
            6,
            "Odd text: \"quotes\", back\\slash, \u{2028}, ünïcode, 日本語\nand a new line",
        )
        .published_at(BASE_TIME + 241)
        .attribute(attr("text", "a\u{0}b\tc\r\nd"))
        .attribute(attr("comment", "null"))
        .attribute(attr("ip-dst", "192.0.2.0/24"))
        .attribute(attr("a-type-of-tomorrow", "unknown today"))
        .build(),
        event(7, "Never published")
            .attribute(attr("domain", "draft.example.net"))
            .build(),
        event(8, "Edited since it was published")
            .published_at(BASE_TIME + 242)
            .with("published", false)
            .edited_at(BASE_TIME + 500)
            .attribute(attr("domain", "edited.example.net"))
            .build(),
        event(9, "With a deleted attribute")
            .published_at(BASE_TIME + 243)
            .attribute(attr("ip-src", "192.0.2.77"))
            .attribute(attr("ip-src", "192.0.2.78").with("deleted", true))
            .build(),
    ];
    events.extend(many(50));
    events
}
