//! What it costs to remember what went out: the store's own calls in the order of a pass, over
//! events of 1,000 attributes in batches of 1,000, and one event of 20,000.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use mapping::id::sha1_base64;
use misp_ecs_tests::events::uuid;
use pipeline::{
    Act, Changes, Commit, Cursor, Delivery, Document, EventSeen, Fate, ListedAttribute,
    ListedEvent, MappingIdentity, Operation, OutputKey, State as _,
};
use serde_json::{Value, json};
use state::Store;

use crate::{NOW_MS, median};

const INSTANCE: &str = "bench";
/// Attributes of one event and of one batch.
const BATCH: u32 = 1_000;
/// The number of the event that is edited; no other has it.
const BIG: u32 = u32::MAX;
const BIG_ATTRIBUTES: u32 = 20_000;
/// Batches that one figure is the median of.
const SAMPLES: u32 = 20;
/// What MISP is asked for at once when it lists.
const LISTED_AT_ONCE: usize = 50_000;
/// UNIX seconds.
const TIMESTAMP: i64 = 1_767_000_000;

/// Remembers so many attributes in a store of its own, and measures.
///
/// # Errors
/// When the store fails, or remembers something else than it was told.
pub(crate) fn measure(attributes: u32) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let host = Host::open(folder.path())?;
    let events = attributes / BATCH;
    let last = events.saturating_sub(SAMPLES)..events;
    let mut first_ms = Vec::new();
    for number in 0..events {
        let event = deliveries(number, BATCH, &host.mapping);
        let took = timed(|| host.pass(number, &event, BATCH))?;
        if last.contains(&number) {
            first_ms.push(took);
        }
    }
    let bytes = host.bytes()?;
    let stride = (events / SAMPLES).max(1) as usize;
    let mut unchanged_ms = Vec::new();
    for number in (0..events).step_by(stride) {
        let event = deliveries(number, BATCH, &host.mapping);
        unchanged_ms.push(timed(|| host.pass(number, &event, 0))?);
    }
    let compare_ms = timed(|| host.compare(events))?;
    let one_edit_ms = host.one_edit()?;
    // A copy of the file as it is now is what a SIGKILL would leave.
    let killed = tempfile::tempdir()?;
    std::fs::copy(
        folder.path().join("state.redb"),
        killed.path().join("state.redb"),
    )?;
    drop(host);
    let open = |path: &Path| timed(|| Store::open(path).map(drop).context("did not open"));
    let first_batch = median(first_ms);
    let unchanged_batch = median(unchanged_ms);
    let big = f64::from(BIG_ATTRIBUTES);
    let per = f64::from(attributes);
    Ok(json!({
        "attributes": attributes,
        "bytes_an_attribute": bytes as f64 / per,
        "first_delivery_ms_a_batch_of_1000": first_batch,
        "first_delivery_us_an_attribute": first_batch * 1e3 / f64::from(BATCH),
        "unchanged_ms_a_batch_of_1000": unchanged_batch,
        "unchanged_us_an_attribute": unchanged_batch * 1e3 / f64::from(BATCH),
        "unchanged_over_first_delivery": unchanged_batch / first_batch,
        "one_edit_in_20000_ms": one_edit_ms,
        "one_edit_in_20000_us_an_attribute": one_edit_ms * 1e3 / big,
        "comparison_ms": compare_ms,
        "comparison_us_an_attribute": compare_ms * 1e3 / per,
        "open_ms": open(folder.path())?,
        "open_after_a_kill_ms": open(killed.path())?,
    }))
}

/// The store, and who uses it.
struct Host {
    store: Arc<Store>,
    output: OutputKey,
    mapping: Arc<MappingIdentity>,
    file: std::path::PathBuf,
}

