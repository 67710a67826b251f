//! One instance of the filter.

use adapter_shell::{Adapter, Answer, Layout, Limits, Refusal};

use crate::answer::{Mode, Writer};
use crate::memory::Memory;

/// The filter: memory for the host, the mappings, and the answer of the last call.
#[derive(Debug)]
pub struct Filter {
    memory: Memory,
    adapter: Adapter,
    answer: Vec<u8>,
}

impl Filter {
    /// A filter with these settings (`baked_settings::Settings` as JSON; no bytes for none).
    pub fn new(settings: &[u8]) -> Self {
        Self {
            memory: Memory::default(),
            adapter: Adapter::new(settings, Limits::FILTER, true),
            answer: Vec::new(),
        }
    }

    /// The address of so many bytes for the host to write into; 0 if there are none. They
    /// are the host's until the next [`Self::call`] ends.
    pub fn malloc(&mut self, size: usize) -> usize {
        self.memory.give(size)
    }

    /// Maps the record of `length` bytes at `record`. `time` is the record's: seconds and
    /// nanoseconds. The answer ends with a NUL and lives until the next call.
    pub fn call(
        &mut self,
        mode: Mode,
        asked: Option<Layout>,
        time: (u32, u32),
        record: usize,
        length: usize,
    ) -> &[u8] {
        // Without a buffer: the host found no memory for the record, or it is none of ours.
        let given = self.memory.at(record, length).ok_or(length);
        answer(
            &mut self.adapter,
            &mut self.answer,
            (mode, asked),
            time,
            given,
        );
        self.memory.take_back();
        &self.answer
    }

    /// The same for a record that is not in the host's memory.
    pub fn map(
        &mut self,
        mode: Mode,
        asked: Option<Layout>,
        time: (u32, u32),
        record: &[u8],
    ) -> &[u8] {
        let what = (mode, asked);
        answer(&mut self.adapter, &mut self.answer, what, time, Ok(record));
        &self.answer
    }
}

/// Writes the answer for a record, or for one of so many bytes that is not there.
fn answer(
    adapter: &mut Adapter,
    text: &mut Vec<u8>,
    (mode, asked): (Mode, Option<Layout>),
    (seconds, nanoseconds): (u32, u32),
    record: Result<&[u8], usize>,
) {
    let now_ms = i64::from(seconds) * 1000 + i64::from(nanoseconds / 1_000_000);
    let mut writer = Writer::new(mode, text);
    let mut sink = |answer: Answer<'_>| writer.take(answer);
    match record {
        Ok(record) => adapter.map(record, asked, now_ms, &mut sink),
        Err(length) => {
            let text = format!("the record of {length} bytes is not in memory of malloc");
            let refusal = Refusal::new("too-large", text);
            adapter.refuse(&refusal, now_ms, &mut sink);
        }
    }
    writer.end(now_ms);
}
