//! The files of events, and pages made of them.

use pipeline::{Cursor, Page, PageFacts, Whole, now_ms};
use sha2::{Digest, Sha256};
use splitter::{Body, Records, SplitLimits, Spool, SpoolLimits};
use uuid::Uuid;

use crate::error::FeedError;
use crate::manifest::Entry;
use crate::place::Place;

/// Events in a page: at the size of most, some hundred kilobytes.
const EVENTS: usize = 200;
/// Bytes in a page of more than one event.
const BYTES: u64 = 8 << 20;
/// Bytes of a body looked at or copied at once.
const PIECE: usize = 256 << 10;

/// The file of one event, whole and looked at.
#[derive(Debug)]
pub(crate) struct Loaded {
    body: Body,
    uuids: Vec<Option<Uuid>>,
    /// Can it be an element of a list of events?
    joinable: bool,
}

impl Loaded {
    pub(crate) fn holds(&self, event: Uuid) -> bool {
        self.uuids.contains(&Some(event))
    }

    pub(crate) fn into_body(self) -> Body {
        self.body
    }
}

#[cfg(test)]
impl Loaded {
    pub(crate) fn empty(uuid: Uuid, joinable: bool) -> Self {
        Self {
            body: Body::from(Vec::new()),
            uuids: vec![Some(uuid)],
            joinable,
        }
    }
}

#[cfg(test)]
impl Draft {
    pub(crate) fn uuids(&self) -> impl Iterator<Item = Uuid> {
        self.files
            .iter()
            .flat_map(|file| file.uuids.iter().copied().flatten())
    }
}

/// A page in the making.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    files: Vec<Loaded>,
    bytes: u64,
}

impl Draft {
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Is it as large as a page gets?
    pub(crate) fn is_full(&self) -> bool {
        self.files.len() >= EVENTS
            || self.bytes >= BYTES
            || self.files.last().is_some_and(|file| !file.joinable)
    }

    /// Takes the file, or gives it back if it belongs on the next page.
    pub(crate) fn push(&mut self, file: Loaded) -> Result<(), Loaded> {
        let bytes = self.bytes.saturating_add(file.body.len());
        if !self.is_empty() && (self.is_full() || !file.joinable || bytes > BYTES) {
            return Err(file);
        }
        self.bytes = bytes;
        self.files.push(file);
        Ok(())
    }

    /// The page; a draft without files makes one without records.
    pub(crate) async fn page(
        self,
        split: SplitLimits,
        cursor: Option<Cursor>,
        matched: Option<u64>,
    ) -> Result<Page, FeedError> {
        let items: usize = self.files.iter().map(|file| file.uuids.len()).sum();
        let bytes = self.bytes;
        let records = tokio::task::spawn_blocking(move || self.records(split)).await??;
        Ok(Page {
            records,
            cursor,
            whole: Whole::Slices,
            fetched_ms: now_ms(),
            facts: PageFacts {
                matched,
                items: items as u64,
                seen_before: 0,
                bytes,
            },
            unread: Vec::new(),
        })
    }

    fn records(mut self, mut split: SplitLimits) -> Result<Records, FeedError> {
        let name = "the page";
        let body = match (self.files.pop(), self.files.is_empty()) {
            (Some(only), true) => only.body,
            (last, _) => {
                self.files.extend(last);
                // The list around them is no nesting of theirs: each was looked at without it.
                split.depth = split.depth.saturating_add(1);
                join(&self.files).map_err(|error| FeedError::Kept {
                    file: name.to_owned(),
                    reason: error.to_string(),
                })?
            }
        };
        Records::from_answer(body, split).map_err(|error| FeedError::split(name, error))
    }
}

