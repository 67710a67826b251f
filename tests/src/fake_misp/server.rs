//! The endpoints: what a request gets.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, header};
use serde_json::{Map, Value, json};

use super::faults::{Fault, answer, error, gzip, insert, insert_named};
use super::store::{Store, list, text};
use super::wire::Wire;
use super::{Recorded, Shared, account, lock, search};
use crate::weather::turns;

const JSON: &str = "application/json; charset=UTF-8";
const KEY_REFUSED: &str = "Authentication failed. Please make sure you pass the API key of an API \
                           enabled user along in the Authorization header.";
const LARGEST_REQUEST: usize = 16 << 20;

pub(super) async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else {
        return error(400, "Bad Request", parts.uri.path());
    };
    let path = parts.uri.path().to_owned();
    shared.record(Recorded::new(&parts.method, &path, &parts.headers, &body));
    let search = path.ends_with("/restSearch");
    if search {
        shared.run_before_search();
    }
    if let Some(status) = shared.habits().echo {
        let message = format!("what is {:?}?", parts.headers);
        return dated(error(status, &message, &path), &shared);
    }
    let fault = shared.next_fault(search);
    match &fault {
        Fault::Hold(release) => release.notified().await,
        Fault::Slow(count) => turns(*count).await,
        _ => {}
    }
    if let Some(instead) = fault.instead(&path) {
        return dated(instead, &shared);
    }
    if !accepts_json(&parts.headers) && !search {
        return dated(
            Fault::Maintenance.instead(&path).unwrap_or_default(),
            &shared,
        );
    }
    if !shared.knows_key(&parts.headers) {
        return dated(error(403, KEY_REFUSED, &path), &shared);
    }
    if shared.habits().refuses == Some(path.as_str()) {
        return dated(error(403, "You do not have permission.", &path), &shared);
    }
    let right = route(&shared, &parts.method, &path, &parts.headers, &body);
    finish(right, &fault, &parts.headers, &shared).await
}

