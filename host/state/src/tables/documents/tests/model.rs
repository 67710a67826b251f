//! The same in maps, without rows, indexes or files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pipeline::{Act, Delivery, Fate, Held, LetGo, MappingIdentity, Remembered};

use super::output;
use crate::ExportedDocument;
use crate::tables::documents::KnownDocument;

type Who = (String, String);

#[derive(Debug, Clone)]
struct Known {
    fate: Fate,
    copy_of: Option<String>,
    places: Vec<Arc<MappingIdentity>>,
    expires_ms: Option<i64>,
    version: u64,
    wanted_by: Vec<Who>,
    revision: u64,
    content: Option<u64>,
    hash: Option<u64>,
}

impl Known {
    fn new() -> Self {
        Self {
            fate: Fate::Deleted,
            copy_of: None,
            places: Vec::new(),
            expires_ms: None,
            version: 0,
            wanted_by: Vec::new(),
            revision: 0,
            content: None,
            hash: None,
        }
    }

    fn sends(&mut self, content: Option<u64>, version: u64) {
        if self.revision == 0 {
            (self.revision, self.content) = (version, content);
        } else if self.content != content {
            self.revision += 1;
            self.content = content;
        }
    }

    fn may_be_under(&mut self, mapping: &Arc<MappingIdentity>) {
        self.places.retain(|known| known != mapping);
        self.places.push(Arc::clone(mapping));
    }

    fn is_wanted_by_others(&self, me: &Who) -> bool {
        self.wanted_by.iter().any(|other| other != me)
    }
}

struct Row {
    seen: u64,
    fingerprint: Option<u64>,
    attribute: Option<String>,
}

/// One output.
#[derive(Default)]
pub(super) struct Model {
    documents: BTreeMap<String, Known>,
    /// By instance, event and id.
    held: BTreeMap<(String, String, String), Row>,
    wanted: BTreeSet<Who>,
}

impl Model {
    pub(super) fn document(&mut self, instance: &str, version: u64, delivery: &Delivery, act: Act) {
        let document = &delivery.document;
        let event = delivery.event.to_string();
        let me = (instance.to_owned(), event.clone());
        let mut now = self
            .documents
            .remove(&document.id)
            .unwrap_or_else(Known::new);
        now.wanted_by.retain(|other| *other != me);
        let (act, hash) = match act {
            Act::Stored(hash) => (Act::Sent(Fate::Delivered), Some(hash)),
            act => (act, None),
        };
        match act {
            Act::Stored(_) => panic!("made a `Sent` above"),
            Act::Sent(fate) => {
                now.fate = fate;
                now.hash = hash;
                now.copy_of = Some(instance.to_owned());
                let content = fate.may_be_there().then_some(document.fingerprint);
                now.sends(content, version);
                match fate {
                    Fate::Sent => now.may_be_under(&delivery.mapping),
                    Fate::Delivered | Fate::Refused => {
                        now.places = vec![Arc::clone(&delivery.mapping)];
                    }
                    Fate::Deleted | Fate::Expired => now.places.clear(),
                }
                now.expires_ms = document.expires_ms;
                now.version = version;
                if fate.may_be_there() {
                    now.wanted_by.push(me);
                } else {
                    self.wanted.extend(now.wanted_by.drain(..));
                }
            }
            Act::Stale(fate) => {
                if fate.may_be_there() {
                    now.wanted_by.push(me);
                }
                (now.fate, now.copy_of) = (Fate::Sent, None);
                self.wanted.extend(now.wanted_by.iter().cloned());
            }
            Act::Unchanged => {
                now.wanted_by.push(me);
                if now.copy_of.as_deref() == Some(instance) {
                    now.may_be_under(&delivery.mapping);
                    now.expires_ms = document.expires_ms;
                }
            }
            Act::Absent(_) if now.wanted_by.is_empty() && now.fate.may_be_there() => {
                now.wanted_by.push(me);
                now.copy_of = Some(instance.to_owned());
                now.expires_ms = Some(0);
            }
            Act::Absent(fate) if now.wanted_by.is_empty() => {
                (now.fate, now.expires_ms) = (fate, document.expires_ms);
            }
            Act::Absent(_) => self.ask_others(instance, &mut now),
        }
        self.documents.insert(document.id.clone(), now);
        let row = Row {
            seen: version,
            fingerprint: (act != Act::Sent(Fate::Sent)).then_some(document.fingerprint),
            attribute: document.attribute.clone(),
        };
        self.held
            .insert((instance.to_owned(), event, document.id.clone()), row);
    }

    pub(super) fn let_go(&mut self, instance: &str, version: u64, let_go: &LetGo<'_>) {
        let me = (instance.to_owned(), let_go.event.to_owned());
        if let Some(mut now) = self.documents.remove(let_go.id) {
            let before = now.clone();
            let mut stays = false;
            match let_go.sent {
                Some(Fate::Sent) => {
                    (now.fate, now.version) = (Fate::Sent, version);
                    now.sends(None, version);
                    stays = true;
                }
                Some(fate) => {
                    now.wanted_by.retain(|other| *other != me);
                    (now.fate, now.version) = (fate, version);
                    self.wanted.extend(now.wanted_by.drain(..));
                    now.sends(None, version);
                    now.places.clear();
                }
                None => {
                    now.wanted_by.retain(|other| *other != me);
                    if !now.wanted_by.is_empty() {
                        self.ask_others(instance, &mut now);
                    } else if now.fate.may_be_there() {
                        (now, stays) = (before, true);
                    }
                }
            }
            self.documents.insert(let_go.id.to_owned(), now);
            if stays {
                return;
            }
        }
        if !let_go.still_listed {
            let (instance, event) = me;
            self.held.remove(&(instance, event, let_go.id.to_owned()));
        }
    }

