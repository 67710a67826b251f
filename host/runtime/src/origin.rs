//! Where records come from.

/// Where records come from (`origin` in wit/mapping.wit).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The instance's name.
    pub name: String,
    /// Its base URL, without a trailing slash.
    pub url: Option<String>,
    /// A JSON object to merge into each document; empty for none.
    pub static_fields: Vec<u8>,
}
