//! What the state remembers against what an index really has, and mending the difference.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use pipeline::{
    Delivery, Document, Fate, MappingIdentity, Output, OutputKey, StoredDocument, Verdict,
    is_too_much, now_ms,
};
use state::{Store, StoreError};

use crate::exit::Exit;
use crate::summary::thousands;

/// Deletes in one request, and ids or events in one question to the state.
const AT_ONCE: usize = 1_000;
/// Ids of altered documents that are shown.
const SHOWN: usize = 20;
/// The largest share of what is there that is deleted without being told to.
const SHARE: f64 = 0.2;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    there: u64,
    /// Acknowledged and not there: instance and event to ids.
    missing: BTreeMap<(String, String), HashSet<String>>,
    /// There with an older version than what was acknowledged; part of `missing`.
    older: u64,
    /// There with other content than what was delivered; part of `missing`.
    altered: u64,
    /// The ids of the first of these.
    altered_ids: Vec<String>,
    /// There with a newer version than this state knows of.
    newer: u64,
    /// There, and not by what this state remembers.
    orphans: Vec<StoredDocument>,
    /// Of those, copies under another mapping of what is there under its own.
    elsewhere: u64,
}

impl Found {
    fn missing(&self) -> u64 {
        self.missing.values().map(|ids| ids.len() as u64).sum()
    }

    pub(super) fn differs(&self) -> bool {
        self.missing() > 0 || !self.orphans.is_empty()
    }

    pub(super) fn write(&self, text: &mut String, key: &OutputKey) -> std::fmt::Result {
        writeln!(text, "what {} really has ({})", key.name, key.target)?;
        let orphans = self.orphans.len() as u64;
        for (count, what) in [
            (self.there, "documents in it"),
            (
                self.missing() - self.older - self.altered,
                "missing: acknowledged and not there",
            ),
            (self.older, "older than what was acknowledged"),
            (self.altered, "altered: there, and not as it was delivered"),
            (
                orphans - self.elsewhere,
                "orphaned: there, and not by what is remembered here",
            ),
            (self.elsewhere, "orphaned: left under another mapping"),
            (
                self.newer,
                "newer than what is remembered here: another host writes too, or did",
            ),
        ] {
            writeln!(text, "    {:>10}  {what}", thousands(count))?;
        }
        for id in &self.altered_ids {
            writeln!(text, "      altered: {id}")?;
        }
        if self.altered > self.altered_ids.len() as u64 {
            let more = self.altered - self.altered_ids.len() as u64;
            writeln!(text, "      and {} more altered documents", thousands(more))?;
        }
        let verdict = match self.differs() {
            true => {
                "    differs: `misp-ecs audit --output NAME --repair` deletes what is orphaned and \
                 sends what is missing, older or altered"
            }
            false => "    nothing differs",
        };
        writeln!(text, "{verdict}")
    }
}

