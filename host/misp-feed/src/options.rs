//! What a [`crate::FeedSource`] needs to know.

use std::path::PathBuf;
use std::time::Duration;

use misp_client::PaceLimits;
use splitter::SplitLimits;
use transport::{ProxyChoice, TlsOptions};

use crate::headers::Headers;

/// Where a feed is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedPlace {
    /// The address of the folder that holds `manifest.json`, `http` or `https`; the name of the
    /// manifest itself may follow. No user name, password or query in it: see
    /// [`FeedOptions::headers`].
    Url(String),
    /// A folder of this machine.
    Folder(PathBuf),
}

/// As in a configuration: what begins with `http://` or `https://` is an address, all else a folder.
impl From<&str> for FeedPlace {
    fn from(given: &str) -> Self {
        let lower = given.trim_start().to_ascii_lowercase();
        if lower.starts_with("http://") || lower.starts_with("https://") {
            Self::Url(given.trim().to_owned())
        } else {
            Self::Folder(PathBuf::from(given))
        }
    }
}

/// The most bytes a file of a feed has by default.
pub const FEED_FILE: u64 = 256 << 20;

/// How a feed is read.
#[derive(Debug, Clone)]
pub struct FeedOptions {
    /// Where it is.
    pub place: FeedPlace,
    /// Headers for its server, never sent to another origin. Default: none.
    pub headers: Headers,
    /// How long a connection may take to come about, TLS included. Default 10 s.
    pub connect_timeout: Duration,
    /// How long nothing may come. Files are served as they lie there. Default 60 s.
    pub read_timeout: Duration,
    /// How slowly a file may come once it has begun.
    pub pace: PaceLimits,
    /// By which way. Default: as the environment says.
    pub proxy: ProxyChoice,
    /// Whom to trust, and who we are.
    pub tls: TlsOptions,
    /// The header `User-Agent`. Default `misp-ecs/VERSION`.
    pub user_agent: String,
    /// The most bytes a file may have, on the wire and unpacked. Default 256 MiB.
    /// The manifest is kept in memory and may have 64 MiB at most: some 150,000 events.
    pub max_answer: u64,
    /// A larger file goes to a temporary file here. Default: the system's place.
    pub temporary: Option<PathBuf>,
    /// The first read leaves out events whose timestamp in the manifest is older than this time
    /// before now, by the server's clock if it says; of no effect once there is a cursor.
    /// Default: none, everything.
    pub lookback: Option<Duration>,
    /// How events are cut into records.
    pub split: SplitLimits,
}

impl FeedOptions {
    /// The defaults.
    pub fn new(place: FeedPlace) -> Self {
        Self {
            place,
            headers: Headers::default(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
            pace: PaceLimits::default(),
            proxy: ProxyChoice::default(),
            tls: TlsOptions::default(),
            user_agent: concat!("misp-ecs/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_answer: FEED_FILE,
            temporary: None,
            lookback: None,
            split: SplitLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_folder() {
        let url = |text: &str| FeedPlace::Url(text.to_owned());
        let folder = |text: &str| FeedPlace::Folder(text.into());
        assert_eq!(
            FeedPlace::from(" HTTPS://a.example/"),
            url("HTTPS://a.example/")
        );
        assert_eq!(FeedPlace::from("http://a.example"), url("http://a.example"));
        assert_eq!(FeedPlace::from("/srv/feed"), folder("/srv/feed"));
        assert_eq!(FeedPlace::from("httpd"), folder("httpd"));
    }
}
