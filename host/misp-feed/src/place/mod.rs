//! Where a feed is: what can be read there.

mod folder;
mod http;

use pipeline::ServerClock;
use splitter::{Body, SpoolLimits};

use crate::error::FeedError;
use crate::manifest::Manifest;
use crate::options::{FeedOptions, FeedPlace};
use crate::position::Validators;

use folder::Folder;
use http::Http;

/// Redirects that are followed for one file.
pub(crate) const REDIRECTS: usize = 3;
const MANIFEST: &str = "manifest.json";

/// A manifest, and what its server says of it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) manifest: Manifest,
    pub(crate) validators: Option<Validators>,
    /// The server's clock, UNIX seconds.
    pub(crate) date: Option<i64>,
}

#[derive(Debug, Clone)]
pub(crate) enum Place {
    Http(Http),
    Folder(Folder),
}

impl Place {
    pub(crate) fn new(options: &FeedOptions) -> Result<Self, FeedError> {
        Ok(match &options.place {
            FeedPlace::Url(url) => Self::Http(Http::new(url, options)?),
            FeedPlace::Folder(path) => Self::Folder(Folder::new(path, options)),
        })
    }

    /// As it is shown.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Http(http) => http.name().to_owned(),
            Self::Folder(folder) => folder.name(),
        }
    }

    /// The server's clock, as its last answer showed it; a folder has none.
    pub(crate) fn clock(&self) -> Option<ServerClock> {
        match self {
            Self::Http(http) => Some(http.clock()),
            Self::Folder(_) => None,
        }
    }

    /// The manifest, unless it is still the one that `since` describes.
    pub(crate) async fn manifest(
        &self,
        since: Option<&Validators>,
    ) -> Result<Option<Listed>, FeedError> {
        match self {
            Self::Http(http) => http.manifest(since).await,
            Self::Folder(folder) => folder.manifest().await.map(Some),
        }
    }

    /// The file of an event; `file` is a name out of [`Manifest::entries`] or made of a uuid.
    pub(crate) async fn event(&self, file: &str) -> Result<Body, FeedError> {
        match self {
            Self::Http(http) => http.event(file).await,
            Self::Folder(folder) => folder.event(file).await,
        }
    }
}

fn spool(options: &FeedOptions) -> SpoolLimits {
    SpoolLimits {
        total: options.max_answer,
        directory: options.temporary.clone(),
        ..SpoolLimits::default()
    }
}
