//! What went out, against a plain model of it; rows of an older schema.

mod model;
mod of_schema_3;

use std::sync::Arc;

use bytes::Bytes;
use fastrand::Rng;
use pipeline::{
    Act, Changes, Delivery, Document, Fate, Held, LetGo, MappingIdentity, Operation, OutputKey,
    State as _,
};

use crate::Store;
use model::Model;

const INSTANCES: [&str; 2] = ["lab", "partner"];
const EVENTS: [&str; 3] = ["one", "two", "three"];
/// Several rows of an event.
const ATTRIBUTES: u64 = 60;

fn output() -> OutputKey {
    OutputKey {
        name: "out".to_owned(),
        target: "there".to_owned(),
    }
}

fn mapping(name: &str) -> Arc<MappingIdentity> {
    Arc::new(MappingIdentity {
        name: name.to_owned(),
        version: "1".to_owned(),
        digest: format!("digest of {name}"),
        settings: String::new(),
    })
}

/// The document of an attribute: two mappings give it two ids.
fn delivery(random: &mut Rng, event: &str, mapping: &Arc<MappingIdentity>) -> Delivery {
    let attribute = random.u64(..ATTRIBUTES);
    Delivery {
        event: Arc::from(event),
        version: 0,
        mapping: Arc::clone(mapping),
        before: Vec::new(),
        revision: 1,
        document: Document {
            id: format!(
                "{:04x} {}",
                attribute.wrapping_mul(0x9e37) & 0xffff,
                mapping.name
            ),
            attribute: Some(format!("attribute {attribute}")),
            attribute_timestamp: Some(random.i64(..3)),
            operation: Operation::Put,
            dataset: None,
            timestamp_ms: 0,
            modified_ms: 0,
            expires_ms: random.bool().then(|| random.i64(..4)),
            facts: Arc::default(),
            fingerprint: random.u64(..3),
            body: Bytes::from_static(b"{}"),
            notes: Vec::new(),
        },
    }
}

fn act(random: &mut Rng) -> Act {
    match random.u8(..10) {
        0..=2 => Act::Sent(Fate::Sent),
        3 => Act::Sent(Fate::Delivered),
        4 => Act::Stored(7),
        5 => Act::Sent(Fate::Refused),
        6 => Act::Sent(Fate::Deleted),
        7 => Act::Unchanged,
        8 => Act::Stale(random.choice([Fate::Delivered, Fate::Deleted]).unwrap()),
        _ => Act::Absent(Fate::Deleted),
    }
}

/// One history.
struct History {
    random: Rng,
    folder: tempfile::TempDir,
    store: Option<Store>,
    model: Model,
    version: u64,
}

impl History {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            random: Rng::with_seed(seed),
            store: Some(Store::open(folder.path()).unwrap()),
            folder,
            model: Model::default(),
            version: 0,
        }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        *self.random.choice(among).unwrap()
    }

    fn step(&mut self, mappings: &[Arc<MappingIdentity>]) {
        self.version += 1;
        let instance = self.pick(&INSTANCES);
        let event = self.pick(&EVENTS);
        match self.random.u8(..20) {
            0 => {
                let any = self.store().reset(instance).unwrap();
                assert_eq!(any, self.model.forget(instance));
            }
            1 | 2 => {
                self.store = None;
                self.store = Some(Store::open(self.folder.path()).unwrap());
            }
            3..=6 => self.let_go(instance, event),
            _ => self.record(instance, event, mappings),
        }
    }

    fn record(&mut self, instance: &str, event: &str, mappings: &[Arc<MappingIdentity>]) {
        let mut batch: Vec<(Delivery, Act)> = Vec::new();
        let mapping = self.random.choice(mappings).unwrap();
        for _ in 0..self.random.usize(1..40) {
            let one = delivery(&mut self.random, event, mapping);
            // Of two with one id in a batch the host delivers the first.
            if batch
                .iter()
                .all(|(known, _)| known.document.id != one.document.id)
            {
                batch.push((one, act(&mut self.random)));
            }
        }
        let changes = Changes {
            instance,
            output: &output(),
            version: self.version,
            documents: batch.iter().map(|(one, act)| (one, *act)).collect(),
            without: Vec::new(),
            let_go: Vec::new(),
        };
        self.store().record(&[changes]).unwrap();
        for (delivery, act) in &batch {
            self.model.document(instance, self.version, delivery, *act);
        }
        let asked: Vec<Delivery> = batch.into_iter().map(|(one, _)| one).collect();
        for instance in INSTANCES {
            let known = self
                .store()
                .remembered(instance, &output(), &asked)
                .unwrap();
            for (one, known) in asked.iter().zip(known) {
                let expected = self.model.remembered(instance, one);
                assert_eq!(known, expected, "{instance} {}", one.document.id);
            }
        }
    }

    fn let_go(&mut self, instance: &str, event: &str) {
        let before = self.random.u64(..=self.version);
        let limit = self.random.usize(1..30);
        let store = self.store();
        let old: Vec<Held> = store
            .older(instance, &output(), event, before, limit)
            .unwrap();
        let sent = self.pick(&[
            None,
            Some(Fate::Deleted),
            Some(Fate::Sent),
            Some(Fate::Expired),
        ]);
        let still_listed = sent == Some(Fate::Sent) || self.random.u8(..4) == 0;
        let let_go: Vec<LetGo<'_>> = old
            .iter()
            .map(|held| LetGo {
                id: &held.id,
                event: &held.event,
                attribute: held.attribute.as_deref(),
                sent,
                still_listed,
            })
            .collect();
        for one in &let_go {
            self.model.let_go(instance, self.version, one);
        }
        let changes = Changes {
            instance,
            output: &output(),
            version: self.version,
            documents: Vec::new(),
            without: Vec::new(),
            let_go,
        };
        self.store().record(&[changes]).unwrap();
    }

    /// Everything that can be asked.
    fn check(&self) {
        let store = self.store();
        let mut exported = Vec::new();
        let written = store.export(&mut |one| {
            exported.push(one);
            Ok(())
        });
        written.unwrap().unwrap();
        exported.sort_by(|one, other| {
            (&one.instance, &one.event, &one.id).cmp(&(&other.instance, &other.event, &other.id))
        });
        assert_eq!(exported, self.model.exported());
        for instance in INSTANCES {
            for event in EVENTS {
                let all = store
                    .older(instance, &output(), event, u64::MAX, usize::MAX)
                    .unwrap();
                assert_eq!(all, self.model.held(instance, event), "{instance} {event}");
            }
            for now_ms in 0..4 {
                let mut due = store.due(instance, &output(), now_ms, usize::MAX).unwrap();
                due.sort_by(|one, other| one.id.cmp(&other.id));
                assert_eq!(due, self.model.due(instance, now_ms), "{instance} {now_ms}");
            }
            let wanted = store.wanted(instance, 0, None, usize::MAX).unwrap();
            assert_eq!(wanted, self.model.wanted(instance));
        }
        let ids = self.model.ids();
        let known = store.known(&output(), &ids).unwrap();
        for (id, known) in ids.iter().zip(known) {
            assert_eq!(known, self.model.known(id), "{id}");
        }
    }
}

#[test]
fn any_history_is_remembered_as_the_model_does() {
    let mappings = [mapping("old"), mapping("new")];
    for seed in 0..24 {
        let mut history = History::new(seed);
        for _ in 0..40 {
            history.step(&mappings);
        }
        history.check();
    }
}
