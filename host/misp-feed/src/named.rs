//! Events that are asked for by name, whatever the place of the walk.

use pipeline::{Page, UnreadEvent};
use splitter::SplitLimits;
use uuid::Uuid;

use crate::error::{Blame, FeedError};
use crate::manifest::{self, Manifest};
use crate::page::{Draft, Loaded, Wanted, load};
use crate::place::Place;

/// The next page of these events; takes out of the list what was read and what is gone.
pub(crate) async fn named(
    place: &Place,
    split: SplitLimits,
    events: &mut Vec<String>,
) -> Result<Option<Page>, FeedError> {
    let mut search = Search {
        place,
        split,
        manifest: None,
    };
    let mut draft = Draft::default();
    let (mut failed, mut unread) = (Vec::new(), Vec::new());
    let mut first_error = None;
    let mut handled = 0;
    for name in events.iter() {
        if draft.is_full() {
            break;
        }
        match search.event(name).await {
            Ok(Some(file)) => {
                // What does not fit comes first the next time.
                if draft.push(file).is_err() {
                    break;
                }
            }
            Ok(None) => tracing::info!(event = name, "the feed holds no such event"),
            Err(error) if error.blame() == Blame::Feed => {
                first_error = Some(error);
                break;
            }
            Err(error) if error.blame() == Blame::Event => unread.push(UnreadEvent {
                uuid: name.clone(),
                error: error.to_string(),
            }),
            Err(error) => {
                failed.push(name.clone());
                first_error.get_or_insert(error);
            }
        }
        handled += 1;
    }
    let page = match (draft.is_empty() && unread.is_empty(), first_error) {
        (true, Some(error)) => return Err(error),
        (true, None) => None,
        (false, error) => {
            if let Some(error) = error {
                tracing::info!(%error, "an event that was asked for is tried again");
            }
            let page = draft.page(split, None, None).await?;
            Some(Page { unread, ..page })
        }
    };
    // What failed keeps none of the others waiting.
    events.drain(..handled);
    events.append(&mut failed);
    Ok(page)
}

struct Search<'a> {
    place: &'a Place,
    split: SplitLimits,
    /// Asked for once.
    manifest: Option<Manifest>,
}

impl Search<'_> {
    /// The event's file; `None` if there is no such event. To say so is grave, since it may be
    /// withdrawn then: no file is not enough, the manifest must be there and not name it.
    async fn event(&mut self, name: &str) -> Result<Option<Loaded>, FeedError> {
        let Some(uuid) = manifest::uuid(name) else {
            return Ok(None);
        };
        let listed = self.manifest().await?.entries.get(&uuid).cloned();
        let wanted = match &listed {
            Some(entry) => Wanted::of(uuid, entry),
            None => Wanted {
                file: manifest::file(name),
                uuid: Some(uuid),
                sha256: None,
            },
        };
        match load(self.place, wanted, self.split).await {
            Err(FeedError::Gone { .. }) if listed.is_none() => self.elsewhere(uuid).await,
            came => came.map(Some),
        }
    }

    async fn manifest(&mut self) -> Result<&Manifest, FeedError> {
        let manifest = match self.manifest.take() {
            Some(manifest) => manifest,
            None => match self.place.manifest(None).await? {
                Some(listed) => listed.manifest,
                None => Manifest::default(),
            },
        };
        Ok(self.manifest.insert(manifest))
    }

    /// In a folder without a manifest a file may have any name.
    async fn elsewhere(&self, event: Uuid) -> Result<Option<Loaded>, FeedError> {
        let entries = self.manifest.iter().flat_map(|all| &all.entries);
        let mut unread = None;
        for (uuid, entry) in entries.filter(|(_, entry)| !entry.named) {
            match load(self.place, Wanted::of(*uuid, entry), self.split).await {
                Ok(file) if file.holds(event) => return Ok(Some(file)),
                Ok(_) => {}
                Err(error) if error.blame() == Blame::Feed => return Err(error),
                // It may be in there, in a half that is not written yet.
                Err(error) => unread = Some(error),
            }
        }
        match unread {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }
}
