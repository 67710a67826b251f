//! Two instances write the same document at the same time: what the state says of it is what the
//! output has, whichever is written down first.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::sync::Arc;

use bytes::Bytes;
use pipeline::{
    Act, Changes, Delivery, Document, Fate, LetGo, MappingIdentity, Operation, OutputKey,
    Remembered, State,
};
use state::Store;

const EVENT: &str = "11111111-2222-4333-8444-555555555555";
const ATTRIBUTE: &str = "00000000-0000-4000-8000-000000000001";

fn put(fingerprint: u64) -> Delivery {
    Delivery {
        event: Arc::from(EVENT),
        version: 1,
        mapping: Arc::new(MappingIdentity {
            name: "a".to_owned(),
            version: "1".to_owned(),
            digest: "a".repeat(64),
            settings: String::new(),
        }),
        before: Vec::new(),
        revision: 1,
        document: Document {
            id: "id".to_owned(),
            attribute: Some(ATTRIBUTE.to_owned()),
            attribute_timestamp: Some(1),
            operation: Operation::Put,
            dataset: None,
            timestamp_ms: 0,
            modified_ms: 0,
            expires_ms: None,
            facts: Arc::default(),
            fingerprint,
            body: Bytes::from_static(b"{}"),
            notes: Vec::new(),
        },
    }
}

struct Subject {
    _folder: tempfile::TempDir,
    store: Store,
    output: OutputKey,
}

