//! Runs a mapping component: the only crate that names wasmtime.
//!
//! [`Engine`] compiles, [`LoadedMapping`] is a component that keeps the contract,
//! [`Mapper`] is one at work and implements [`pipeline::Transform`], [`Probe`] one that
//! is looked at.

mod bindings;
mod bounded;
mod clock;
mod collisions;
mod convert;
mod engine;
mod error;
mod inside;
mod instance;
mod ladder;
mod mapper;
mod options;
mod origin;
mod probe;

pub use bounded::{Compiler, compile_stdin};
pub use engine::{
    CONTRACT, Compiled, Description, Engine, Field, FieldOrigin, LARGEST_COMPONENT, LoadedMapping,
    digest,
};
pub use error::{EngineError, Fault, LoadError, RuntimeError, StartError};
pub use inside::Inside;
pub use mapper::Mapper;
pub use options::RuntimeOptions;
pub use origin::Origin;
pub use probe::Probe;
