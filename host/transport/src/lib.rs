//! How servers are reached: TLS, client certificates, proxy, time-outs; one way for all that ask
//! or send over HTTP.

mod error;
mod options;
mod reach;
mod renew;

pub use error::{TransportError, innermost, is_tls, tls_failure};
pub use options::{ProxyChoice, TlsOptions};
pub use reach::{Reach, builder};
pub use renew::{FileStamps, Renewed};