impl Host {
    fn open(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            store: Arc::new(Store::open(folder)?),
            output: OutputKey {
                name: "out".to_owned(),
                target: "/var/lib/misp-ecs/indicators.ndjson".to_owned(),
            },
            mapping: Arc::new(MappingIdentity {
                name: "ecs-1.12".to_owned(),
                version: "1.0.0".to_owned(),
                digest: "0".repeat(64),
                settings: String::new(),
            }),
            file: folder.join("state.redb"),
        })
    }

    fn bytes(&self) -> anyhow::Result<u64> {
        Ok(std::fs::metadata(&self.file)?.len())
    }

    /// One page with one event, as the pipeline delivers it: look up, write down what is sent,
    /// write down what was answered, withdraw (nothing), move the cursor. `expected` of its
    /// documents have to be sent.
    fn pass(&self, number: u32, event: &[Delivery], expected: u32) -> anyhow::Result<()> {
        let version = self.store.next_version(NOW_MS)?;
        let mut sent = 0;
        for batch in event.chunks(BATCH as usize) {
            sent += self.batch(batch, version)?;
        }
        let seen = uuid(u64::from(number), 0);
        let gone = self
            .store
            .older(INSTANCE, &self.output, &seen, version, BATCH as usize)?;
        anyhow::ensure!(gone.is_empty(), "{} documents look old", gone.len());
        anyhow::ensure!(sent == expected, "{sent} to send, not {expected}");
        self.store.commit(&Commit {
            instance: INSTANCE,
            walk: INSTANCE,
            cursor: Some(&Cursor(format!("{{\"page\":{number}}}"))),
            version,
            outputs: std::slice::from_ref(&self.output),
            whole: &[EventSeen {
                uuid: seen,
                publish_timestamp: TIMESTAMP,
            }],
            no_longer_wanted: &[],
            unread: &[],
        })?;
        Ok(())
    }

    /// How many had to be sent.
    fn batch(&self, batch: &[Delivery], version: u64) -> anyhow::Result<u32> {
        let known = self.store.remembered(INSTANCE, &self.output, batch)?;
        let is_new: Vec<bool> = batch
            .iter()
            .zip(&known)
            .map(|(delivery, known)| {
                known.as_ref().and_then(|known| known.fingerprint)
                    != Some(delivery.document.fingerprint)
            })
            .collect();
        let marked = || batch.iter().zip(&is_new);
        // Whatever is sent is written down before.
        let noted = marked()
            .filter(|(_, is_new)| **is_new)
            .map(|(delivery, _)| (delivery, Act::Sent(Fate::Sent)))
            .collect::<Vec<_>>();
        if !noted.is_empty() {
            self.record(version, noted)?;
        }
        let answered = marked().map(|(delivery, is_new)| {
            let act = if *is_new {
                Act::Sent(Fate::Delivered)
            } else {
                Act::Unchanged
            };
            (delivery, act)
        });
        self.record(version, answered.collect())?;
        let sent = is_new.iter().filter(|is_new| **is_new).count();
        Ok(u32::try_from(sent)?)
    }

    fn record(&self, version: u64, documents: Vec<(&Delivery, Act)>) -> anyhow::Result<()> {
        self.store.record(&[Changes {
            instance: INSTANCE,
            output: &self.output,
            version,
            documents,
            without: Vec::new(),
            let_go: Vec::new(),
        }])?;
        Ok(())
    }

    /// An audit, or a sweep that finds nothing: takes in what MISP lists, and compares.
    fn compare(&self, events: u32) -> anyhow::Result<()> {
        let mut comparison = Arc::clone(&self.store).comparison(INSTANCE)?;
        let mut page = Vec::new();
        for number in 0..events {
            page.extend((1..=BATCH).map(|part| ListedAttribute {
                uuid: uuid(u64::from(number), u64::from(part)),
                event_id: number.to_string(),
                timestamp: TIMESTAMP,
            }));
            if page.len() >= LISTED_AT_ONCE || number + 1 == events {
                comparison.add_attributes(&page)?;
                page.clear();
            }
        }
        let listed: Vec<ListedEvent> = (0..events)
            .map(|number| ListedEvent {
                id: number.to_string(),
                uuid: uuid(u64::from(number), 0),
                timestamp: TIMESTAMP,
                published: true,
            })
            .collect();
        comparison.add_events(&listed)?;
        let counts = comparison.compare(&self.output, &mut |_| true)?;
        let wanted = u64::from(events * BATCH);
        let differs = counts.missing + counts.stale + counts.orphaned + counts.worked_on;
        anyhow::ensure!(
            counts.delivered == wanted && counts.listed == wanted && differs == 0,
            "{counts:?}"
        );
        Ok(())
    }

    /// An event of 20,000 attributes comes again with one of them changed. Milliseconds.
    fn one_edit(&self) -> anyhow::Result<f64> {
        let mut event = deliveries(BIG, BIG_ATTRIBUTES, &self.mapping);
        self.pass(BIG, &event, BIG_ATTRIBUTES)?;
        let edited = event.get_mut(BIG_ATTRIBUTES as usize / 2);
        let edited = edited.context("no attribute in the middle")?;
        edited.document.fingerprint += 1;
        timed(|| self.pass(BIG, &event, 1))
    }
}

/// The documents of an event whose uuids all come from `number`.
fn deliveries(number: u32, attributes: u32, mapping: &Arc<MappingIdentity>) -> Vec<Delivery> {
    let event = uuid(u64::from(number), 0);
    let shared: Arc<str> = Arc::from(event.as_str());
    (1..=attributes)
        .map(|part| {
            let attribute = uuid(u64::from(number), u64::from(part));
            Delivery {
                event: Arc::clone(&shared),
                version: 0,
                mapping: Arc::clone(mapping),
                before: Vec::new(),
                revision: 1,
                document: Document {
                    id: sha1_base64(&[INSTANCE, &event, &attribute]),
                    attribute: Some(attribute),
                    attribute_timestamp: Some(TIMESTAMP),
                    operation: Operation::Put,
                    dataset: None,
                    timestamp_ms: NOW_MS,
                    modified_ms: NOW_MS,
                    expires_ms: None,
                    facts: Arc::default(),
                    fingerprint: u64::from(number) << 32 | u64::from(part),
                    body: Bytes::from_static(b"{}"),
                    notes: Vec::new(),
                },
            }
        })
        .collect()
}

/// Milliseconds.
fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}
