//! How often what went out has changed, and under which mappings an output may have it.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::sync::Arc;

use bytes::Bytes;
use pipeline::{
    Act, Changes, Delivery, Document, Fate, LetGo, MappingIdentity, Operation, OutputKey,
    Remembered, State,
};
use state::{Reprocess, Store};

const EVENT: &str = "11111111-2222-4333-8444-555555555555";

fn mapping(name: &str) -> Arc<MappingIdentity> {
    Arc::new(MappingIdentity {
        name: name.to_owned(),
        version: "1".to_owned(),
        digest: name.repeat(8),
        settings: String::new(),
    })
}

fn put(by: &str, fingerprint: u64) -> Delivery {
    Delivery {
        event: Arc::from(EVENT),
        version: 1,
        mapping: mapping(by),
        before: Vec::new(),
        revision: 1,
        document: Document {
            id: "id".to_owned(),
            attribute: Some("00000000-0000-4000-8000-000000000001".to_owned()),
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
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            store: Store::open(folder.path()).unwrap(),
            _folder: folder,
            output: OutputKey {
                name: "out".to_owned(),
                target: "there".to_owned(),
            },
        }
    }

    fn record(&self, delivery: &Delivery, act: Act) {
        let changes = self.changes(vec![(delivery, act)], Vec::new());
        self.store.record(&[changes]).unwrap();
    }

    fn let_go(&self, delivery: &Delivery, fate: Fate) {
        let gone = LetGo {
            id: "id",
            event: EVENT,
            attribute: delivery.document.attribute.as_deref(),
            sent: Some(fate),
            still_listed: true,
        };
        self.store
            .record(&[self.changes(Vec::new(), vec![gone])])
            .unwrap();
    }

    fn changes<'a>(
        &'a self,
        documents: Vec<(&'a Delivery, Act)>,
        let_go: Vec<LetGo<'a>>,
    ) -> Changes<'a> {
        Changes {
            instance: "lab",
            output: &self.output,
            version: 1,
            documents,
            without: Vec::new(),
            let_go,
        }
    }

    fn known(&self) -> Remembered {
        let asked = [put("a", 0)];
        let known = self.store.remembered("lab", &self.output, &asked).unwrap();
        known.into_iter().next().unwrap().unwrap()
    }

    fn places(&self) -> Vec<String> {
        let places = self.known().places;
        places.iter().map(|place| place.name.clone()).collect()
    }
}

#[test]
fn each_change_counts_once_however_often_it_is_sent() {
    let subject = Subject::new();
    for (fingerprint, revision) in [(7, 1), (8, 2), (7, 3)] {
        for act in [Fate::Sent, Fate::Sent, Fate::Delivered] {
            subject.record(&put("a", fingerprint), Act::Sent(act));
            assert_eq!(subject.known().revision, revision);
            assert_eq!(
                subject.known().next_revision(Some(fingerprint), 9),
                revision
            );
        }
        subject.record(&put("a", fingerprint), Act::Unchanged);
        assert_eq!(subject.known().revision, revision);
    }
    // A delete is a change, and what comes after it another.
    assert_eq!(subject.known().next_revision(None, 9), 4);
    subject.let_go(&put("a", 7), Fate::Sent);
    subject.let_go(&put("a", 7), Fate::Deleted);
    assert_eq!(subject.known().next_revision(None, 9), 4);
    assert_eq!(subject.known().next_revision(Some(7), 9), 5);
}

#[test]
fn until_it_is_acknowledged_it_may_be_under_either_mapping() {
    let subject = Subject::new();
    subject.record(&put("a", 7), Act::Sent(Fate::Delivered));
    assert_eq!(subject.places(), ["a"]);
    subject.record(&put("b", 8), Act::Sent(Fate::Sent));
    assert_eq!(subject.places(), ["a", "b"]);
    subject.record(&put("b", 8), Act::Sent(Fate::Delivered));
    assert_eq!(subject.places(), ["b"]);
    subject.let_go(&put("b", 8), Fate::Sent);
    assert_eq!(subject.places(), ["b"]);
    subject.let_go(&put("b", 8), Fate::Deleted);
    assert_eq!(subject.places(), Vec::<String>::new());
}

#[test]
fn what_another_mapping_made_is_found_and_wanted() {
    let subject = Subject::new();
    subject.record(&put("a", 7), Act::Sent(Fate::Delivered));
    let counts = subject.store.mappings("lab").unwrap();
    assert_eq!(counts.len(), 1);
    assert_eq!(counts.first().unwrap().digest, mapping("a").digest);
    let others = |digest: &str| {
        let what = Reprocess::NotOf {
            digest: digest.to_owned(),
            settings: String::new(),
        };
        subject.store.reprocess("lab", &what).unwrap()
    };
    assert_eq!(others(&mapping("a").digest), 0);
    assert_eq!(others(&mapping("b").digest), 1);
    assert_eq!(subject.store.wanted("lab", 0, None, 9).unwrap(), [EVENT]);
    // The other would make the same: nothing is left of the first.
    subject.record(&put("b", 7), Act::Unchanged);
    assert_eq!(others(&mapping("b").digest), 0);
}

#[test]
fn what_was_made_with_other_settings_is_found_and_wanted() {
    let subject = Subject::new();
    let with = |settings: &str| {
        let mut delivery = put("a", 7);
        Arc::make_mut(&mut delivery.mapping).settings = settings.to_owned();
        delivery
    };
    let others = |settings: &str| {
        let what = Reprocess::NotOf {
            digest: mapping("a").digest.clone(),
            settings: settings.to_owned(),
        };
        subject.store.reprocess("lab", &what).unwrap()
    };
    subject.record(&with("old"), Act::Sent(Fate::Delivered));
    assert_eq!((others("old"), others("new")), (0, 1));
    let counts = subject.store.mappings("lab").unwrap();
    let counts: Vec<bool> = counts
        .iter()
        .map(|count| count.is_of(&mapping("a").digest, "new"))
        .collect();
    assert_eq!(counts, [false]);
    let has_others = |settings: &str| {
        let store = &subject.store;
        store
            .has_other_mappings(&mapping("a").digest, settings)
            .unwrap()
    };
    assert_eq!((has_others("old"), has_others("new")), (false, true));
    // The new ones make the same.
    subject.record(&with("new"), Act::Unchanged);
    assert_eq!(others("new"), 0);
}
