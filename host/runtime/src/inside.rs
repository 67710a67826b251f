//! What happened inside a component that trapped: the functions on its stack, and the text of a
//! panic, which its panic hook leaves in its memory.

use std::fmt;

use memchr::memmem;
use wasmtime::{AsContext, WasmBacktrace, WasmCoreDump};

/// What stands before the text of a panic in the memory of a component, as wit/README.md has it.
/// After it come the length in decimal digits, a colon and the text. No JSON holds the byte 0xff.
const MARK: &[u8] = b"\xffpanic:";
/// The longest text of a panic that is read, bytes.
const LONGEST: usize = 1_000;
/// The functions that are named.
const NAMED: usize = 4;
/// The longest name of a function, characters.
const LONGEST_NAME: usize = 100;
/// What every panic of Rust has on top of its stack.
const MACHINERY: [&str; 8] = [
    "__rustc::",
    "std::",
    "core::panicking",
    "core::option::expect_failed",
    "core::option::unwrap_failed",
    "core::result::unwrap_failed",
    "core::slice::index",
    "core::str::slice_error",
];

/// Where inside a component a trap happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inside {
    /// The functions on the stack, innermost first.
    functions: Vec<String>,
    /// The text of the panic.
    panic: Option<String>,
}

impl Inside {
    /// As far as the component has names and left a text.
    pub(crate) fn of(error: &wasmtime::Error, store: impl AsContext) -> Self {
        let functions = error.downcast_ref::<WasmBacktrace>().map(functions);
        let panic = error.downcast_ref::<WasmCoreDump>().and_then(|dump| {
            let mut memories = dump.memories().iter();
            memories.find_map(|memory| panic_in(memory.data(&store)))
        });
        Self {
            functions: functions.unwrap_or_default(),
            panic,
        }
    }

    /// The same without the text of the panic, which may quote the input.
    pub(crate) fn without_text(&self) -> Self {
        Self {
            functions: self.functions.clone(),
            panic: None,
        }
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(panic) = &self.panic {
            write!(out, "; {panic}")?;
        }
        if !self.functions.is_empty() {
            write!(out, "; in {}", self.functions.join(", called by "))?;
        }
        Ok(())
    }
}

fn functions(backtrace: &WasmBacktrace) -> Vec<String> {
    let names = backtrace
        .frames()
        .iter()
        .filter_map(|frame| frame.func_name());
    let names = names.map(|name| format!("{:#}", rustc_demangle::demangle(name)));
    let names = names.skip_while(|name| is_machinery(name)).take(NAMED);
    names
        .map(|name| name.chars().take(LONGEST_NAME).map(printable).collect())
        .collect()
}

fn is_machinery(name: &str) -> bool {
    let is_part = MACHINERY.iter().any(|part| name.starts_with(part));
    is_part || name.contains("rust_panic") || name == "abort"
}

/// The text that a panic left in this memory: the last one that is whole.
fn panic_in(memory: &[u8]) -> Option<String> {
    let found = memmem::find_iter(memory, MARK);
    let texts = found.filter_map(|at| {
        let after = memory.get(at + MARK.len()..)?;
        let digits = after.iter().take(5).position(|byte| *byte == b':')?;
        let length = std::str::from_utf8(after.get(..digits)?).ok()?;
        let length: usize = length.parse().ok()?;
        let text = after.get(digits + 1..)?.get(..length.min(LONGEST))?;
        let text = String::from_utf8_lossy(text);
        Some(text.chars().map(printable).collect())
    });
    texts.last()
}

/// No line breaks and no control of a terminal.
fn printable(char: char) -> char {
    if char.is_control() { ' ' } else { char }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_text_is_found() {
        let mut memory = b"rodata \xffpanic:\xffpanic:99999:x".to_vec();
        assert_eq!(panic_in(&memory), None);
        memory.extend_from_slice(b"\xffpanic:5:first\xffpanic:7:a\nb \xff c and more");
        assert_eq!(panic_in(&memory).unwrap(), "a b \u{fffd} c");
    }

    #[test]
    fn a_panic_reads_as_a_sentence() {
        let inside = Inside {
            functions: vec!["mine::domain".to_owned(), "mine::map".to_owned()],
            panic: Some("panicked at src/lib.rs:7:3: no dot".to_owned()),
        };
        assert_eq!(
            inside.to_string(),
            "; panicked at src/lib.rs:7:3: no dot; in mine::domain, called by mine::map"
        );
        assert_eq!(
            inside.without_text().to_string(),
            "; in mine::domain, called by mine::map"
        );
    }
}
