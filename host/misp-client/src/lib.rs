//! Client and walks of MISP's REST API: the Source.
//!
//! [`Client`] makes one request and says what came of it; [`EventsWalk`] asks page after page
//! and forgets none; [`Filters`] is what the user wants found.

mod body;
mod check;
mod client;
mod error;
mod filters;
pub mod headers;
mod key;
mod options;
mod refusal;
mod tls;
mod trace;
mod walk;

pub use body::{Intake, Keep, Memory, spooled};
pub use check::{KeyFacts, Me, Version};
pub use client::{Answer, Client, Endpoint};
pub use error::{ClientError, OptionsError};
pub use filters::{FilterWarning, Filters, unknown_filters};
pub use key::{ApiKey, KeyError};
pub use options::{ClientOptions, ProxyChoice, TlsOptions};
pub use refusal::is_tls;
pub use tls::{Reach, builder, innermost};
pub use walk::{AttributesWalk, CursorError, CursorKind, EventsWalk, WalkError, WalkOptions};
