//! A MISP on the loopback interface that behaves as MISP 2.5 was seen to behave:
//! its filters, pages, headers and errors, over made-up events.

mod account;
mod faults;
mod filters;
mod search;
mod server;
mod store;
mod streaming;
mod sync;
#[cfg(test)]
mod tests;
mod times;
mod wire;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, header};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::serve::serve;
use crate::weather::Weather;

pub use faults::{Fault, Habits};
pub use store::Store;
pub use streaming::StreamingMisp;

/// The key a [`FakeMisp`] accepts. Looks like one of MISP's, and is easy to find where it
/// should not be.
pub const KEY: &str = "CanaryKeyCanaryKeyCanaryKeyCanaryKey1234";

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// `POST`, `GET`..
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// Names in lower case, values as text.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Bytes,
    /// The body as JSON, null if it is none.
    pub json: Value,
}

impl Recorded {
    fn new(method: &Method, path: &str, headers: &HeaderMap, body: &Bytes) -> Self {
        Self {
            method: method.to_string(),
            path: path.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                    (name.to_string(), value)
                })
                .collect(),
            body: body.clone(),
            json: serde_json::from_slice(body).unwrap_or_default(),
        }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

type Action = Box<dyn FnOnce(&mut Store) + Send>;

struct Shared {
    key: Mutex<String>,
    /// `GET /users/view/me`
    me: Mutex<Value>,
    /// What `GET /auth_keys/index` says of the key.
    auth_key: Mutex<Value>,
    store: Mutex<Store>,
    habits: Mutex<Habits>,
    faults: Mutex<VecDeque<Fault>>,
    before: Mutex<VecDeque<Option<Action>>>,
    weather: Mutex<Option<Weather>>,
    recorded: Mutex<Vec<Recorded>>,
    arrived: watch::Sender<usize>,
}

impl Shared {
    fn with_store<T>(&self, use_it: impl FnOnce(&mut Store) -> T) -> T {
        use_it(&mut lock(&self.store))
    }

    fn habits(&self) -> Habits {
        *lock(&self.habits)
    }

    /// What a request meets: what is queued for searches, or what comes by chance.
    fn next_fault(&self, search: bool) -> Fault {
        let queued = search.then(|| lock(&self.faults).pop_front()).flatten();
        queued.unwrap_or_else(|| {
            let mut weather = lock(&self.weather);
            let strikes = weather.as_mut().and_then(Weather::strikes);
            strikes.map_or(Fault::None, Fault::random)
        })
    }

    fn run_before_search(&self) {
        let action = lock(&self.before).pop_front().flatten();
        if let Some(action) = action {
            self.with_store(action);
        }
    }

    fn record(&self, request: Recorded) {
        lock(&self.recorded).push(request);
        self.arrived.send_modify(|arrived| *arrived += 1);
    }

    fn knows_key(&self, headers: &HeaderMap) -> bool {
        [header::AUTHORIZATION.as_str(), "x-misp-auth"]
            .iter()
            .filter_map(|name| headers.get(*name)?.to_str().ok())
            .any(|value| value.trim() == *lock(&self.key))
    }
}

/// A test that panicked while it held the lock has failed already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server. It stops when this is dropped.
pub struct FakeMisp {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl FakeMisp {
    /// Starts an empty one on a free port, on the current tokio runtime.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn bind() -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            key: Mutex::new(KEY.to_owned()),
            me: Mutex::new(account::me()),
            auth_key: Mutex::new(account::auth_key()),
            store: Mutex::new(Store::new()),
            habits: Mutex::default(),
            faults: Mutex::default(),
            before: Mutex::default(),
            weather: Mutex::default(),
            recorded: Mutex::default(),
            arrived: watch::Sender::new(0),
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

    /// [`FakeMisp::bind`] for tests.
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

    /// The key it accepts, until it is told another.
    pub fn key(&self) -> &str {
        KEY
    }

    /// From now on only this key is accepted.
    pub fn set_key(&self, key: &str) {
        key.clone_into(&mut lock(&self.shared.key));
    }

    /// Changes who the key belongs to: `User`, `Role`, `UserSetting`, `Organisation`.
    pub fn set_me(&self, change: impl FnOnce(&mut Value)) {
        change(&mut lock(&self.shared.me));
    }

    /// Changes what it says of the key: the `AuthKey`.
    pub fn set_auth_key(&self, change: impl FnOnce(&mut Value)) {
        change(&mut lock(&self.shared.auth_key));
    }

    /// Takes in an event; the number is its id.
    pub fn add(&self, event: Value) -> u64 {
        self.with_store(|store| store.add(event))
    }

    /// Takes in many.
    pub fn add_all(&self, events: impl IntoIterator<Item = Value>) {
        self.with_store(|store| {
            for event in events {
                store.add(event);
            }
        });
    }

    /// Takes in [`crate::events::demo`].
    pub fn add_demo_events(&self) {
        self.add_all(crate::events::demo());
    }

    /// Looks at, or changes, what it holds.
    pub fn with_store<T>(&self, use_it: impl FnOnce(&mut Store) -> T) -> T {
        self.shared.with_store(use_it)
    }

    /// Changes how it behaves from now on.
    pub fn habits(&self, change: impl FnOnce(&mut Habits)) {
        change(&mut lock(&self.shared.habits));
    }

    /// The next search that has no fault yet meets this one.
    pub fn next(&self, fault: Fault) {
        lock(&self.shared.faults).push_back(fault);
    }

    /// From now on one request in `one_in`, of whatever kind, meets a fault by chance; none again
    /// with 0. Every one of them passes: the same request later gets its answer.
    pub fn weather(&self, seed: u64, one_in: u32) {
        *lock(&self.shared.weather) = (one_in > 0).then(|| Weather::new(seed, one_in));
    }

    /// Something happens right before the `nth` search from now (0: the next) is answered.
    pub fn before_search(&self, nth: usize, action: impl FnOnce(&mut Store) + Send + 'static) {
        let mut before = lock(&self.shared.before);
        while before.len() <= nth {
            before.push_back(None);
        }
        if let Some(place) = before.get_mut(nth) {
            *place = Some(Box::new(action));
        }
    }

    /// How many requests have come since the start.
    pub fn request_count(&self) -> usize {
        *self.shared.arrived.borrow()
    }

    /// Forgets what the requests were, not how many.
    pub fn forget_requests(&self) {
        lock(&self.shared.recorded).clear();
    }

    /// All requests so far, in the order they came.
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.recorded).clone()
    }

    /// The searches among them.
    pub fn searches(&self) -> Vec<Recorded> {
        let mut searches = self.requests();
        searches.retain(|request| request.path.ends_with("/restSearch"));
        searches
    }

    /// Waits until so many requests have come.
    pub async fn arrived(&self, requests: usize) {
        let mut arrived = self.shared.arrived.subscribe();
        // The sender lives as long as `self`.
        let _ = arrived.wait_for(|count| *count >= requests).await;
    }
}

impl Drop for FakeMisp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for FakeMisp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeMisp")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
