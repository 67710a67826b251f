//! MISP feeds without a server: what many publish instead of an API, read as the pipeline's
//! `Source`.
//!
//! # What a feed is
//! The address of a folder, or a folder of this machine, with `manifest.json` and a file
//! `UUID.json` an event. The manifest is an object, event uuid to `timestamp`, `info`, `Orgc`,
//! `Tag`, `date`, `analysis`, `threat_level_id`; numbers may be texts; some carry
//! `integrity:sha256`, the digest of the event's file. A file holds `{"Event": {...}}`.
//!
//! A **folder without a manifest** is read as well: every `*.json` in it (none below it, none
//! whose name begins with a dot) is the file of an event, or a page of them as MISP exports it.
//! Its clock is its time of modification, to the nanosecond, and its length: both are there
//! without reading the file. What writes there should write aside and rename.
//!
//! # What is handed out
//! - An event is read when the manifest's `timestamp` of it (and its digest, if it has one) is
//!   not the one it was read at. Greater or smaller does not matter, so neither does an event
//!   that is added with an old timestamp. An entry without `timestamp` is its own clock.
//! - In the order of (timestamp, uuid), several a page: 200 events or 8 MiB, or one larger one.
//! - At least once: the cursor of a page names what was handed out up to it, and nothing else.
//! - A file that is missing, refused, too large, no event or not what its digest says costs
//!   itself only: it is logged, left out of the cursor, and tried again by the next poll. One
//!   that comes to no end is tried three times, after the others, before it is left for the next
//!   poll. Where the server is out of reach, nothing is passed over.
//! - A page holds whole events: what an event held before and does not hold now may be withdrawn.
//!
//! # What a sweep finds
//! A feed lists no attributes, so its listing reads every file again: what changed under the same
//! timestamp is found, and what was handed out of an event that is no longer in the manifest is
//! withdrawn. A file that cannot be read then keeps what it held before.
//!
//! # What is not
//! - An event that is changed under the same timestamp comes with the next sweep only, unless the
//!   manifest has its digest.
//! - `hashes.csv`, signatures (`*.asc`), and feeds of other formats (CSV, plain lists).
//! - A file that holds another event than it is named after is refused: it could replace an event
//!   of another source.
//!
//! # The cursor
//! 24 bytes an event that the manifest names, as Base64: 32 characters, so 320 kB for 10,000
//! events; those that `lookback` left out are named by 16 bytes more. Beside them `ETag` and `Last-Modified` of the manifest, as soon as all of it was read:
//! a poll of a feed that has not changed is then one request and its answer 304.
//!
//! # The other side is not trusted
//! Only a uuid of 36 characters becomes the name of a file. Every file is capped, on the wire and
//! unpacked; a manifest that is none is an error and never an empty feed. Redirects are followed
//! within the origin only, three at most, and headers that were given go nowhere else and into
//! no text.

mod error;
mod headers;
mod listing;
mod manifest;
mod named;
mod options;
mod page;
mod place;
mod position;
mod source;
mod walk;

pub use error::FeedError;
pub use headers::{Headers, HeadersError};
pub use options::{FEED_FILE, FeedOptions, FeedPlace};
pub use source::{FeedFacts, FeedSource};
