//! A feed as the pipeline's [`Source`].

use async_trait::async_trait;
use pipeline::{Cursor, Listing, Page, ServerClock, Source, SourceError, now_ms};
use splitter::SplitLimits;
use std::time::Duration;

use crate::error::FeedError;
use crate::listing::FeedListing;
use crate::manifest;
use crate::named::named;
use crate::options::FeedOptions;
use crate::page::load;
use crate::place::{Listed, Place};
use crate::position::Position;
use crate::walk::{After, Walk};

/// What a look at a feed shows, for a check before the first read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedFacts {
    /// The address or folder.
    pub place: String,
    /// Events in its manifest.
    pub events: u64,
    /// Entries of the manifest that cannot be an event's.
    pub ignored: u64,
    /// The youngest timestamp, UNIX seconds.
    pub newest: Option<i64>,
}

/// Reads a feed again and again: each event once for each state of it that its manifest told of.
#[derive(Debug)]
pub struct FeedSource {
    place: Place,
    split: SplitLimits,
    lookback: Option<Duration>,
    /// What was handed out; `None` before the first read.
    position: Option<Position>,
    walk: Option<Walk>,
}

impl FeedSource {
    /// A source that continues at the cursor, or begins by `lookback` where there is none. Asks
    /// for nothing yet.
    ///
    /// # Errors
    /// When the address, a certificate or key file, or the cursor is not what it should be.
    pub fn new(options: &FeedOptions, cursor: Option<&Cursor>) -> Result<Self, FeedError> {
        Ok(Self {
            place: Place::new(options)?,
            split: options.split,
            lookback: options.lookback,
            position: cursor.map(Position::read).transpose()?,
            walk: None,
        })
    }

    /// Reads the manifest and says what is in it; moves nothing.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub async fn look(&self) -> Result<FeedFacts, FeedError> {
        let manifest = match self.place.manifest(None).await? {
            Some(listed) => listed.manifest,
            None => manifest::Manifest::default(),
        };
        let times = manifest.entries.values().map(|entry| entry.timestamp);
        Ok(FeedFacts {
            place: self.place.name(),
            events: manifest.entries.len() as u64,
            ignored: manifest.ignored as u64,
            newest: times.max(),
        })
    }

    async fn advance(&mut self) -> Result<Option<Page>, FeedError> {
        if self.walk.is_none() && !self.begin().await? {
            return Ok(None);
        }
        let (Some(walk), Some(position)) = (&mut self.walk, &mut self.position) else {
            return Ok(None);
        };
        while let Some(wanted) = walk.wanted() {
            match load(&self.place, wanted, self.split).await {
                Ok(file) => walk.read(file),
                Err(error) => match walk.failed(error) {
                    After::Next => {}
                    // What was read before it need not wait; it comes up again after that.
                    After::Stop(error) if walk.has_draft() => {
                        tracing::info!(%error, "the page ends before an event that did not come");
                        break;
                    }
                    After::Stop(error) => return Err(error),
                },
            }
        }
        let changed = walk.changed();
        let Some((draft, after, unread)) = walk.page(position) else {
            walk.end();
            self.walk = None;
            return Ok(None);
        };
        let cursor = after.write();
        let page = draft.page(self.split, Some(cursor), Some(changed)).await;
        match page {
            Ok(page) => {
                *position = after;
                Ok(Some(Page { unread, ..page }))
            }
            Err(error) => {
                // Its files are lost with it: the manifest says again which they are.
                position.validators = None;
                self.walk = None;
                Err(error)
            }
        }
    }

    /// Reads the manifest; is there anything in it that was not there before?
    async fn begin(&mut self) -> Result<bool, FeedError> {
        let since = self
            .position
            .as_ref()
            .and_then(|position| position.validators.as_ref());
        let Some(listed) = self.place.manifest(since).await? else {
            tracing::debug!("the manifest has not changed");
            return Ok(false);
        };
        let Listed {
            manifest,
            validators,
            date,
        } = listed;
        if manifest.ignored > 0 {
            tracing::warn!(
                entries = manifest.ignored,
                "the manifest names what cannot be an event; it is passed over"
            );
        }
        // A feed that is still empty has not been read yet.
        let first = self.position.is_none() && !manifest.entries.is_empty();
        let now = date.unwrap_or_else(|| now_ms() / 1_000);
        let from = self
            .lookback
            .filter(|_| first)
            .map(|back| now.saturating_sub(i64::try_from(back.as_secs()).unwrap_or(i64::MAX)));
        if manifest.entries.is_empty() && self.position.is_none() {
            tracing::info!("the feed holds no events yet");
            return Ok(false);
        }
        let position = self.position.get_or_insert_default();
        self.walk = Some(Walk::new(manifest, validators, position, from));
        Ok(true)
    }
}

#[async_trait]
impl Source for FeedSource {
    async fn next_page(&mut self) -> Result<Option<Page>, SourceError> {
        self.advance().await.map_err(SourceError::new)
    }

    async fn named_page(&mut self, events: &mut Vec<String>) -> Result<Option<Page>, SourceError> {
        named(&self.place, self.split, events)
            .await
            .map_err(SourceError::new)
    }

    fn restart(&mut self) {
        self.walk = None;
        if let Some(position) = &mut self.position {
            let left_out = &position.left_out;
            position.known.retain(|uuid, _| left_out.contains(uuid));
            position.validators = None;
        }
    }

    fn server_clock(&self) -> Option<ServerClock> {
        self.place.clock()
    }

    fn listing(&self) -> Option<Box<dyn Listing>> {
        let position = self.position.as_ref();
        let left_out = position.map(|position| position.left_out.clone());
        Some(Box::new(FeedListing::new(
            self.place.clone(),
            self.split,
            left_out.unwrap_or_default(),
        )))
    }
}