    fn ask_others(&mut self, instance: &str, document: &mut Known) {
        if document
            .copy_of
            .as_deref()
            .is_none_or(|who| who == instance)
        {
            document.copy_of = None;
            self.wanted.extend(document.wanted_by.iter().cloned());
        }
    }

    pub(super) fn forget(&mut self, instance: &str) -> bool {
        let before = self.held.len();
        self.held.retain(|(who, _, _), _| who != instance);
        self.wanted.retain(|(who, _)| who != instance);
        self.documents.retain(|_, document| {
            let is_copy = document.copy_of.as_deref() == Some(instance);
            let is_mine = is_copy || document.wanted_by.iter().any(|(who, _)| who == instance);
            document.wanted_by.retain(|(who, _)| who != instance);
            if is_copy {
                document.copy_of = None;
            }
            !is_mine || !document.wanted_by.is_empty()
        });
        self.held.len() < before
    }

    pub(super) fn remembered(&self, instance: &str, delivery: &Delivery) -> Option<Remembered> {
        let document = self.documents.get(&delivery.document.id)?;
        let me = (instance.to_owned(), delivery.event.to_string());
        let key = (me.0.clone(), me.1.clone(), delivery.document.id.clone());
        let fingerprint = self.held.get(&key).and_then(|row| row.fingerprint);
        Some(Remembered {
            places: document.places.clone(),
            revision: document.revision,
            content: document.content,
            fate: document.fate,
            fingerprint: fingerprint.filter(|_| document.copy_of.is_some()),
            others: document.is_wanted_by_others(&me),
            overruled: false,
        })
    }

    fn one_held(&self, me: &Who, id: &str) -> Held {
        let document = self.documents.get(id);
        let row = self.held.get(&(me.0.clone(), me.1.clone(), id.to_owned()));
        Held {
            id: id.to_owned(),
            event: me.1.clone(),
            attribute: row.and_then(|row| row.attribute.clone()),
            fate: document.map_or(Fate::Deleted, |known| known.fate),
            places: document.map_or_else(Vec::new, |known| known.places.clone()),
            delete_revision: document.map_or(1, |known| match known.content {
                None => known.revision.max(1),
                Some(_) => known.revision + 1,
            }),
            others: document.is_some_and(|known| known.is_wanted_by_others(me)),
        }
    }

    /// In the order of ids.
    pub(super) fn held(&self, instance: &str, event: &str) -> Vec<Held> {
        let me = (instance.to_owned(), event.to_owned());
        let keys = self.held.keys();
        keys.filter(|(who, what, _)| who == instance && what == event)
            .map(|(_, _, id)| self.one_held(&me, id))
            .collect()
    }

    /// In the order of ids.
    pub(super) fn due(&self, instance: &str, now_ms: i64) -> Vec<Held> {
        let documents = self.documents.iter();
        documents
            .filter(|(_, document)| {
                document.fate.may_be_there()
                    && document.copy_of.as_deref() == Some(instance)
                    && document.expires_ms.is_some_and(|at| at <= now_ms)
            })
            .filter_map(|(id, document)| {
                let mine = document.wanted_by.iter().find(|(who, _)| who == instance)?;
                Some(self.one_held(mine, id))
            })
            .collect()
    }

    pub(super) fn wanted(&self, instance: &str) -> Vec<String> {
        let wanted = self.wanted.iter().filter(|(who, _)| who == instance);
        wanted.map(|(_, event)| event.clone()).collect()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.documents.keys().cloned().collect();
        ids.push("never heard of".to_owned());
        ids
    }

    pub(super) fn known(&self, id: &str) -> Option<KnownDocument> {
        let document = self.documents.get(id)?;
        let places = document.places.iter();
        Some(KnownDocument {
            fate: document.fate,
            version: document.version,
            mappings: places.map(|mapping| mapping.name.clone()).collect(),
            hash: document.hash,
        })
    }

    pub(super) fn exported(&self) -> Vec<ExportedDocument> {
        let rows = self.held.iter();
        rows.filter_map(|((instance, event, id), row)| {
            let document = self.documents.get(id)?;
            let mapping = document.places.last();
            Some(ExportedDocument {
                instance: instance.clone(),
                output: output().name,
                target: output().target,
                id: id.clone(),
                event: event.clone(),
                attribute: row.attribute.clone(),
                fate: document.fate,
                fingerprint: row.fingerprint.map(|hash| format!("{hash:016x}")),
                seen: row.seen,
                sent: document.version,
                mapping: mapping.map(|one| one.digest.clone()).unwrap_or_default(),
                expires_ms: document.expires_ms,
            })
        })
        .collect()
    }
}
