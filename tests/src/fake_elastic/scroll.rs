//! Walks through indices, a page an answer.

use serde_json::{Value, json};

use super::store::ElasticStore;

/// What is still to come of one walk.
#[derive(Debug)]
pub struct Scroll {
    hits: Vec<Value>,
    size: usize,
    total: usize,
}

impl ElasticStore {
    /// Begins a walk with its first page.
    pub(super) fn scroll(&mut self, target: &str, query: &Value) -> Value {
        let hits = self.behind(target).flat_map(|(name, index)| {
            index.entries.iter().filter_map(move |(id, entry)| {
                entry.source.as_ref()?;
                Some(json!({"_index": name, "_id": id, "_version": entry.version}))
            })
        });
        let hits: Vec<Value> = hits.collect();
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
    pub(super) fn scroll_on(&mut self, id: &str) -> Option<Value> {
        let scroll = self.scrolls.get_mut(id)?;
        let rest = scroll.hits.split_off(scroll.size.min(scroll.hits.len()));
        let page = std::mem::replace(&mut scroll.hits, rest);
        Some(json!({
            "_scroll_id": id, "timed_out": false, "_shards": {"total": 1, "failed": 0},
            "hits": {"total": {"value": scroll.total, "relation": "eq"}, "hits": page},
        }))
    }
}
