//! MISP's JSON, read tolerantly, and the shapes a record can have.
//!
//! MISP's documents are open-ended and their types move between versions: a
//! timestamp is `"1700000000"` or `1700000000`, a flag is `true`, `1` or `"1"`.
//! So this crate has no struct a MISP record could fail to fit. It reads JSON into
//! a borrowed tree ([`Json`]), reads scalars in every spelling that is seen, and
//! tells by shape what a record is ([`items`]).

mod deserialize;
mod event;
mod json;
mod object;
mod read;
mod record;
pub mod redaction;
mod scalar;
mod shapes;
mod text;

pub use event::{Entry, Event};
pub use json::{Json, ParseError};
pub use object::{Object, PerShape, Shape, prefix};
pub use record::{Item, UnknownShape, items};
pub use text::Text;
