//! How many events are asked for by name in one answer.

use serde_json::{Value, json};
use splitter::{Records, SplitLimits};

use super::finder::WalkError;
use super::size::{PageSize, Smaller};
use crate::client::{Client, Endpoint};

/// A list of names is no `limit`: one is as good as many.
const SMALLEST: u32 = 1;

/// Fewer where a server caps its answers (`result_limit_count`), or where so many are too much
/// for it. A list that does not come whole is asked for again by fewer, never by page: events
/// that drop out between two pages would hide others.
#[derive(Debug)]
pub(super) struct AtOnce {
    size: PageSize,
    cap: Option<usize>,
    /// So many events of one answer were seen to come without a cap.
    uncapped: u64,
}

impl AtOnce {
    pub(super) fn new(wanted: u32) -> Self {
        Self {
            size: PageSize::down_to(wanted, SMALLEST),
            cap: None,
            uncapped: 1,
        }
    }

    pub(super) fn now(&self) -> usize {
        let size = self.size.now() as usize;
        self.cap.map_or(size, |cap| size.min(cap))
    }

    /// So many were too much, perhaps.
    pub(super) fn smaller_after(&mut self, error: &WalkError) -> Smaller {
        self.size.smaller_after(error, "events by name")
    }

    /// A list came whole.
    pub(super) fn succeeded(&mut self) {
        self.size.succeeded();
    }

    /// Did all come that match? `names`: what was asked for, under `key`; `came`: the events of
    /// the answer; `matched`: its `X-Result-Count`. If not, [`Self::now`] is smaller from now on.
    pub(super) async fn is_whole(
        &mut self,
        client: &Client,
        key: &str,
        names: &[Value],
        came: u64,
        matched: Option<u64>,
    ) -> Result<bool, WalkError> {
        let matched = matched.unwrap_or(0);
        if came >= matched || matched <= self.uncapped || names.len() <= 1 {
            return Ok(true);
        }
        // Fewer than match: either a filter of the user cut the page after it was counted, or the
        // server caps its answers.
        let (given, visible) = given(client, key, names).await?;
        if given >= visible {
            self.uncapped = self.uncapped.max(given);
            return Ok(true);
        }
        let cap = usize::try_from(given).unwrap_or(1).max(1);
        if cap >= names.len() {
            return Err(WalkError::Restless);
        }
        self.cap = Some(cap);
        tracing::info!(
            events = cap,
            "this MISP caps its answers: fewer events are asked for at once"
        );
        Ok(false)
    }
}

/// How many of these events the server gives in one answer, and how many there are. Without the
/// user's filters: some of them cut a page after it was counted.
pub(super) async fn given(
    client: &Client,
    key: &str,
    names: &[Value],
) -> Result<(u64, u64), WalkError> {
    let body = json!({
        "returnFormat": "json", "metadata": 1, "excludeGalaxy": 1, "published": [0, 1],
        key: names, "limit": limit(names.len()), "page": 1,
    });
    let answer = client.post_search(Endpoint::Events, &body).await?;
    let visible = answer.result_count.unwrap_or(0);
    let read = move || Records::from_answer(answer.body, SplitLimits::default());
    let records = tokio::task::spawn_blocking(read).await??;
    Ok((records.heads().len() as u64, visible))
}

/// The `limit` for so many names: more than can match, so that the page is never full.
pub(super) fn limit(names: usize) -> usize {
    names.saturating_add(2)
}