impl Subject {
    /// The instances are configured in this order.
    fn new(instances: [&str; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.configure(&instances.map(str::to_owned)).unwrap();
        Self {
            store,
            _folder: folder,
            output: OutputKey {
                name: "out".to_owned(),
                target: "there".to_owned(),
            },
        }
    }

    fn record(&self, instance: &str, version: u64, fingerprint: u64, act: Act) {
        let delivery = put(fingerprint);
        let changes = Changes {
            instance,
            output: &self.output,
            version,
            documents: vec![(&delivery, act)],
            without: Vec::new(),
            let_go: Vec::new(),
        };
        self.store.record(&[changes]).unwrap();
    }

    fn lets_go(&self, instance: &str, version: u64, sent: Fate, still_listed: bool) {
        let let_go = LetGo {
            id: "id",
            event: EVENT,
            attribute: Some(ATTRIBUTE),
            sent: Some(sent),
            still_listed,
        };
        let changes = Changes {
            instance,
            output: &self.output,
            version,
            documents: Vec::new(),
            without: Vec::new(),
            let_go: vec![let_go],
        };
        self.store.record(&[changes]).unwrap();
    }

    fn seen_by(&self, instance: &str) -> Remembered {
        let asked = [put(0)];
        let known = self.store.remembered(instance, &self.output, &asked);
        known.unwrap().into_iter().next().unwrap().unwrap()
    }

    fn version(&self) -> u64 {
        let known = self.store.known(&self.output, &["id".to_owned()]).unwrap();
        known.into_iter().next().unwrap().unwrap().version
    }

    fn is_asked(&self, instance: &str) -> bool {
        !self
            .store
            .wanted(instance, i64::MAX, None, 9)
            .unwrap()
            .is_empty()
    }
}

#[test]
fn an_older_write_that_is_written_down_later_changes_nothing() {
    // Who comes first in the configuration has sent the newer one.
    let subject = Subject::new(["b", "a"]);
    subject.record("a", 10, 7, Act::Sent(Fate::Sent));
    subject.record("b", 11, 8, Act::Sent(Fate::Sent));
    subject.record("b", 11, 8, Act::Sent(Fate::Delivered));
    subject.record("a", 10, 7, Act::Stale(Fate::Delivered));
    let known = subject.seen_by("b");
    assert_eq!((known.fate, known.content), (Fate::Delivered, Some(8)));
    assert_eq!(known.fingerprint, Some(8));
    assert!(known.others);
    assert_eq!(subject.version(), 11);
    assert!(subject.seen_by("a").overruled);
    assert!(!subject.is_asked("a") && !subject.is_asked("b"));
}

#[test]
fn who_takes_precedence_and_was_overtaken_sends_again() {
    let subject = Subject::new(["a", "b"]);
    subject.record("a", 10, 7, Act::Sent(Fate::Sent));
    subject.record("b", 11, 8, Act::Sent(Fate::Sent));
    subject.record("b", 11, 8, Act::Sent(Fate::Delivered));
    subject.record("a", 10, 7, Act::Stale(Fate::Delivered));
    assert_eq!(subject.version(), 11);
    assert!(subject.is_asked("a"));
    assert_eq!(subject.seen_by("a").fingerprint, None);
    assert!(subject.seen_by("b").overruled);
}

#[test]
fn what_an_output_took_in_an_unknown_order_is_sent_again() {
    // An output without versions took both.
    let subject = Subject::new(["b", "a"]);
    subject.record("a", 10, 7, Act::Sent(Fate::Sent));
    subject.record("b", 11, 8, Act::Sent(Fate::Sent));
    subject.record("b", 11, 8, Act::Sent(Fate::Delivered));
    subject.record("a", 10, 7, Act::Sent(Fate::Delivered));
    let known = subject.seen_by("b");
    assert_eq!((known.fate, known.content), (Fate::Delivered, Some(8)));
    assert_eq!(known.fingerprint, None);
    assert!(subject.is_asked("b"));
}

#[test]
fn a_delete_that_is_written_down_late_does_not_hide_what_came_after_it() {
    for (sent, is_asked) in [(Fate::Deleted, true), (Fate::Sent, false)] {
        let subject = Subject::new(["a", "b"]);
        subject.record("a", 9, 7, Act::Sent(Fate::Delivered));
        subject.lets_go("a", 10, Fate::Sent, true);
        subject.record("b", 11, 8, Act::Sent(Fate::Sent));
        subject.record("b", 11, 8, Act::Sent(Fate::Delivered));
        subject.lets_go("a", 10, sent, false);
        let known = subject.seen_by("b");
        assert_eq!((known.fate, known.content), (Fate::Delivered, Some(8)));
        assert!(!known.others && !known.overruled);
        assert_eq!(subject.version(), 11);
        // Where the output took the delete, nobody knows whether before or after the document.
        assert_eq!(subject.is_asked("b"), is_asked);
    }
}

#[test]
fn a_document_that_somebody_took_over_while_it_was_deleted_is_sent_again() {
    let subject = Subject::new(["a", "b"]);
    subject.record("a", 9, 7, Act::Sent(Fate::Delivered));
    subject.lets_go("a", 10, Fate::Sent, true);
    // What it has is there already, as it seems.
    subject.record("b", 11, 8, Act::Unchanged);
    subject.lets_go("a", 10, Fate::Deleted, false);
    assert_eq!(subject.seen_by("b").fate, Fate::Deleted);
    assert!(subject.is_asked("b"));
}

#[test]
fn what_somebody_else_has_written_is_not_taken_for_ours() {
    let subject = Subject::new(["a", "b"]);
    subject.record("a", 10, 7, Act::Sent(Fate::Sent));
    subject.record("a", 10, 7, Act::Stale(Fate::Delivered));
    let known = subject.seen_by("a");
    assert_eq!((known.fate, known.fingerprint), (Fate::Sent, None));
    assert!(subject.is_asked("a"));
    // A delete that something newer outlived is to be tried again.
    let subject = Subject::new(["a", "b"]);
    subject.record("a", 10, 7, Act::Sent(Fate::Delivered));
    subject.lets_go("a", 11, Fate::Sent, true);
    subject.lets_go("a", 11, Fate::Sent, false);
    assert_eq!(subject.seen_by("a").fate, Fate::Sent);
    let held = State::held(&subject.store, "a", &subject.output, None, 9);
    assert_eq!(held.unwrap().len(), 1);
}
