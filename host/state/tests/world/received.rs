//! What an output has.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::{Delivery, Operation};

use super::World;

/// What an output has, and what it was told.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Body and write version by id.
    pub(crate) documents: BTreeMap<String, (String, u64)>,
    /// The newest revision by id, and what it was; `None`: a delete.
    revisions: BTreeMap<String, (u64, Option<String>)>,
    /// The mappings by whose name each document is there.
    pub(crate) under: BTreeMap<String, BTreeSet<String>>,
    pub(crate) puts: u64,
    pub(crate) deletes: u64,
    /// What the target is now: the uuids of cluster and index.
    pub(crate) identity: Option<(&'static str, &'static str)>,
    /// Ids that are refused.
    pub(crate) refuses: BTreeSet<String>,
    /// Batches until the next one fails, or hangs.
    pub(crate) fails_after: Option<u32>,
    pub(crate) hangs_after: Option<u32>,
    /// Does it hang after it has taken the batch, so that nobody hears of it?
    pub(crate) hangs_late: bool,
    /// Does everything fail?
    pub(crate) down: bool,
    /// Does every write fail, although it says that it is ready?
    pub(crate) writes_fail: bool,
    /// Batches until everything fails.
    pub(crate) down_after: Option<u32>,
}

impl Received {
    /// Notes a change that came. What it has of a revision does not change, and revisions do not
    /// go back: the newest is what counts where all of them are kept.
    pub(crate) fn change(&mut self, delivery: &Delivery) {
        let id = &delivery.document.id;
        let put = delivery.document.operation == Operation::Put;
        let body = String::from_utf8(delivery.document.body.to_vec()).unwrap();
        let change = (delivery.revision, put.then_some(body));
        if let Some(before) = self.revisions.insert(id.clone(), change.clone()) {
            assert!(
                before.0 < change.0 || before == change,
                "{id}: {before:?}, then {change:?}"
            );
        }
        let under = self.under.entry(id.clone()).or_default();
        for place in &delivery.before {
            under.remove(&place.name);
        }
        if put {
            under.insert(delivery.mapping.name.clone());
            assert_eq!(under.len(), 1, "{id} is there under {under:?}");
        } else {
            under.remove(&delivery.mapping.name);
            assert!(under.is_empty(), "{id} is still there under {under:?}");
        }
    }
}

impl Received {
    /// Somebody deletes the index, and another one of this uuid takes its place.
    pub(crate) fn replace(&mut self, cluster: &'static str, index: &'static str) {
        *self = Self {
            identity: Some((cluster, index)),
            ..Self::default()
        };
    }
}

/// Attribute to value.
pub(crate) fn has(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(id, value)| ((*id).to_owned(), (*value).to_owned()))
        .collect()
}

/// Puts and deletes that an output has got.
pub(crate) fn told(world: &World) -> (u64, u64) {
    let received = world.received("out", "here");
    let received = received.lock().unwrap();
    (received.puts, received.deletes)
}
