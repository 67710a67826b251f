//! The endpoints: what a request gets.

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, header};
use serde_json::{Value, json};

use super::faults::{ElasticFault, ElasticHabits, answer, refusal};
use super::store::{ElasticStore, matches, merge};
use super::{ELASTIC_KEY, ElasticRequest, Late, Shared, bulk, lock};
use crate::weather::turns;

const LARGEST_REQUEST: usize = 256 << 20;
const THIRTY_DAYS: Duration = Duration::from_secs(30 * 24 * 3_600);

pub(super) async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Some(body) = read(&parts.headers, body).await else {
        return refusal(400, "parse_exception", "the body cannot be read");
    };
    let path = parts.uri.path().to_owned();
    record(
        &shared,
        &parts.method,
        &path,
        parts.uri.query(),
        &parts.headers,
        &body,
    );
    let habits = lock(&shared.habits).clone();
    let bulk = path.ends_with("/_bulk");
    if let Some(status) = habits.echo.or(habits.echo_bulks.filter(|_| bulk)) {
        let reason = format!("what is {:?}?", parts.headers);
        return refusal(status, "made_up_exception", &reason);
    }
    if habits.refuse_key || !knows_key(&parts.headers) {
        // The real one does not repeat the key either, but others on the way might.
        let reason = format!("unable to authenticate with provided credentials {ELASTIC_KEY}");
        return refusal(401, "security_exception", &reason);
    }
    let forbidden = habits.forbid
        || (habits.write_only && !matches!(path.as_str(), "/_bulk" | "/_security/_authenticate"));
    if forbidden {
        return refusal(
            403,
            "security_exception",
            "action is unauthorized for API key",
        );
    }
    if bulk {
        return write(
            &shared,
            &habits,
            parts.uri.query().unwrap_or_default(),
            &body,
        )
        .await;
    }
    if let Some(instead) = shared.next_fault(None).instead() {
        return instead;
    }
    let mut store = lock(&shared.store);
    store.open_search = habits.open_search;
    let method = &parts.method;
    let answered = match scroll(&mut store, method, &path, &body) {
        Some(answered) => answered,
        None => match indices(&mut store, method, &path, &body) {
            Some(answered) => answered.map(|value| value.to_string()),
            None => route(&mut store, &habits, method, &path, &body).map(|value| value.to_string()),
        },
    };
    match answered {
        Ok(text) => answer(200, "application/json", text),
        Err((status, kind, reason)) => refusal(status, kind, &reason),
    }
}

async fn read(headers: &HeaderMap, body: Body) -> Option<Bytes> {
    let body = to_bytes(body, LARGEST_REQUEST).await.ok()?;
    let packed = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| value == "gzip");
    if !packed {
        return Some(body);
    }
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(body.as_ref())
        .take(LARGEST_REQUEST as u64)
        .read_to_end(&mut unpacked)
        .ok()?;
    Some(Bytes::from(unpacked))
}

fn record(
    shared: &Shared,
    method: &Method,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &Bytes,
) {
    let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    lock(&shared.recorded).push(ElasticRequest {
        method: method.to_string(),
        path: path.to_owned(),
        query: query.unwrap_or_default().to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: body.clone(),
    });
    shared.arrived.send_modify(|(requests, bulks)| {
        *requests += 1;
        *bulks += usize::from(path.ends_with("/_bulk"));
    });
    let requests = shared.arrived.borrow().0;
    shared.write_late(requests);
}

fn knows_key(headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("ApiKey "))
        .is_some_and(|key| key == ELASTIC_KEY)
}

async fn write(
    shared: &Shared,
    habits: &ElasticHabits,
    query: &str,
    body: &Bytes,
) -> Response<Body> {
    let mut read = bulk::operations(body);
    if query.contains("require_alias=true") {
        let operations = read.iter_mut().flatten();
        operations.for_each(|operation| operation.require_alias = true);
    }
    let fault = shared.next_fault(Some(read.as_ref().map_or(0, Vec::len)));
    let operations = match read {
        Ok(operations) => operations,
        Err(reason) => return refusal(400, "action_request_validation_exception", &reason),
    };
    let documents = operations
        .iter()
        .map(|operation| (operation.index.clone(), operation.id.clone()))
        .collect::<Vec<_>>();
    let _flight = Flight::take_off(shared, documents);
    let full = |most| lock(&shared.flights).now.len() > most;
    if habits.queue.is_some_and(full) {
        return refusal(429, "es_rejected_execution_exception", "the queue is full");
    }
    match &fault {
        ElasticFault::Hold(release) => release.notified().await,
        ElasticFault::Slow(count) => turns(*count).await,
        // Let the others arrive that come at the same time.
        _ => turns(1).await,
    }
    if let ElasticFault::Late(requests) = fault {
        let request = shared.arrived.borrow().0 + requests;
        lock(&shared.late).push(Late {
            request,
            operations: operations.clone(),
        });
    }
    if let Some(instead) = fault.instead() {
        return instead;
    }
    if body.len() > habits.max_bytes {
        return answer(413, "application/json", String::new());
    }
    let mut items = bulk::write(&mut lock(&shared.store), habits, &operations, &fault);
    let errors = items
        .iter()
        .any(|item| item.to_string().contains("\"error\""));
    fault.spoil_items(&mut items);
    let body = json!({"took": 1, "errors": errors, "items": items});
    let text = if habits.pretty {
        format!("{body:#}\n")
    } else {
        body.to_string()
    };
    fault.spoil_text(text)
}

