//! serde types of MISP's JSON, read tolerantly, and the shapes a record can have.
