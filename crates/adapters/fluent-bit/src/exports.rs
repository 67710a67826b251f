//! What Fluent Bit sees. The only unsafe thing here is that the names are taken:
//! addresses of the host are looked up among the buffers that it was given, never
//! followed.
#![expect(
    unsafe_code,
    reason = "an exported function needs `unsafe(no_mangle)`: no other symbol of the module has these names"
)]

use adapter_shell::Layout;
use baked_settings::{Block, Kind};

use crate::{Filter, Mode};

#[used]
static SETTINGS: Block = Block::new(Kind::Adapter);

thread_local! {
    static FILTER: Filter = Filter::new(SETTINGS.text());
}

/// Memory for a tag or a record; the host's until the call after it ends.
#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> usize {
    FILTER.with(|filter| filter.malloc(size))
}

/// Nothing: the call itself ends the life of its memory.
#[unsafe(no_mangle)]
extern "C" fn free(_: usize) {}

fn call(
    mode: Mode,
    asked: Option<Layout>,
    time: (u32, u32),
    record: usize,
    length: usize,
) -> usize {
    FILTER.with(|filter| filter.call(mode, asked, time, record, length))
}

macro_rules! export {
    ($($(#[$about:meta])* $name:ident: $mode:expr, $layout:expr;)*) => {$(
        $(#[$about])*
        #[unsafe(no_mangle)]
        extern "C" fn $name(
            _tag: usize,
            _tag_length: usize,
            seconds: u32,
            nanoseconds: u32,
            record: usize,
            length: usize,
        ) -> usize {
            call($mode, $layout, (seconds, nanoseconds), record, length)
        }
    )*};
}

export! {
    /// One document a record, the mapping of the settings.
    misp_attribute_to_ecs: Mode::One, None;
    /// One document a record, `ecs-9`.
    misp_attribute_to_ecs_9: Mode::One, Some(Layout::Ecs9);
    /// One document a record, `ecs-1.12`.
    misp_attribute_to_ecs_1_12: Mode::One, Some(Layout::Ecs112);
    /// `{"docs":[..]}`, the mapping of the settings.
    misp_to_ecs_docs: Mode::Docs, None;
    /// `{"docs":[..]}`, `ecs-9`.
    misp_to_ecs_9_docs: Mode::Docs, Some(Layout::Ecs9);
    /// `{"docs":[..]}`, `ecs-1.12`.
    misp_to_ecs_1_12_docs: Mode::Docs, Some(Layout::Ecs112);
    /// Fan-out, the mapping of the settings.
    misp_to_ecs: Mode::FanOut, None;
    /// Fan-out, `ecs-9`.
    misp_to_ecs_9: Mode::FanOut, Some(Layout::Ecs9);
    /// Fan-out, `ecs-1.12`.
    misp_to_ecs_1_12: Mode::FanOut, Some(Layout::Ecs112);
}
