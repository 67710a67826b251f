//! events/restSearch and attributes/restSearch over the [`Store`], with MISP's own surprises.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::faults::Habits;
use super::filters::{
    after_paging, deletion, for_ids, has_attribute, matches_attribute, number, one_of, published,
    second, tagged, tagged_attribute, uuid, wants,
};
use super::store::{Store, attributes, list, map_mut, text};
use super::times::TimeFilter;

/// What a search found.
pub(super) struct Found {
    pub(super) items: Vec<Value>,
    /// `X-Result-Count`.
    pub(super) count: usize,
    /// `X-Skipped-Elements-Count`.
    pub(super) skipped: usize,
}

/// MISP's answer to a search it chokes on: 500.
pub(super) struct Broken;

type Request = Map<String, Value>;

/// `POST /events/restSearch`: the events of the page, each `{"Event": ..}`.
pub(super) fn events(store: &Store, request: &Request, habits: &Habits) -> Result<Found, Broken> {
    let now = store.now();
    let published_at = TimeFilter::read(
        request
            .get("publish_timestamp")
            .or_else(|| request.get("last")),
        now,
    );
    let edited_at = TimeFilter::read(
        request
            .get("timestamp")
            .or_else(|| request.get("event_timestamp")),
        now,
    );
    if published_at == TimeFilter::Broken || edited_at == TimeFilter::Broken {
        return Err(Broken);
    }
    let mut found: Vec<&Value> = store
        .events()
        .iter()
        .filter(|event| published_at.lets(second(event, "publish_timestamp")))
        .filter(|event| edited_at.lets(second(event, "timestamp")))
        .filter(|event| published(request.get("published"), event))
        .filter(|event| one_of(request.get("eventid"), &[text(event, "id"), uuid(event)]))
        .filter(|event| {
            request.get("uuid").is_none_or(|wanted| {
                wants(wanted, &uuid(event)) || attributes(event).any(|a| wants(wanted, &uuid(a)))
            })
        })
        .filter(|event| {
            one_of(
                request.get("threat_level_id"),
                &[text(event, "threat_level_id")],
            )
        })
        .filter(|event| {
            request
                .get("eventinfo")
                .is_none_or(|wanted| wants(wanted, &text(event, "info")))
        })
        .filter(|event| tagged(request, event))
        .filter(|event| has_attribute(request, event))
        .collect();
    let count = found.len();
    let page = page(request, habits);
    sort(&mut found, request, habits, page.number);
    let items = page
        .cut(found)
        .into_iter()
        .filter(|event| after_paging(request, event))
        .map(|event| whole(event, request, habits))
        .map(|event| Value::Object(Map::from_iter([("Event".to_owned(), event)])))
        .collect();
    // Attributes that are left out vanish inside their event, uncounted.
    Ok(Found {
        items,
        count,
        skipped: 0,
    })
}

/// `POST /attributes/restSearch`: the attributes of the page, each with its short `Event`.
pub(super) fn loose_attributes(
    store: &Store,
    request: &Request,
    habits: &Habits,
) -> Result<Found, Broken> {
    let changed_at = TimeFilter::read(request.get("timestamp"), store.now());
    let published_at = TimeFilter::read(request.get("publish_timestamp"), store.now());
    if changed_at == TimeFilter::Broken || published_at == TimeFilter::Broken {
        return Err(Broken);
    }
    let page = page(request, habits);
    let limit = page.limit;
    let mut found = Vec::new();
    for event in store.events() {
        // An empty list of ids is no filter at all.
        let ids = request
            .get("eventid")
            .filter(|ids| ids.as_array().is_none_or(|ids| !ids.is_empty()));
        if !one_of(ids, &[text(event, "id"), uuid(event)])
            || !published(request.get("published"), event)
            || !one_of(
                request.get("threat_level_id"),
                &[text(event, "threat_level_id")],
            )
            || !one_of(request.get("eventinfo"), &[text(event, "info")])
            || !published_at.lets(second(event, "publish_timestamp"))
        {
            continue;
        }
        for attribute in attributes(event) {
            if changed_at.lets(second(attribute, "timestamp"))
                && one_of(request.get("uuid"), &[uuid(attribute)])
                && matches_attribute(request, attribute)
                && tagged_attribute(request, attribute, event)
                && deletion(request.get("deleted"), attribute)
            {
                found.push(with_event(attribute, event, request));
            }
        }
    }
    let total = found.len();
    let mut items = page.cut(found);
    let count = match limit {
        // The rows read for this page, and one more if it came out full or empty.
        Some(limit) if items.len() == limit || items.is_empty() => items.len() + 1,
        Some(_) => items.len(),
        None => total,
    };
    items.retain(|attribute| !is_of_type(attribute, habits.allowlisted));
    let before = items.len();
    items.retain(|attribute| !is_of_type(attribute, habits.warninglisted));
    Ok(Found {
        skipped: before - items.len(),
        items,
        count,
    })
}

/// `limit` and `page`: without a positive limit there is one page, and `page` is ignored.
struct Page {
    limit: Option<usize>,
    number: usize,
}