/// A bulk under way, until it is dropped.
struct Flight<'s> {
    shared: &'s Shared,
    documents: Vec<(String, String)>,
}

impl<'s> Flight<'s> {
    fn take_off(shared: &'s Shared, documents: Vec<(String, String)>) -> Self {
        let mut flights = lock(&shared.flights);
        let overlaps: Vec<String> = documents
            .iter()
            .filter(|document| flights.now.iter().any(|other| other.contains(document)))
            .map(|(_, id)| id.clone())
            .collect();
        flights.overlaps.extend(overlaps);
        flights.now.push(documents.clone());
        flights.most = flights.most.max(flights.now.len());
        Self { shared, documents }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = lock(&self.shared.flights);
        let found = flights.now.iter().position(|now| *now == self.documents);
        if let Some(at) = found {
            flights.now.swap_remove(at);
        }
    }
}

type Refusal = (u16, &'static str, String);

fn route(
    store: &mut ElasticStore,
    habits: &ElasticHabits,
    method: &Method,
    path: &str,
    body: &Bytes,
) -> Result<Value, Refusal> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", [""]) => Ok(root(habits)),
        ("GET", ["_component_template", name]) => {
            let found = store.component_templates.get(*name);
            found
                .map(|template| {
                    let named = json!({"name": name, "component_template": template});
                    json!({ "component_templates": [named] })
                })
                .ok_or_else(|| missing(name))
        }
        ("GET", ["_index_template", name]) => {
            let found: Vec<Value> = store
                .index_templates
                .iter()
                .filter(|(held, _)| matches(name, held))
                .map(|(held, template)| json!({"name": held, "index_template": template}))
                .collect();
            if found.is_empty() && !name.contains('*') {
                return Err(missing(name));
            }
            Ok(json!({ "index_templates": found }))
        }
        ("GET", ["_security", "_authenticate"]) => Ok(json!({"username": "made-up"})),
        ("PUT", ["_component_template", name]) => {
            let template = parse(body)?;
            store
                .component_templates
                .insert((*name).to_owned(), template);
            Ok(json!({"acknowledged": true}))
        }
        ("PUT", ["_index_template", name]) => {
            let template = parse(body)?;
            put_index_template(store, habits, name, template)
        }
        ("POST", [target, "_refresh"]) if store.behind(target).next().is_some() => {
            Ok(json!({"_shards": {"failed": 0}}))
        }
        ("POST", [_, "_refresh"]) => Err((404, "index_not_found_exception", String::new())),
        ("POST", [target, "_count"]) => {
            let query = parse(body)?;
            let old = query
                .pointer("/query/range/@timestamp/lt")
                .and_then(Value::as_str)
                == Some("now-30d/d");
            let count = store
                .behind(target)
                .flat_map(|(_, index)| index.documents().into_values())
                .filter(|document| !old || is_old(document))
                .count();
            Ok(json!({ "count": count }))
        }
        _ => Err((
            400,
            "illegal_argument_exception",
            format!("no handler found for {path}"),
        )),
    }
}

/// The walks.
fn scroll(
    store: &mut ElasticStore,
    method: &Method,
    path: &str,
    body: &Bytes,
) -> Option<Result<String, Refusal>> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let asked = || parse(body);
    Some(match (method.as_str(), parts.as_slice()) {
        ("POST", ["_search", "scroll"]) => asked().and_then(|asked| {
            let id = asked.get("scroll_id").and_then(Value::as_str);
            let page = id.and_then(|id| store.scroll_on(id));
            page.ok_or((404, "search_context_missing_exception", String::new()))
        }),
        ("DELETE", ["_search", "scroll"]) => Ok(json!({"succeeded": true}).to_string()),
        ("POST", [target, "_search"]) => asked().map(|query| store.scroll(target, &query)),
        _ => return None,
    })
}