fn route(
    shared: &Shared,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response<Body> {
    let post = method == Method::POST || method == Method::PUT;
    match path {
        "/events/restSearch" | "/attributes/restSearch" => {
            if !post {
                return error(
                    400,
                    "Restsearch queries using GET and no parameters are not allowed. If you have \
                     passed parameters via a JSON body, make sure you use POST requests.",
                    path,
                );
            }
            match parameters(headers, body) {
                Some(parameters) => search(shared, path, &parameters),
                None => error(
                    405,
                    "Invalid JSON input. Make sure that the JSON input is a correctly formatted \
                     JSON string. This request has been blocked to avoid an unfiltered request.",
                    path,
                ),
            }
        }
        "/servers/getVersion" | "/servers/getVersion.json" => pretty(&json!({
            "version": "2.5.1", "pymisp_recommended_version": "2.5.1", "perm_sync": false,
            "perm_sighting": false, "perm_galaxy_editor": false, "perm_analyst_data": false,
            "uuid": "-", "request_encoding": ["gzip"], "filter_sightings": true,
        })),
        "/users/view/me" | "/users/view/me.json" => pretty(&lock(&shared.me)),
        "/auth_keys/index" => pretty(&account::auth_keys(
            &lock(&shared.key),
            &lock(&shared.auth_key),
        )),
        "/events/index/minimal:1" => match parameters(headers, body) {
            Some(parameters) => shared.with_store(|store| index(store, &parameters)),
            None => error(405, "Invalid JSON input.", path),
        },
        "/tags/search" => match parameters(headers, body) {
            Some(parameters) => pretty(&shared.with_store(|store| tags(store, &parameters))),
            None => error(405, "Invalid JSON input.", path),
        },
        _ => error(404, "Not Found", path),
    }
}

/// The body as MISP reads it: not at all unless it says that it is JSON. Empty is no
/// parameters at all. `None`: not JSON.
fn parameters(headers: &HeaderMap, body: &Bytes) -> Option<Map<String, Value>> {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/json"));
    if !is_json || body.is_empty() {
        return Some(Map::new());
    }
    let mut parameters = match serde_json::from_slice(body).ok()? {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    if let Some(Value::Object(inner)) = parameters.remove("request") {
        parameters = inner;
    }
    parameters.retain(|_, value| !value.is_null());
    Some(parameters)
}

fn search(shared: &Shared, path: &str, parameters: &Map<String, Value>) -> Response<Body> {
    let format = parameters
        .get("returnFormat")
        .and_then(Value::as_str)
        .unwrap_or("json");
    let of_events = path.starts_with("/events");
    if !of_events && format == "count" {
        return shared.with_store(|store| count(store));
    }
    if format != "json" && format != "csv" {
        return error(404, "Invalid output format.", path);
    }
    let habits = shared.habits();
    let found = shared.with_store(|store| {
        if of_events {
            search::events(store, parameters, &habits)
        } else {
            search::loose_attributes(store, parameters, &habits)
        }
    });
    let found = match found {
        Ok(found)
            if habits
                .memory_exceeded_above
                .is_none_or(|most| found.items.len() <= most)
                && !is_unservable(&found, parameters, &habits) =>
        {
            found
        }
        _ => return error(500, "An Internal Error Has Occurred.", path),
    };
    if format == "csv" {
        return csv(&found, parameters);
    }
    let wire = |value: &Value| {
        Wire {
            value,
            numbers: habits.number_ids,
        }
        .text()
    };
    let items = Value::Array(found.items);
    let body = if of_events {
        format!("{{\"response\": {}}}\n", wire(&items))
    } else {
        format!("{{\"response\": {{\"Attribute\": {}}}}}\n", wire(&items))
    };
    let mut response = answer(200, JSON, &body);
    insert_named(&mut response, "x-export-module-used", "json");
    insert_named(&mut response, "x-response-format", "json");
    if !habits.omit_headers {
        insert_named(&mut response, "x-result-count", &found.count.to_string());
        let skipped = found.skipped.to_string();
        insert_named(&mut response, "x-skipped-elements-count", &skipped);
    }
    if of_events {
        insert(
            &mut response,
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"misp.event.list.json\"",
        );
    }
    response
}

/// Is an event among them that PHP has not enough memory for?
fn is_unservable(
    found: &search::Found,
    parameters: &Map<String, Value>,
    habits: &super::Habits,
) -> bool {
    let Some(marked) = habits.unservable else {
        return false;
    };
    let whole = parameters.get("metadata").is_none_or(|value| value != 1);
    let mut infos = found.items.iter().filter_map(|item| item.get("Event"));
    whole && infos.any(|event| text(event, "info").contains(marked))
}

/// `returnFormat: csv`: a line for each attribute, a header before them, and an empty
/// line at the end. The timestamp's column is headed `date`.
fn csv(found: &search::Found, parameters: &Map<String, Value>) -> Response<Body> {
    let columns: Vec<&str> = match parameters.get("requested_attributes") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["uuid"],
    };
    let heads: Vec<&str> = columns
        .iter()
        .map(|name| if *name == "timestamp" { "date" } else { name })
        .collect();
    let mut body = heads.join(",") + "\n";
    for item in &found.items {
        let none = Value::Null;
        let event = item.get("Event").unwrap_or(&none);
        // A loose attribute has its event inside.
        let loose = item.get("value").map(|_| item);
        let inside = super::store::attributes(event).filter(|_| loose.is_none());
        for attribute in inside.chain(loose) {
            let cells: Vec<String> = columns
                .iter()
                .map(|name| match *name {
                    "uuid" => format!("\"{}\"", text(attribute, "uuid")),
                    "event_id" => text(event, "id"),
                    name => text(attribute, name),
                })
                .collect();
            body.push_str(&cells.join(","));
            body.push('\n');
        }
    }
    body.push('\n');
    let mut response = answer(200, "text/csv; charset=UTF-8", &body);
    insert_named(&mut response, "x-result-count", &found.count.to_string());
    let skipped = found.skipped.to_string();
    insert_named(&mut response, "x-skipped-elements-count", &skipped);
    response
}

/// `returnFormat: count` on attributes: how many live ones there are, as text.
fn count(store: &Store) -> Response<Body> {
    let all = store.events().iter().flat_map(super::store::attributes);
    let live = all.filter(|one| one.get("deleted").and_then(Value::as_bool) != Some(true));
    let count = live.count().to_string();
    let mut response = answer(200, "text/plain; charset=UTF-8", &count);
    insert_named(&mut response, "x-result-count", &count);
    insert_named(&mut response, "x-skipped-elements-count", "0");
    response
}

/// `POST /events/index/minimal:1`: a bare array, published or not.
fn index(store: &Store, parameters: &Map<String, Value>) -> Response<Body> {
    let mut asked = parameters.clone();
    asked.remove("order");
    // 2 means both here.
    if asked.get("published").and_then(Value::as_i64) == Some(2) {
        asked.remove("published");
    }
    let Ok(found) = search::events(store, &asked, &super::Habits::default()) else {
        return error(
            500,
            "An Internal Error Has Occurred.",
            "/events/index/minimal:1",
        );
    };
    let items: Vec<Value> = found
        .items
        .iter()
        .filter_map(|item| item.get("Event"))
        .map(|event| {
            json!({
                "id": text(event, "id"), "timestamp": text(event, "timestamp"),
                "sighting_timestamp": "0", "published": event.get("published"),
                "uuid": text(event, "uuid"),
                "orgc_uuid": event.get("Orgc").map(|orgc| text(orgc, "uuid")),
            })
        })
        .collect();
    let mut response = pretty(&Value::Array(items));
    insert_named(&mut response, "x-result-count", &found.count.to_string());
    response
}

/// `POST /tags/search`: the tags of these exact names, letter case ignored.
fn tags(store: &Store, parameters: &Map<String, Value>) -> Value {
    let wanted: Vec<String> = match parameters.get("tag") {
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_lowercase)
            .collect(),
        Some(Value::String(name)) => vec![name.to_lowercase()],
        _ => Vec::new(),
    };
    let mut found: Vec<Value> = Vec::new();
    for event in store.events() {
        let of_attributes = super::store::attributes(event).flat_map(|a| list(a, "Tag"));
        for tag in list(event, "Tag").iter().chain(of_attributes) {
            let known = found.iter().any(|one| one.get("Tag") == Some(tag));
            if !known && wanted.contains(&text(tag, "name").to_lowercase()) {
                found.push(json!({ "Tag": tag }));
            }
        }
    }
    Value::Array(found)
}

