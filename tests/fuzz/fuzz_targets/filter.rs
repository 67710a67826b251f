//! Any bytes as a record of the Fluent Bit filter, and as its settings.
#![no_main]

use std::cell::RefCell;

use adapter_fluent_bit::{Filter, Mode};
use libfuzzer_sys::fuzz_target;
use serde_json::{Deserializer, Value};

thread_local! {
    // One instance for life, as in Fluent Bit: what a record leaves behind meets the next.
    static FILTER: RefCell<Filter> = RefCell::new(Filter::new(b""));
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, record)) = bytes.split_first() else {
        return;
    };
    let mode = [Mode::One, Mode::Docs, Mode::FanOut][usize::from(choice % 3)];
    let time = (1_700_000_000, 0);
    FILTER.with_borrow_mut(|filter| sound(filter.map(mode, None, time, record)));
    if choice & 0x80 != 0 {
        let record = br#"{"type":"ip-dst","value":"192.0.2.7","to_ids":true}"#;
        sound(Filter::new(bytes).map(mode, None, time, record));
    }
});

/// An answer is JSON values, the first an object, and ends with its only NUL.
fn sound(answer: &[u8]) {
    let (nul, text) = answer.split_last().unwrap();
    assert!(*nul == 0 && !text.contains(&0));
    let values = Deserializer::from_slice(text).into_iter::<Value>();
    for (place, value) in values.map(Result::unwrap).enumerate() {
        assert!(value.is_object() == (place == 0));
    }
}