/// What is asked of indices, data streams and aliases.
fn indices(
    store: &mut ElasticStore,
    method: &Method,
    path: &str,
    body: &Bytes,
) -> Option<Result<Value, Refusal>> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let acknowledged = json!({"acknowledged": true});
    Some(match (method.as_str(), parts.as_slice()) {
        ("GET", ["_cluster", "state", "metadata", names]) => Ok(cluster_state(store, names)),
        ("GET", [name, "_mapping"]) => find(store, name).map(|found| {
            let fields = store.indices.get(&found).map(|index| &index.fields);
            json!({ *name: {"mappings": fields} })
        }),
        ("PUT", [name, "_mapping"]) => find(store, name).and_then(|found| {
            let put = parse(body)?;
            let Some(index) = store.indices.get_mut(&found) else {
                return Err(missing(name));
            };
            let mut fields = index.fields.clone();
            merge(&mut fields, &put)
                .map_err(|reason| (400, "illegal_argument_exception", reason))?;
            index.fields = fields;
            Ok(acknowledged)
        }),
        ("PUT", ["_data_stream", name]) | ("PUT", [name]) => {
            if store.resolved(name).is_some() {
                let reason = format!("index [{name}] already exists");
                return Some(Err((400, "resource_already_exists_exception", reason)));
            }
            let asked = parse(body).unwrap_or_default();
            let aliases = asked.get("aliases").and_then(Value::as_object);
            let aliases: Vec<&str> = aliases
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str())
                .collect();
            store.make(name, &aliases);
            Ok(acknowledged)
        }
        ("DELETE", ["_data_stream", name]) | ("DELETE", [name]) if !name.starts_with('_') => {
            let gone = store.indices.remove(*name);
            gone.map(|_| acknowledged).ok_or_else(|| missing(name))
        }
        ("POST", [name, "_rollover"]) if store.indices.contains_key(*name) => {
            // The documents stay; the fields are those of the template now.
            let entries = store.indices.remove(*name).map(|index| index.entries);
            store.make(name, &[]);
            if let (Some(index), Some(entries)) = (store.indices.get_mut(*name), entries) {
                index.entries = entries;
            }
            Ok(json!({"acknowledged": true, "rolled_over": true}))
        }
        ("POST", ["_aliases"]) => parse(body).and_then(|asked| {
            let actions = asked.get("actions").and_then(Value::as_array);
            for add in actions
                .into_iter()
                .flatten()
                .filter_map(|action| action.get("add"))
            {
                let text = |key| add.get(key).and_then(Value::as_str).unwrap_or_default();
                let index = store.indices.get_mut(text("index"));
                let index = index.ok_or_else(|| missing(text("index")))?;
                index.aliases.push(text("alias").to_owned());
            }
            Ok(acknowledged)
        }),
        _ => return None,
    })
}

fn find(store: &ElasticStore, name: &str) -> Result<String, Refusal> {
    store.resolved(name).ok_or_else(|| {
        let reason = format!("no such index [{name}]");
        (404, "index_not_found_exception", reason)
    })
}

/// Who it is, and what is behind names. A data stream is behind its name.
fn cluster_state(store: &ElasticStore, names: &str) -> Value {
    let mut found = serde_json::Map::new();
    for (index, held) in names.split(',').flat_map(|name| store.behind(name)) {
        let name = match held.data_stream {
            true => format!(".ds-{index}-000001"),
            false => index.clone(),
        };
        let settings = json!({"index": {"uuid": held.uuid}});
        found.insert(name, json!({"settings": settings, "aliases": held.aliases}));
    }
    let cluster = format!("cluster-{}", store.cluster);
    json!({"cluster_uuid": cluster, "metadata": {"indices": found}})
}

fn root(habits: &ElasticHabits) -> Value {
    let number = &habits.version;
    let (version, tagline) = if habits.open_search {
        let version = json!({"number": number, "distribution": "opensearch"});
        (version, "The OpenSearch Project: https://opensearch.org/")
    } else {
        let version = json!({"number": number, "build_flavor": "default"});
        (version, "You Know, for Search")
    };
    json!({"name": "n1", "cluster_name": "made-up", "version": version, "tagline": tagline})
}

fn put_index_template(
    store: &mut ElasticStore,
    habits: &ElasticHabits,
    name: &str,
    template: Value,
) -> Result<Value, Refusal> {
    let components = template
        .get("composed_of")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let absent = components
        .filter_map(Value::as_str)
        .find(|component| !store.component_templates.contains_key(*component));
    if let Some(absent) = absent {
        let reason = format!(
            "index template [{name}] specifies component templates [{absent}] that do not exist"
        );
        return Err((400, "invalid_index_template_exception", reason));
    }
    if habits.open_search && template.pointer("/template/lifecycle").is_some() {
        let reason = "[template] unknown field [lifecycle]".to_owned();
        return Err((400, "x_content_parse_exception", reason));
    }
    store.index_templates.insert(name.to_owned(), template);
    Ok(json!({"acknowledged": true}))
}

fn parse(body: &Bytes) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| (400, "parse_exception", error.to_string()))
}

fn missing(name: &str) -> Refusal {
    let reason = format!("template matching [{name}] not found");
    (404, "resource_not_found_exception", reason)
}

/// Is its `@timestamp`, UNIX milliseconds here, more than 30 days ago?
fn is_old(document: &Value) -> bool {
    let then = SystemTime::now().checked_sub(THIRTY_DAYS);
    let at = match document.get("@timestamp") {
        Some(Value::String(text)) => humantime::parse_rfc3339(text).ok(),
        Some(Value::Number(ms)) => ms.as_u64().map(|ms| UNIX_EPOCH + Duration::from_millis(ms)),
        _ => None,
    };
    at.zip(then).is_some_and(|(at, then)| at < then)
}