fn page(request: &Request, habits: &Habits) -> Page {
    let asked = number(request.get("limit")).filter(|limit| *limit > 0);
    let limit = match (asked, habits.limit_cap) {
        (Some(asked), Some(cap)) => Some(asked.min(cap)),
        (asked, cap) => asked.or(cap),
    };
    Page {
        limit,
        number: number(request.get("page")).unwrap_or(1).max(1),
    }
}

impl Page {
    fn cut<T>(&self, items: Vec<T>) -> Vec<T> {
        match self.limit {
            None => items,
            Some(limit) => items
                .into_iter()
                .skip(limit.saturating_mul(self.number - 1))
                .take(limit)
                .collect(),
        }
    }
}

const ORDER_COLUMNS: [&str; 7] = [
    "id",
    "info",
    "analysis",
    "threat_level_id",
    "distribution",
    "timestamp",
    "publish_timestamp",
];

/// Sorts as asked. One unknown column and the whole `order` is ignored; ties without a column
/// that breaks them come in another order on every other page.
fn sort(events: &mut [&Value], request: &Request, habits: &Habits, page: usize) {
    let columns: Vec<String> = match request.get("order") {
        Some(Value::String(text)) => text.split(',').map(str::to_owned).collect(),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    let columns: Option<Vec<(&str, bool)>> = columns
        .iter()
        .map(|column| {
            let mut words = column.split_whitespace();
            let name = words.next()?.trim_start_matches("Event.");
            let descending = words
                .next()
                .is_some_and(|way| way.eq_ignore_ascii_case("desc"));
            ORDER_COLUMNS.contains(&name).then_some((name, descending))
        })
        .collect();
    let columns = columns.unwrap_or_default();
    if columns.is_empty() || habits.ignore_order {
        return;
    }
    if page.is_multiple_of(2) {
        events.reverse();
    }
    events.sort_by(|a, b| {
        columns
            .iter()
            .map(|(name, descending)| {
                let order = column_order(a, b, name);
                if *descending { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
}

fn column_order(a: &Value, b: &Value, name: &str) -> Ordering {
    let (a, b) = (text(a, name), text(b, name));
    match (a.parse::<i64>(), b.parse::<i64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(&b),
    }
}

/// The event as the flags ask for it.
fn whole(event: &Value, request: &Request, habits: &Habits) -> Value {
    let mut event = event.clone();
    let on = |name: &str| request.get(name).is_some_and(truthy);
    let Some(map) = map_mut(&mut event) else {
        return event;
    };
    if on("metadata") {
        for key in ["Attribute", "Object", "ShadowAttribute", "EventReport"] {
            map.remove(key);
        }
    }
    if on("excludeGalaxy") {
        map.remove("Galaxy");
    }
    if on("noEventReports") {
        map.insert("EventReport".to_owned(), Value::Array(Vec::new()));
    }
    if on("noShadowAttributes") {
        map.insert("ShadowAttribute".to_owned(), Value::Array(Vec::new()));
    }
    let keep = |attribute: &Value| {
        for_ids(request.get("to_ids"), attribute)
            && deletion(request.get("deleted"), attribute)
            && !is_of_type(attribute, habits.warninglisted)
            && !is_of_type(attribute, habits.allowlisted)
    };
    if let Some(Value::Array(own)) = map.get_mut("Attribute") {
        own.retain(keep);
    }
    if let Some(Value::Array(objects)) = map.get_mut("Object") {
        for object in objects.iter_mut() {
            if let Some(Value::Array(inside)) = object.get_mut("Attribute") {
                inside.retain(keep);
            }
        }
        // Objects with no visible attribute are left out.
        objects.retain(|object| !list(object, "Attribute").is_empty());
    }
    event
}

fn is_of_type(attribute: &Value, kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| text(attribute, "type") == kind)
}

fn with_event(attribute: &Value, event: &Value, request: &Request) -> Value {
    let on = |name: &str| request.get(name).is_some_and(truthy);
    let mut keys = vec![
        "id",
        "org_id",
        "orgc_id",
        "info",
        "distribution",
        "uuid",
        "publish_timestamp",
    ];
    if on("includeContext") {
        keys.extend([
            "date",
            "threat_level_id",
            "published",
            "analysis",
            "timestamp",
            "extends_uuid",
            "Tag",
            "Orgc",
        ]);
    }
    let short: Map<String, Value> = keys
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), event.get(key)?.clone())))
        .collect();
    let mut attribute = attribute.clone();
    if let Some(map) = map_mut(&mut attribute) {
        map.remove("Galaxy");
        map.remove("ShadowAttribute");
        map.insert("Event".to_owned(), Value::Object(short));
        if on("includeEventTags") {
            let mut tags = map
                .get("Tag")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            tags.extend(list(event, "Tag").iter().cloned().map(|mut tag| {
                if let Some(tag) = map_mut(&mut tag) {
                    tag.insert("inherited".to_owned(), 1.into());
                }
                tag
            }));
            map.insert("Tag".to_owned(), Value::Array(tags));
        }
    }
    attribute
}

fn truthy(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_i64() != Some(0),
        Value::String(text) => !text.is_empty() && text != "0",
        _ => false,
    }
}
