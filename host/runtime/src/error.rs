//! What can go wrong with a component.

use pipeline::{Class, Classify};

use crate::inside::Inside;

/// The engine did not start.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine did not start: {source}")]
pub struct EngineError {
    /// What wasmtime said.
    #[from]
    source: wasmtime::Error,
}

/// Bytes that are no mapping.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not a component at all.
    #[error(
        "not a WebAssembly component: {source:#}; a core module is made one by wit-component, see wit/README.md"
    )]
    NotAComponent {
        /// What wasmtime said.
        source: wasmtime::Error,
    },
    /// So large that it is not even compiled.
    #[error(
        "it has {bytes} bytes, and a mapping may have {limit}: it holds something else as well"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest.
        limit: usize,
    },
    /// Compiling it takes too much.
    #[error(
        "it could not be compiled: {reason}; a mapping compiles in seconds, this one is broken or hostile"
    )]
    Compile {
        /// What it took.
        reason: String,
    },
    /// It imports something.
    #[error(
        "it imports {names:?}, and a mapping may import nothing: build it for wasm32-unknown-unknown"
    )]
    Imports {
        /// The names.
        names: Vec<String>,
    },
    /// It does not export the contract that this host knows.
    #[error(
        "it does not export {contract}: {source:#}; build it against the wit/mapping.wit of this version",
        contract = crate::CONTRACT
    )]
    Contract {
        /// What wasmtime said.
        source: wasmtime::Error,
    },
    /// It could not say what it is.
    #[error("its describe() failed: {fault}")]
    Describe {
        /// What happened.
        fault: Fault,
    },
}

/// A mapping that did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are no JSON object.
    #[error("the settings are not what the mapping takes: {0}")]
    Malformed(String),
    /// A setting that does not exist.
    #[error("unknown setting: {0}")]
    UnknownKey(String),
    /// A setting with a value that cannot be.
    #[error("a setting cannot have this value: {0}")]
    Invalid(String),
    /// The constructor faulted.
    #[error("its constructor failed: {0}")]
    Fault(Fault),
    /// What it asks of MISP is no JSON object.
    #[error("its search flags (`request`) are no JSON object: {0}")]
    Request(String),
    /// The worker thread did not start.
    #[error("the worker thread did not start: {0}")]
    Thread(#[source] std::io::Error),
    /// The worker thread ended at once.
    #[error("the worker thread ended")]
    Gone,
}

/// A call that did not come back as it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It ran too long.
    #[error("it ran longer than {seconds} s")]
    Time {
        /// The limit, seconds.
        seconds: u64,
    },
    /// It wanted too much memory.
    #[error("it wanted {wanted} bytes of memory, the limit is {limit}")]
    Memory {
        /// What it wanted, bytes.
        wanted: usize,
        /// The limit, bytes.
        limit: usize,
    },
    /// It returned too much.
    #[error("it returned more than {limit} bytes")]
    Output {
        /// The limit, bytes.
        limit: usize,
    },
    /// It trapped.
    #[error("it trapped: {text}{inside}")]
    Trap {
        /// What wasmtime said.
        text: String,
        /// Where inside the component, and the text of the panic.
        inside: Inside,
    },
    /// What it returned breaks the contract.
    #[error("it broke the contract: {text}")]
    Contract {
        /// Which sentence of it.
        text: String,
    },
}

impl Fault {
    /// The same without the text of a panic, which may quote the input.
    pub(crate) fn without_text(&self) -> Self {
        match self {
            Self::Trap { text, inside } => Self::Trap {
                text: text.clone(),
                inside: inside.without_text(),
            },
            other => other.clone(),
        }
    }
}

/// The mapping cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Everything faults.
    #[error(
        "{count} attributes in a row made the mapping fail, none was mapped between them: the mapping is broken or its limits are too small; the last: {last}"
    )]
    Broken {
        /// How many.
        count: u32,
        /// The last fault.
        last: Fault,
    },
    /// No fresh instance after a fault.
    #[error("the mapping does not start again after a fault: {0}")]
    Restart(#[source] StartError),
    /// The worker thread has ended.
    #[error("the mapping's worker thread has ended")]
    Gone,
}

impl Classify for RuntimeError {
    fn class(&self) -> Class {
        Class::Fatal
    }
}
