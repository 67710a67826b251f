//! An Elasticsearch on the loopback interface that behaves as the real one: external versions,
//! conflicts, data streams, templates, item by item answers; and goes wrong when told to.

mod bulk;
mod faults;
mod scroll;
mod server;
mod store;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::serve::serve;
use crate::weather::Weather;

pub use faults::{ElasticFault, ElasticHabits};
pub use store::{Applied, ElasticStore, Entry, Index};

/// The API key a [`FakeElastic`] accepts, as Kibana shows it ("encoded"), easy to find where it
/// should not be.
pub const ELASTIC_KEY: &str = "Q2FuYXJ5RWxhc3RpY0tleTpDYW5hcnlFbGFzdGljS2V5";

/// One request as it came.
#[derive(Debug, Clone)]
pub struct ElasticRequest {
    /// `POST`, `GET`..
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// The query, empty if there is none.
    pub query: String,
    /// Names in lower case, values as text.
    pub headers: Vec<(String, String)>,
    /// The body, unpacked.
    pub body: Bytes,
}

impl ElasticRequest {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// The lines of the body as JSON; null for a line that is none.
    pub fn lines(&self) -> Vec<Value> {
        self.body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap_or_default())
            .collect()
    }

    /// The `_id` of every action of a bulk, in order.
    pub fn ids(&self) -> Vec<String> {
        bulk::operations(&self.body)
            .unwrap_or_default()
            .into_iter()
            .map(|operation| operation.id)
            .collect()
    }
}

struct Shared {
    store: Mutex<ElasticStore>,
    habits: Mutex<ElasticHabits>,
    faults: Mutex<VecDeque<ElasticFault>>,
    weather: Mutex<Option<Weather>>,
    late: Mutex<Vec<Late>>,
    recorded: Mutex<Vec<ElasticRequest>>,
    flights: Mutex<Flights>,
    /// Requests and bulks so far.
    arrived: watch::Sender<(usize, usize)>,
}

/// Bulks whose client was cut off, and after which request they are written.
#[derive(Debug)]
struct Late {
    request: usize,
    operations: Vec<bulk::Operation>,
}

impl Shared {
    /// What a request, a bulk of so many items or another one, meets.
    fn next_fault(&self, items: Option<usize>) -> ElasticFault {
        let queued = items.and_then(|_| lock(&self.faults).pop_front());
        queued.unwrap_or_else(|| {
            let mut weather = lock(&self.weather);
            let strikes = weather.as_mut().and_then(Weather::strikes);
            match (strikes, items) {
                (Some(random), Some(items)) => ElasticFault::random(random, items),
                (Some(random), None) => match random.u8(0..3) {
                    0 => ElasticFault::Cut,
                    1 => ElasticFault::Html(503),
                    _ => ElasticFault::Status(429),
                },
                (None, _) => ElasticFault::None,
            }
        })
    }

    /// Writes the late bulks whose turn it is.
    fn write_late(&self, request: usize) {
        let mut late = lock(&self.late);
        let (due, rest) = late.drain(..).partition(|one| one.request <= request);
        *late = rest;
        let due: Vec<Late> = due;
        let (mut store, habits) = (lock(&self.store), lock(&self.habits).clone());
        for one in due {
            bulk::write(&mut store, &habits, &one.operations, &ElasticFault::None);
        }
    }
}

/// Which bulks are being answered now.
#[derive(Debug, Default)]
struct Flights {
    now: Vec<Vec<(String, String)>>,
    most: usize,
    overlaps: Vec<String>,
}

/// A test that panicked while it held the lock has failed already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server. It stops when this is dropped.
pub struct FakeElastic {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl FakeElastic {
    /// Starts an empty one on a free port, on the current tokio runtime.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn bind() -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            store: Mutex::default(),
            habits: Mutex::default(),
            faults: Mutex::default(),
            weather: Mutex::default(),
            late: Mutex::default(),
            recorded: Mutex::default(),
            flights: Mutex::default(),
            arrived: watch::Sender::new((0, 0)),
        });
        let app = Router::new()
            .fallback(server::handle)
            .with_state(Arc::clone(&shared));
        let (address, server) = serve(app).await?;
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// [`FakeElastic::bind`] for tests.
    ///
    /// # Panics
    /// When no port can be had.
    #[expect(clippy::expect_used, reason = "a test without a port cannot go on")]
    pub async fn start() -> Self {
        Self::bind()
            .await
            .expect("a free port on the loopback interface")
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at, or changes, what it holds.
    pub fn with_store<T>(&self, use_it: impl FnOnce(&mut ElasticStore) -> T) -> T {
        use_it(&mut lock(&self.shared.store))
    }

    /// Changes how it behaves from now on.
    pub fn habits(&self, change: impl FnOnce(&mut ElasticHabits)) {
        change(&mut lock(&self.shared.habits));
    }

    /// The next bulk that has no fault yet meets this one.
    pub fn next(&self, fault: ElasticFault) {
        lock(&self.shared.faults).push_back(fault);
    }

    /// From now on one request in `one_in`, of whatever kind, meets a fault by chance; none again
    /// with 0. Every one of them passes: the same request later gets its answer.
    pub fn weather(&self, seed: u64, one_in: u32) {
        *lock(&self.shared.weather) = (one_in > 0).then(|| Weather::new(seed, one_in));
    }

    /// Writes what is late ([`ElasticFault::Late`]) now.
    pub fn end_of_late(&self) {
        self.shared.write_late(usize::MAX);
    }

    /// How many bulks have come since the start.
    pub fn bulk_count(&self) -> usize {
        self.shared.arrived.borrow().1
    }

    /// Forgets what the requests were and the log of writes, not how many bulks came.
    pub fn forget_requests(&self) {
        lock(&self.shared.recorded).clear();
        lock(&self.shared.store).applied.clear();
    }

    /// All requests so far, in the order they came.
    pub fn requests(&self) -> Vec<ElasticRequest> {
        lock(&self.shared.recorded).clone()
    }

    /// The bulks among them.
    pub fn bulks(&self) -> Vec<ElasticRequest> {
        let mut bulks = self.requests();
        bulks.retain(|request| request.path.ends_with("/_bulk"));
        bulks
    }

    /// Waits until so many bulks have come.
    pub async fn bulks_arrived(&self, bulks: usize) {
        let mut arrived = self.shared.arrived.subscribe();
        // The sender lives as long as `self`.
        let _ = arrived.wait_for(|(_, count)| *count >= bulks).await;
    }

    /// The most bulks that were under way at once.
    pub fn most_in_flight(&self) -> usize {
        lock(&self.shared.flights).most
    }

    /// Documents that two bulks under way at once had in them.
    pub fn overlaps(&self) -> Vec<String> {
        lock(&self.shared.flights).overlaps.clone()
    }
}

impl Drop for FakeElastic {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for FakeElastic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeElastic")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