/// Small answers are pretty-printed.
fn pretty(value: &Value) -> Response<Body> {
    answer(200, JSON, &format!("{value:#}"))
}

fn accepts_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("application/json"))
}

async fn finish(
    right: Response<Body>,
    fault: &Fault,
    request: &HeaderMap,
    shared: &Shared,
) -> Response<Body> {
    let (parts, body) = right.into_parts();
    let mut body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let accepts_gzip = request
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"));
    let compress = shared.habits().gzip && accepts_gzip;
    if compress {
        body = gzip(&body);
    }
    let mut response = fault.spoil(Response::from_parts(parts, Body::empty()), body);
    if compress {
        insert(&mut response, header::CONTENT_ENCODING, "gzip");
    }
    dated(response, shared)
}

/// `Date` is the store's clock, whose second the search has just seen.
fn dated(mut response: Response<Body>, shared: &Shared) -> Response<Body> {
    let date = if shared.habits().omit_headers {
        // The HTTP library would add its own `Date` if there were none.
        "no date".to_owned()
    } else {
        shared.with_store(|store| http_date(store.now()))
    };
    insert(&mut response, header::DATE, &date);
    response
}

pub(super) fn http_date(seconds: i64) -> String {
    let since = std::time::Duration::from_secs(seconds.try_into().unwrap_or(0));
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since)
}
