//! Runs a mapping component: the only crate that names wasmtime.
