//! What the host sees: a core module that imports `benthos_wasm` and the clock of WASI.
//! The only unsafe things here are the names that are exported, and that those which are
//! imported are as declared.
#![expect(
    unsafe_code,
    reason = "exports need `unsafe(no_mangle)`, imports an `unsafe extern` block; neither is followed by a raw pointer"
)]

use std::cell::RefCell;

use adapter_shell::Layout;
use baked_settings::{Block, Kind};

use crate::{Memory, Processed, Processor};

// The functions that the processor's documentation names; an address and a length in one
// number is `address << 32 | length`.
#[link(wasm_import_module = "benthos_wasm")]
unsafe extern "C" {
    safe fn v0_msg_as_bytes() -> u64;
    safe fn v0_msg_set_bytes(address: usize, length: usize);
    safe fn v0_msg_get_meta(key: usize, length: usize) -> u64;
    safe fn v0_msg_set_meta(key: usize, key_length: usize, value: usize, value_length: usize);
}

// WASI preview 1; the host has all of it, this is all that is used.
#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    safe fn clock_time_get(clock: u32, precision: u64, nanoseconds: &mut u64) -> u32;
}

#[used]
static SETTINGS: Block = Block::new(Kind::Adapter);

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::new(Memory::default());
    static PROCESSOR: RefCell<Processor> = RefCell::new(Processor::new(SETTINGS.text()));
}

/// Memory for the host to write into, the module's from then on.
#[unsafe(no_mangle)]
extern "C" fn allocate(size: usize) -> usize {
    MEMORY.with_borrow_mut(|memory| memory.give(size))
}

/// The host has read what was handed over.
#[unsafe(no_mangle)]
extern "C" fn deallocate(address: usize, _length: usize) {
    MEMORY.with_borrow_mut(|memory| drop(memory.give_back(address)));
}

/// One array a message, the mapping of the settings; the host's default name.
#[unsafe(no_mangle)]
extern "C" fn process() {
    call(None);
}

/// The same under the name that it has in the other engines.
#[unsafe(no_mangle)]
extern "C" fn misp_to_ecs() {
    call(None);
}

/// One array a message, `ecs-9`.
#[unsafe(no_mangle)]
extern "C" fn misp_to_ecs_9() {
    call(Some(Layout::Ecs9));
}

/// One array a message, `ecs-1.12`.
#[unsafe(no_mangle)]
extern "C" fn misp_to_ecs_1_12() {
    call(Some(Layout::Ecs112));
}

fn call(asked: Option<Layout>) {
    // Memory is borrowed for moments only: the host calls `allocate` and `deallocate` from
    // within its own functions.
    let message = taken(v0_msg_as_bytes());
    let settings = metadata(Processor::SETTINGS).filter(|settings| !settings.is_empty());
    let now_ms = now_ms();
    let processed = PROCESSOR.with_borrow_mut(|processor| match message {
        Some(message) => processor.process(&message, settings.as_deref(), asked, now_ms),
        None => processor.without_message(now_ms),
    });
    answer(processed);
    MEMORY.with_borrow_mut(Memory::clear);
}

fn answer(processed: Processed) {
    let Processed {
        body,
        refused,
        first,
    } = processed;
    let (address, length) = handed_over(body);
    v0_msg_set_bytes(address, length);
    if let Some(first) = first {
        set_metadata(Processor::REFUSED, refused.to_string());
        set_metadata(Processor::ERROR, first);
    }
}

fn metadata(key: &str) -> Option<Vec<u8>> {
    let (address, length) = handed_over(key.into());
    taken(v0_msg_get_meta(address, length))
}

fn set_metadata(key: &str, value: String) {
    let (key, key_length) = handed_over(key.into());
    let (value, value_length) = handed_over(value.into_bytes());
    v0_msg_set_meta(key, key_length, value, value_length);
}

fn handed_over(bytes: Vec<u8>) -> (usize, usize) {
    let length = bytes.len();
    (
        MEMORY.with_borrow_mut(|memory| memory.hand_over(bytes)),
        length,
    )
}

fn taken(place: u64) -> Option<Vec<u8>> {
    let address = usize::try_from(place >> 32).ok()?;
    let length = usize::try_from(place & u64::from(u32::MAX)).ok()?;
    MEMORY.with_borrow_mut(|memory| memory.take(address, length))
}

/// The time; 0 where there is no clock, as in a sandbox without one.
fn now_ms() -> i64 {
    let mut nanoseconds = 0;
    match clock_time_get(0, 1_000_000, &mut nanoseconds) {
        0 => i64::try_from(nanoseconds / 1_000_000).unwrap_or(0),
        _ => 0,
    }
}