/// A list of these events, in memory: they are few bytes in all, see [`BYTES`].
fn join(files: &[Loaded]) -> std::io::Result<Body> {
    let mut spool = Spool::new(SpoolLimits {
        total: u64::MAX,
        memory: usize::MAX,
        directory: None,
    });
    let mut before: &[u8] = b"[";
    if files.is_empty() {
        spool.push(before).map_err(std::io::Error::other)?;
    }
    for file in files {
        spool.push(before).map_err(std::io::Error::other)?;
        pieces(&file.body, |piece| {
            spool.push(piece).map_err(std::io::Error::other)
        })?;
        before = b",";
    }
    spool.push(b"]").map_err(std::io::Error::other)?;
    spool.finish().map_err(std::io::Error::other)
}

fn pieces(body: &Body, mut take: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut at = 0;
    while at < body.len() {
        let piece = body.read_range(at..body.len(), PIECE)?;
        take(&piece)?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// What a file must be.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) file: String,
    /// The uuid that its only event must have.
    pub(crate) uuid: Option<Uuid>,
    pub(crate) sha256: Option<[u8; 32]>,
}

impl Wanted {
    pub(crate) fn of(uuid: Uuid, entry: &Entry) -> Self {
        Self {
            file: entry.file.clone(),
            uuid: entry.named.then_some(uuid),
            sha256: entry.sha256,
        }
    }
}

/// Reads a file and looks at all of it, so that a broken one costs itself only.
pub(crate) async fn load(
    place: &Place,
    wanted: Wanted,
    split: SplitLimits,
) -> Result<Loaded, FeedError> {
    let body = place.event(&wanted.file).await?;
    tokio::task::spawn_blocking(move || look(body, &wanted, split)).await?
}

fn look(body: Body, wanted: &Wanted, split: SplitLimits) -> Result<Loaded, FeedError> {
    let file = wanted.file.as_str();
    let unread = |error: std::io::Error| FeedError::Kept {
        file: file.to_owned(),
        reason: error.to_string(),
    };
    if let Some(expected) = wanted.sha256 {
        let mut hash = Sha256::new();
        pieces(&body, |piece| {
            hash.update(piece);
            Ok(())
        })
        .map_err(unread)?;
        if <[u8; 32]>::from(hash.finalize()) != expected {
            return Err(FeedError::Integrity {
                file: file.to_owned(),
            });
        }
    }
    let records =
        Records::from_answer(body.clone(), split).map_err(|error| FeedError::split(file, error))?;
    let uuids: Vec<Option<Uuid>> = records
        .heads()
        .iter()
        .map(|head| Uuid::try_parse(&head.uuid).ok())
        .collect();
    if uuids.is_empty() {
        return Err(FeedError::NotAnEvent {
            file: file.to_owned(),
            reason: "it is a page without events".to_owned(),
        });
    }
    if let Some(expected) = wanted.uuid
        && uuids != [Some(expected)]
    {
        let mut found = uuids.iter().map(|uuid| match uuid {
            Some(uuid) => format!("event {uuid}"),
            None => "an event without a uuid".to_owned(),
        });
        let first = found.next().unwrap_or_default();
        return Err(FeedError::OtherEvent {
            file: file.to_owned(),
            found: match found.count() {
                0 => first,
                more => format!("{first} and {more} more"),
            },
        });
    }
    let beginning = body.read_range(0..PIECE as u64, 64).map_err(unread)?;
    Ok(Loaded {
        joinable: uuids.len() == 1 && is_event_object(&beginning),
        body,
        uuids,
    })
}

/// Does it begin as `{"Event": {...}}`, the form that may stand in a list as well?
fn is_event_object(beginning: &[u8]) -> bool {
    beginning
        .trim_ascii_start()
        .strip_prefix(b"{")
        .and_then(|rest| rest.trim_ascii_start().strip_prefix(b"\"Event\""))
        .and_then(|rest| rest.trim_ascii_start().strip_prefix(b":"))
        .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"{"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "11111111-1111-4111-8111-111111111111";

    fn wanted() -> Wanted {
        Wanted {
            file: "a.json".to_owned(),
            uuid: Uuid::try_parse(A).ok(),
            sha256: None,
        }
    }

    fn event(uuid: &str) -> String {
        format!(r#" {{ "Event" : {{"uuid": "{uuid}", "info": "x", "Attribute": []}}}}"#)
    }

    fn look_at(text: &str) -> Result<Loaded, FeedError> {
        look(
            Body::from(text.as_bytes().to_vec()),
            &wanted(),
            SplitLimits::default(),
        )
    }

    #[test]
    fn events_are_joined_and_other_shapes_stand_alone() {
        assert!(look_at(&event(A)).unwrap().joinable);
        let page = format!(r#"{{"response": [{}]}}"#, event(A));
        assert!(!look_at(&page).unwrap().joinable);
        assert!(
            !look_at(&format!("\u{feff}{}", event(A).trim()))
                .unwrap()
                .joinable
        );
    }

    #[test]
    fn a_file_of_another_event_is_refused() {
        const B: &str = "22222222-2222-4222-8222-222222222222";
        for (text, found) in [
            (event(B), B),
            (event("x"), "without a uuid"),
            (format!("[{},{}]", event(A), event(B)), "and 1 more"),
        ] {
            let error = look_at(&text).unwrap_err();
            assert!(matches!(error, FeedError::OtherEvent { .. }), "{error}");
            assert!(error.to_string().contains(found), "{error}");
        }
    }

    #[test]
    fn what_holds_no_event_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            "<html>",
            r#"{"response": []}"#,
            "{\"Event\": {\"uuid\": \"a",
        ] {
            let error = look_at(text).unwrap_err();
            assert!(
                matches!(error, FeedError::NotAnEvent { .. }),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_digest_holds_for_every_byte() {
        let text = event(A);
        let mut wanted = wanted();
        wanted.sha256 = Some(Sha256::digest(&text).into());
        let check = |text: &str| {
            let body = Body::from(text.as_bytes().to_vec());
            look(body, &wanted, SplitLimits::default())
        };
        assert!(check(&text).is_ok());
        let error = check(&format!("{text} ")).unwrap_err();
        assert!(matches!(error, FeedError::Integrity { .. }), "{error}");
    }

    fn sized(bytes: u64, joinable: bool) -> Loaded {
        Loaded {
            body: Body::from(vec![b' '; usize::try_from(bytes).unwrap()]),
            joinable,
            uuids: Vec::new(),
        }
    }

    #[test]
    fn a_page_at_its_limits_is_taken_and_more_is_not() {
        let mut draft = Draft::default();
        assert!(draft.push(sized(BYTES - 1, true)).is_ok());
        assert!(draft.push(sized(1, true)).is_ok());
        assert!(draft.is_full());
        assert!(draft.push(sized(0, true)).is_err());

        let mut draft = Draft::default();
        assert!(draft.push(sized(2, true)).is_ok());
        assert!(draft.push(sized(BYTES - 1, true)).is_err());
        assert!(draft.push(sized(1, false)).is_err());
        assert!(!draft.is_full());

        let mut draft = Draft::default();
        assert!(draft.push(sized(BYTES + 1, false)).is_ok());
        assert!(draft.is_full());

        let mut draft = Draft::default();
        for _ in 0..EVENTS {
            assert!(draft.push(sized(1, true)).is_ok());
        }
        assert!(draft.push(sized(1, true)).is_err());
    }

    #[test]
    fn drafts_of_any_number_of_events_are_pages() {
        for number in 0..3 {
            let mut draft = Draft::default();
            for _ in 0..number {
                draft.push(look_at(&event(A)).unwrap()).unwrap();
            }
            let records = draft.records(SplitLimits::default()).unwrap();
            assert_eq!(records.heads().len(), number);
            let records: Vec<_> = records.map(Result::unwrap).collect();
            assert_eq!(records.len(), number);
            assert!(
                records
                    .iter()
                    .all(|record| record.head.uuid == A && record.last)
            );
        }
    }
}
