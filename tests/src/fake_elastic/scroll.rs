//! Walks through indices, a page an answer.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::store::ElasticStore;

/// What is still to come of one walk.
#[derive(Debug)]
pub struct Scroll {
    hits: Vec<Hit>,
    size: usize,
    total: usize,
}

/// A document that was found. Its text is answered as it came, as the real one does.
#[derive(Debug, Serialize)]
struct Hit {
    _index: String,
    _id: String,
    _version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    _source: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Page<'a> {
    _scroll_id: &'a str,
    timed_out: bool,
    _shards: Value,
    hits: Hits,
}

#[derive(Serialize)]
struct Hits {
    total: Value,
    hits: Vec<Hit>,
}

impl ElasticStore {
    /// Begins a walk with its first page.
    pub(super) fn scroll(&mut self, target: &str, query: &Value) -> String {
        let with_source = query.get("_source") != Some(&Value::Bool(false));
        let hits = self.behind(target).flat_map(|(name, index)| {
            index.entries.iter().filter_map(move |(id, entry)| {
                let source = entry.answered()?;
                Some(Hit {
                    _index: name.clone(),
                    _id: id.clone(),
                    _version: entry.version,
                    _source: with_source.then_some(source),
                })
            })
        });
        let hits: Vec<Hit> = hits.collect();
        let size = query.get("size").and_then(Value::as_u64).unwrap_or(10);
        let id = format!("scroll-{}", self.scrolls.len());
        let scroll = Scroll {
            total: hits.len(),
            hits,
            size: usize::try_from(size).unwrap_or(usize::MAX),
        };
        self.scrolls.insert(id.clone(), scroll);
        self.scroll_on(&id).unwrap_or_default()
    }

    /// The next page; `None` if there is no such walk.
    pub(super) fn scroll_on(&mut self, id: &str) -> Option<String> {
        let scroll = self.scrolls.get_mut(id)?;
        let rest = scroll.hits.split_off(scroll.size.min(scroll.hits.len()));
        let page = Page {
            _scroll_id: id,
            timed_out: false,
            _shards: json!({"total": 1, "failed": 0}),
            hits: Hits {
                total: json!({"value": scroll.total, "relation": "eq"}),
                hits: std::mem::replace(&mut scroll.hits, rest),
            },
        };
        serde_json::to_string(&page).ok()
    }
}
