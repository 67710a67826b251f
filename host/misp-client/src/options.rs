//! What a [`crate::Client`] needs to know.

use std::path::PathBuf;
use std::time::Duration;

use splitter::SpoolLimits;
use transport::{ProxyChoice, TlsOptions};

use crate::key::ApiKey;
use crate::pace::PaceLimits;

/// How a MISP is reached.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The address of the MISP, `http` or `https`, with the path it is installed under if it
    /// is not the root. No user name or password in it.
    pub url: String,
    /// The key, sent in the header `Authorization`. One that says which file it is kept in is
    /// read again when MISP refuses it.
    pub api_key: ApiKey,
    /// How long a connection may take to come about, TLS included. Default 10 s.
    pub connect_timeout: Duration,
    /// How long nothing may come. MISP sends the first byte when the whole page is built, so
    /// this is the time a page may take. Default 300 s, PHP's usual limit in MISP.
    pub read_timeout: Duration,
    /// How slowly an answer may come once it has begun.
    pub pace: PaceLimits,
    /// By which way. Default: as the environment says.
    pub proxy: ProxyChoice,
    /// Whom to trust, and who we are.
    pub tls: TlsOptions,
    /// The header `User-Agent`. Default `misp-ecs/VERSION`.
    pub user_agent: String,
    /// Ask for compressed answers. Default on; MISP's web server decides.
    pub gzip: bool,
    /// A file to which every request and what came of it is appended, the key redacted, one JSON
    /// object a line. Default: none.
    pub trace_file: Option<PathBuf>,
    /// Where an answer is kept, and the most it may be once unpacked. Default: the spool's.
    pub spool: SpoolLimits,
    /// The most bytes an answer may have as it comes over the wire. Default 1 GiB.
    pub max_compressed: u64,
}

impl ClientOptions {
    /// The defaults.
    pub fn new(url: impl Into<String>, api_key: ApiKey) -> Self {
        Self {
            url: url.into(),
            api_key,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(300),
            pace: PaceLimits::default(),
            proxy: ProxyChoice::default(),
            tls: TlsOptions::default(),
            user_agent: concat!("misp-ecs/", env!("CARGO_PKG_VERSION")).to_owned(),
            gzip: true,
            trace_file: None,
            spool: SpoolLimits::default(),
            max_compressed: 1 << 30,
        }
    }
}
