//! Client and walks of MISP's REST API: the Source.
//!
//! [`Client`] makes one request and says what came of it; [`EventsWalk`] asks page after page
//! and forgets none; [`Filters`] is what the user wants found.

mod body;
mod check;
mod client;
mod disk;
mod error;
mod filters;
pub mod headers;
mod key;
mod keys;
mod options;
mod pace;
mod refusal;
mod setup;
mod trace;
mod walk;

pub use body::{Intake, Keep, Memory, spooled};
pub use check::{KeyFacts, Me, Version};
pub use client::{Answer, Client, Endpoint};
pub use disk::DiskSpool;
pub use error::{ClientError, OptionsError};
pub use filters::{
    ATTRIBUTE_TYPES, CATEGORIES, FilterError, FilterWarning, Filters, Nearest, check_filters,
    unknown_filters,
};
pub use key::{ApiKey, KeyError};
pub use options::ClientOptions;
pub use pace::{Pace, PaceLimits, TooSlow};
pub use transport::{ProxyChoice, TlsOptions};
pub use walk::{AttributesWalk, CursorError, CursorKind, EventsWalk, WalkError, WalkOptions};
