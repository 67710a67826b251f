//! What an index holds: ids and versions, by scrolling.

use async_trait::async_trait;
use pipeline::{Inventory, OutputError, StoredDocument};
use reqwest::Method;
use serde_json::{Value, json};

use super::error::ElasticError;
use super::output::Core;

/// Documents in one answer; about 150 bytes each.
const PAGE: u64 = 5_000;
/// How long the server keeps the place between two questions.
const KEEP: &str = "5m";

/// One walk through the indices of an output with the mode `latest`. The scroll is the server's
/// own: Elasticsearch 8 and 9 and OpenSearch 2 and 3 have it alike, unlike points in time.
pub(super) struct Scroll<'o> {
    core: &'o Core,
    at: At,
    /// How many there are, and how many have come.
    total: u64,
    came: u64,
}

enum At {
    Start,
    Place(String),
    End,
}

impl<'o> Scroll<'o> {
    pub(super) fn new(core: &'o Core) -> Self {
        Self {
            core,
            at: At::Start,
            total: 0,
            came: 0,
        }
    }

    async fn page(&mut self) -> Result<Option<Vec<StoredDocument>>, ElasticError> {
        let searched = &self.core.names.searched;
        let client = &self.core.client;
        let (path, body) = match &self.at {
            At::End => return Ok(None),
            At::Start => {
                let refresh = format!("{searched}/_refresh?ignore_unavailable=true");
                match client.json(Method::POST, &refresh, None).await {
                    // What came in the last second may then be missed.
                    Err(ElasticError::Forbidden { .. }) => {
                        tracing::warn!("the credentials may not refresh the index");
                    }
                    refreshed => drop(refreshed?),
                }
                let body = json!({"size": PAGE, "_source": false, "version": true,
                    "track_total_hits": true, "sort": ["_doc"], "query": {"match_all": {}}});
                let path = format!("{searched}/_search?scroll={KEEP}&ignore_unavailable=true");
                (path, body)
            }
            At::Place(id) => (
                "_search/scroll".to_owned(),
                json!({"scroll": KEEP, "scroll_id": id}),
            ),
        };
        let Some(answer) = client.json(Method::POST, &path, Some(&body)).await? else {
            // There is no index yet; a place that is gone is an error.
            if matches!(self.at, At::Start) {
                self.at = At::End;
                return Ok(None);
            }
            return Err(unreadable(
                "the server has forgotten the place in the listing",
            ));
        };
        let failed = answer.pointer("/_shards/failed").and_then(Value::as_u64);
        let late = answer.get("timed_out").and_then(Value::as_bool);
        if failed.unwrap_or(0) > 0 || late == Some(true) {
            return Err(unreadable("some shards did not answer"));
        }
        if matches!(self.at, At::Start) {
            let total = answer.pointer("/hits/total/value").and_then(Value::as_u64);
            self.total = total.ok_or_else(|| unreadable("there is no total in it"))?;
        }
        let hits = answer.pointer("/hits/hits").and_then(Value::as_array);
        let hits = hits.ok_or_else(|| unreadable("there are no hits in it"))?;
        let place = answer.get("_scroll_id").and_then(Value::as_str);
        if hits.is_empty() {
            self.end(place).await;
            if self.came != self.total {
                return Err(unreadable(&format!(
                    "{} documents came of {}",
                    self.came, self.total
                )));
            }
            return Ok(None);
        }
        let place = place.ok_or_else(|| unreadable("there is no place to go on at in it"))?;
        self.at = At::Place(place.to_owned());
        self.came += hits.len() as u64;
        let read = hits.iter().map(|hit| self.stored(hit));
        read.collect::<Option<Vec<_>>>()
            .map(Some)
            .ok_or_else(|| unreadable("a hit has no id or no version"))
    }

    fn stored(&self, hit: &Value) -> Option<StoredDocument> {
        let index = hit.get("_index")?.as_str()?;
        let mapping = index.strip_prefix(&self.core.names.searched);
        let mapping = mapping.and_then(|rest| rest.strip_prefix('-'));
        Some(StoredDocument {
            id: hit.get("_id")?.as_str()?.to_owned(),
            version: hit.get("_version")?.as_u64()?,
            mapping: mapping.map(str::to_owned),
        })
    }

    /// The place would be kept for some minutes; nothing depends on it.
    async fn end(&mut self, place: Option<&str>) {
        self.at = At::End;
        let body = json!({ "scroll_id": place });
        let freed = self
            .core
            .client
            .json(Method::DELETE, "_search/scroll", Some(&body));
        if let Err(error) = freed.await {
            tracing::debug!(%error, "the place in the listing was not freed");
        }
    }
}

fn unreadable(reason: &str) -> ElasticError {
    ElasticError::Unreadable {
        reason: reason.to_owned(),
    }
}

#[async_trait]
impl Inventory for Scroll<'_> {
    async fn documents(&mut self) -> Result<Option<Vec<StoredDocument>>, OutputError> {
        self.page().await.map_err(OutputError::new)
    }
}
