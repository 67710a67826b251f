//! A feed on a web server of our own, and what a source hands out of a feed.
#![allow(dead_code, reason = "each suite uses its part")]

use futures_util::StreamExt as _;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Response};
use flate2::{Compression, write::GzEncoder};
use misp_client::ProxyChoice;
use misp_feed::{FeedOptions, FeedPlace, FeedSource};
use pipeline::{Cursor, Page, Source, SourceError, Whole};
use serde_json::{Map, Value, json};

/// The uuid of the event with this number.
pub(crate) fn uuid(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// The file of an event: one attribute, and its timestamp in `info`.
pub(crate) fn event(number: u32, timestamp: i64) -> String {
    json!({"Event": {
        "uuid": uuid(number), "timestamp": timestamp.to_string(), "info": timestamp.to_string(),
        "Attribute": [{"uuid": uuid(900_000 + number), "type": "ip-dst", "value": "192.0.2.1"}],
    }})
    .to_string()
}

/// The manifest of these events: number and timestamp.
pub(crate) fn manifest(events: &[(u32, i64)]) -> String {
    let entries: Map<String, Value> = events
        .iter()
        .map(|(number, timestamp)| {
            let described = json!({"timestamp": timestamp.to_string(), "info": "made up"});
            (uuid(*number), described)
        })
        .collect();
    Value::Object(entries).to_string()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What the server does with one path.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// The connection breaks after the body.
    pub(crate) breaks: bool,
    /// Nothing comes after the body, and the connection stays.
    pub(crate) stalls: bool,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            breaks: false,
            stalls: false,
        }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            ..Self::status(200)
        }
    }

    pub(crate) fn stalling(mut self) -> Self {
        self.stalls = true;
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

#[derive(Default)]
struct World {
    files: BTreeMap<String, Reply>,
    asked: Vec<(String, HeaderMap, u16)>,
}

/// Serves what it is told to, and remembers what it was asked.
#[derive(Clone)]
pub(crate) struct Server {
    world: Arc<Mutex<World>>,
    url: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World::default()));
        let router = Router::new().fallback(serve).with_state(Arc::clone(&world));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { world, url }
    }

    /// A server that has these events.
    pub(crate) async fn with(events: &[(u32, i64)]) -> Self {
        let server = Self::start().await;
        for (number, timestamp) in events {
            server.event(*number, *timestamp);
        }
        server.manifest(events);
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/feed", self.url)
    }

    pub(crate) fn put(&self, path: &str, reply: Reply) {
        self.world
            .lock()
            .unwrap()
            .files
            .insert(path.to_owned(), reply);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.world.lock().unwrap().files.remove(path);
    }

    pub(crate) fn manifest(&self, events: &[(u32, i64)]) {
        self.put("/feed/manifest.json", Reply::ok(manifest(events)));
    }

    pub(crate) fn event(&self, number: u32, timestamp: i64) {
        self.put(&path(number), Reply::ok(event(number, timestamp)));
    }

    /// What was asked since the last time: paths and the statuses of the answers.
    pub(crate) fn asked(&self) -> Vec<(String, u16)> {
        let asked = std::mem::take(&mut self.world.lock().unwrap().asked);
        asked
            .into_iter()
            .map(|(path, _, status)| (path, status))
            .collect()
    }

    /// The same with the headers that came.
    pub(crate) fn asked_with(&self) -> Vec<(String, HeaderMap)> {
        let asked = std::mem::take(&mut self.world.lock().unwrap().asked);
        asked
            .into_iter()
            .map(|(path, headers, _)| (path, headers))
            .collect()
    }

    pub(crate) fn options(&self) -> FeedOptions {
        FeedOptions {
            proxy: ProxyChoice::Direct,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(20),
            ..FeedOptions::new(FeedPlace::Url(self.url()))
        }
    }
}

/// The path of an event's file.
pub(crate) fn path(number: u32) -> String {
    format!("/feed/{}.json", uuid(number))
}

async fn serve(State(world): State<Arc<Mutex<World>>>, request: Request) -> Response<Body> {
    let mut world = world.lock().unwrap();
    let path = request.uri().path().to_owned();
    let mut reply = world
        .files
        .get(&path)
        .cloned()
        .unwrap_or(Reply::status(404));
    let asked_for = request.headers().get("if-none-match");
    let same = reply.headers.iter().any(|(name, value)| {
        *name == "etag" && asked_for.is_some_and(|asked| asked.as_bytes() == value.as_bytes())
    });
    if same {
        reply = Reply::status(304);
    }
    world
        .asked
        .push((path, request.headers().clone(), reply.status));
    let mut pieces: Vec<io::Result<Bytes>> = vec![Ok(reply.body.into())];
    if reply.breaks {
        pieces.push(Err(io::Error::other("cut")));
    }
    let pieces = futures_util::stream::iter(pieces);
    let mut response = Response::new(match reply.stalls {
        true => Body::from_stream(pieces.chain(futures_util::stream::pending())),
        false => Body::from_stream(pieces),
    });
    *response.status_mut() = reply.status.try_into().unwrap();
    for (name, value) in reply.headers {
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// A source and all it handed out.
pub(crate) struct Reading {
    pub(crate) source: FeedSource,
    options: FeedOptions,
    /// Of the last page that is done.
    pub(crate) cursor: Option<Cursor>,
    /// Of the last page.
    pub(crate) unread: Vec<String>,
}

impl Reading {
    pub(crate) fn new(options: FeedOptions) -> Self {
        Self {
            source: FeedSource::new(&options, None).unwrap(),
            options,
            cursor: None,
            unread: Vec::new(),
        }
    }

    /// A host that starts anew, with what was stored.
    pub(crate) fn restart(&mut self) {
        self.source = FeedSource::new(&self.options, self.cursor.as_ref()).unwrap();
    }

    /// The events of the next page, as (number, `info`); `None` at the end.
    pub(crate) async fn page(&mut self) -> Result<Option<Vec<(u32, i64)>>, SourceError> {
        let Some(page) = self.source.next_page().await? else {
            return Ok(None);
        };
        self.cursor = Some(page.cursor.clone().unwrap());
        assert_eq!(page.whole, Whole::Slices);
        self.unread = unread(&page);
        Ok(Some(events(page)))
    }

    /// The events of one poll.
    pub(crate) async fn poll(&mut self) -> Vec<(u32, i64)> {
        let mut came = Vec::new();
        while let Some(page) = self.page().await.unwrap() {
            came.extend(page);
        }
        came
    }
}

pub(crate) fn unread(page: &Page) -> Vec<String> {
    page.unread.iter().map(|event| event.uuid.clone()).collect()
}

pub(crate) fn events(page: Page) -> Vec<(u32, i64)> {
    let items = page.facts.items;
    let mut came = Vec::new();
    for record in page.records {
        let record = record.unwrap();
        assert!(record.last && record.attributes == 1);
        let value: Value = serde_json::from_slice(&record.json).unwrap();
        let number = record
            .head
            .uuid
            .rsplit('-')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        came.push((
            number,
            value["Event"]["info"].as_str().unwrap().parse().unwrap(),
        ));
    }
    assert_eq!(items, came.len() as u64);
    came
}