/// Lists what an output has and compares it with what the state remembers.
pub(super) async fn compare(
    store: &Arc<Store>,
    output: &dyn Output,
    key: &OutputKey,
) -> anyhow::Result<Found> {
    let Some(mut inventory) = output.inventory() else {
        return Err(Exit::Usage.error(format!(
            "output {}: its documents cannot be listed; only `elasticsearch` with `mode: latest` \
             can list them",
            key.name
        )));
    };
    let mut found = Found::default();
    // Ids by their hash: a million of them in 16 MB.
    let mut seen: HashSet<u64> = HashSet::new();
    while let Some(documents) = inventory.documents().await? {
        found.there += documents.len() as u64;
        for some in documents.chunks(AT_ONCE) {
            let ids: Vec<String> = some.iter().map(|document| document.id.clone()).collect();
            let (store, key) = (Arc::clone(store), key.clone());
            // Asked after they were listed: what is written meanwhile was remembered before.
            let known = tokio::task::spawn_blocking(move || store.known(&key, &ids)).await??;
            for (document, known) in some.iter().zip(known) {
                let known = known.filter(|known| known.fate.may_be_there());
                let Some(known) = known else {
                    found.orphans.push(document.clone());
                    continue;
                };
                let here = document.mapping.as_ref().is_none_or(|mapping| {
                    known.mappings.is_empty() || known.mappings.contains(mapping)
                });
                if !here {
                    found.elsewhere += 1;
                    found.orphans.push(document.clone());
                } else if known.fate == Fate::Delivered
                    && document.version >= known.version
                    && known
                        .hash
                        .is_some_and(|hash| document.hash.is_some_and(|one| one != hash))
                {
                    found.altered += 1;
                    if found.altered_ids.len() < SHOWN {
                        found.altered_ids.push(document.id.clone());
                    }
                } else if document.version >= known.version || known.fate != Fate::Delivered {
                    found.newer += u64::from(document.version > known.version);
                    seen.insert(hash(&document.id));
                } else {
                    found.older += 1;
                }
            }
        }
    }
    let (store, name, target) = (Arc::clone(store), key.name.clone(), key.target.clone());
    let missing = tokio::task::spawn_blocking(move || {
        let mut missing: BTreeMap<(String, String), HashSet<String>> = BTreeMap::new();
        store.export(&mut |held| {
            let ours = held.output == name && held.target == target;
            if ours && held.fate == Fate::Delivered && !seen.contains(&hash(&held.id)) {
                let of_event = missing.entry((held.instance, held.event)).or_default();
                of_event.insert(held.id);
            }
            Ok(())
        })??;
        anyhow::Ok(missing)
    });
    found.missing = missing.await??;
    Ok(found)
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Deletes what is orphaned, and lets what is missing be sent again; says what was done. What is
/// missing is fetched with the next poll.
pub(super) async fn repair(
    store: &Arc<Store>,
    output: &dyn Output,
    key: &OutputKey,
    found: Found,
    confirmed: bool,
) -> anyhow::Result<(String, Exit)> {
    let mut text = String::new();
    let mut exit = Exit::Differs;
    let orphans = found.orphans.len() as u64;
    if is_too_much(orphans, found.there, SHARE) && !confirmed {
        writeln!(
            text,
            "    HELD BACK {} that would be deleted of {}: look whether another host writes to \
             this index or the state is another one, then give --confirm",
            thousands(orphans),
            thousands(found.there)
        )?;
        exit = Exit::HeldBack;
    } else {
        let deleted = delete(store, output, &found.orphans).await?;
        writeln!(text, "    {:>10}  deleted", thousands(deleted))?;
    }
    let events = found.missing.len() as u64;
    let missing = found.missing.into_iter();
    let missing: Vec<(String, String, HashSet<String>)> = missing
        .map(|((instance, event), ids)| (instance, event, ids))
        .collect();
    let (store, key) = (Arc::clone(store), key.clone());
    let again = tokio::task::spawn_blocking(move || {
        let mut some = missing.chunks(AT_ONCE);
        some.try_for_each(|some| store.send_again(&key, some))
    });
    let again: Result<(), StoreError> = again.await?;
    again?;
    writeln!(
        text,
        "    {:>10}  events are read again for what is missing, older or altered",
        thousands(events)
    )?;
    Ok((text, exit))
}

async fn delete(
    store: &Arc<Store>,
    output: &dyn Output,
    orphans: &[StoredDocument],
) -> anyhow::Result<u64> {
    let mut deleted = 0;
    for some in orphans.chunks(AT_ONCE) {
        let version = store.next_version(now_ms())?;
        let deletes: Vec<Delivery> = some
            .iter()
            .map(|orphan| tombstone(orphan, version))
            .collect();
        let verdicts = output.write(&deletes).await.context("deleting")?;
        for (orphan, verdict) in some.iter().zip(verdicts) {
            match verdict {
                Verdict::Rejected { text } => bail!("{} cannot be deleted: {text}", orphan.id),
                // Somebody wrote it meanwhile: it stays.
                Verdict::Stale => {}
                _ => deleted += 1,
            }
        }
    }
    Ok(deleted)
}

fn tombstone(orphan: &StoredDocument, version: u64) -> Delivery {
    Delivery {
        event: Arc::from(""),
        version: version.max(orphan.version),
        mapping: Arc::new(MappingIdentity {
            name: orphan.mapping.clone().unwrap_or_default(),
            version: String::new(),
            digest: String::new(),
            settings: String::new(),
        }),
        before: Vec::new(),
        revision: 1,
        document: Document::tombstone(orphan.id.clone(), None, now_ms()),
    }
}
