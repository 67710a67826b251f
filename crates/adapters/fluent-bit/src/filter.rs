//! One instance of the filter.
//!
//! A trap ends a call in the middle: nothing of it is dropped, and Fluent Bit keeps the instance.
//! So whatever a call works with is taken out of the filter and put back at its end. What is not
//! there when the next call begins went with a trap: it is made anew, and the lost record is
//! reported.

use std::cell::Cell;

use adapter_shell::{Adapter, Answer, Layout, Limits, Refusal};

use crate::answer::{Mode, Writer};
use crate::memory::Memory;

/// The filter: memory for the host, the mappings, and the answer of the last call.
pub struct Filter {
    settings: Vec<u8>,
    memory: Cell<Option<Memory>>,
    adapter: Cell<Option<Box<Adapter>>>,
    answer: Cell<Vec<u8>>,
    /// The call that has begun and not ended.
    begun: Cell<Option<Call>>,
    /// Documents about lost records that no answer has reported yet, and the times of the records.
    lost: Cell<Vec<(Vec<u8>, i64)>>,
}

/// A call of the host.
#[derive(Debug, Clone, Copy)]
struct Call {
    /// Where the record is.
    record: usize,
    length: usize,
    /// The record's time, UNIX milliseconds.
    now_ms: i64,
}

impl Filter {
    /// A filter with these settings (`baked_settings::Settings` as JSON; no bytes for none).
    pub fn new(settings: &[u8]) -> Self {
        Self {
            settings: settings.to_vec(),
            memory: Cell::default(),
            adapter: Cell::default(),
            answer: Cell::default(),
            begun: Cell::default(),
            lost: Cell::default(),
        }
    }

    /// The address of so many bytes for the host to write into; 0 if there are none. They
    /// are the host's until the next [`Self::call`] ends.
    pub fn malloc(&self, size: usize) -> usize {
        self.after_trap();
        let mut memory = self.memory.take().unwrap_or_default();
        let address = memory.give(size);
        self.memory.set(Some(memory));
        address
    }

    /// Maps the record of `length` bytes at `record`; returns the address of the answer. `time` is
    /// the record's: seconds and nanoseconds. The answer ends with a NUL and lives until the next
    /// call.
    pub fn call(
        &self,
        mode: Mode,
        asked: Option<Layout>,
        (seconds, nanoseconds): (u32, u32),
        record: usize,
        length: usize,
    ) -> usize {
        self.after_trap();
        let now_ms = i64::from(seconds) * 1000 + i64::from(nanoseconds / 1_000_000);
        self.begun.set(Some(Call {
            record,
            length,
            now_ms,
        }));
        let mut memory = self.memory.take().unwrap_or_default();
        // Without a buffer: the host found no memory for the record, or it is none of ours.
        let given = memory.at(record, length).ok_or(length);
        // Lent back at once: after a trap the record is still there to be named.
        let given = given.map(<[u8]>::to_vec);
        memory.take_back();
        self.memory.set(Some(memory));
        self.answer_to(
            mode,
            asked,
            now_ms,
            given.as_deref().map_err(|length| *length),
        )
    }

    /// The same for a record that is not in the host's memory; returns the answer.
    pub fn map(
        &mut self,
        mode: Mode,
        asked: Option<Layout>,
        (seconds, nanoseconds): (u32, u32),
        record: &[u8],
    ) -> &[u8] {
        let now_ms = i64::from(seconds) * 1000 + i64::from(nanoseconds / 1_000_000);
        self.answer_to(mode, asked, now_ms, Ok(record));
        self.answer()
    }

    /// The answer of the last call.
    pub fn answer(&mut self) -> &[u8] {
        self.answer.get_mut()
    }

    /// Writes the answer for a record, or for one of this length that the engine did not pass.
    fn answer_to(
        &self,
        mode: Mode,
        asked: Option<Layout>,
        now_ms: i64,
        record: Result<&[u8], usize>,
    ) -> usize {
        let adapter = || Box::new(Adapter::new(&self.settings, Limits::FILTER, true));
        let mut adapter = self.adapter.take().unwrap_or_else(adapter);
        let mut text = self.answer.take();
        let mut writer = Writer::new(mode, &mut text);
        let mut sink = |answer: Answer<'_>| writer.take(answer);
        match record {
            Ok(record) => adapter.map(record, asked, now_ms, &mut sink),
            Err(length) => {
                let text = format!("the record of {length} bytes is not in memory of malloc");
                let refusal = Refusal::new("too-large", text);
                adapter.refuse(&refusal, now_ms, &mut sink);
            }
        }
        writer.end(record.unwrap_or_default(), now_ms, &self.lost.take());
        let address = text.as_ptr().expose_provenance();
        self.answer.set(text);
        self.adapter.set(Some(adapter));
        self.begun.set(None);
        address
    }

    /// Notes the record of a call that has begun and not ended.
    fn after_trap(&self) {
        let Some(call) = self.begun.take() else {
            return;
        };
        let memory = self.memory.take();
        let text = "the record before this one was lost: the module trapped while it mapped it; with Wasm_Stack_Size 64k or more no record is known to do that";
        let mut refusal = Refusal::new("lost", text);
        let record = memory
            .as_ref()
            .and_then(|memory| memory.last(call.record, call.length));
        if let Some(record) = record {
            refusal = refusal.of_bytes(record);
        }
        let mut lost = self.lost.take();
        lost.push((refusal.document(call.now_ms), call.now_ms));
        self.lost.set(lost);
        self.memory.set(memory);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Deserializer, Value};

    use super::*;

    const RECORD: &str = r#"{"type":"ip-dst","value":"192.0.2.7","to_ids":true,"uuid":"9b2e0d2a-4f5f-4c8e-9f58-0123456789ab","timestamp":"1700000000"}"#;
    const DELETED: &str = r#"{"type":"ip-dst","value":"192.0.2.7","deleted":true,"uuid":"9b2e0d2a-4f5f-4c8e-9f58-0123456789ab"}"#;

    /// What a trap leaves behind: nothing that the call had taken is there.
    fn trap(filter: &Filter, length: usize) {
        let (tag, record) = (filter.malloc(5), filter.malloc(length + 1));
        assert!(tag != 0 && record != 0);
        filter.begun.set(Some(Call {
            record,
            length,
            now_ms: 1_700_000_000_000,
        }));
        drop((filter.adapter.take(), filter.answer.take()));
        let mut memory = filter.memory.take().unwrap();
        memory.take_back();
        filter.memory.set(Some(memory));
    }

    fn call(filter: &mut Filter, mode: Mode, text: &str) -> Vec<Value> {
        let (tag, record) = (filter.malloc(5), filter.malloc(text.len() + 1));
        assert!(tag != 0 && record != 0);
        filter.map(mode, None, (1_700_000_001, 0), text.as_bytes());
        let answer = filter.answer().to_vec();
        let text = std::str::from_utf8(&answer).unwrap().trim_end_matches('\0');
        let values = Deserializer::from_str(text).into_iter::<Value>();
        let values = values.map(Result::unwrap);
        values
            .flat_map(|value| match (&value["docs"], value.get(1)) {
                (Value::Array(docs), _) => docs.clone(),
                (_, Some(document)) => vec![document.clone()],
                _ => vec![value],
            })
            .collect()
    }

    #[test]
    fn after_a_trap_the_filter_works_and_reports_the_lost_record_once() {
        for mode in [Mode::One, Mode::Docs, Mode::FanOut] {
            for (text, documents) in [(RECORD, 1), (DELETED, 0)] {
                let mut filter = Filter::new(b"");
                call(&mut filter, mode, RECORD);
                trap(&filter, 40);
                trap(&filter, 50);
                let answer = call(&mut filter, mode, text);
                assert_eq!(answer.len(), documents + 2, "{answer:?}");
                let lost = &answer[documents..];
                for one in lost {
                    assert_eq!(one["error"]["type"], "lost");
                    assert_eq!(one["event"]["kind"], "pipeline_error");
                    assert_eq!(one["event"]["hash"].as_str().unwrap().len(), 40);
                }
                assert_ne!(lost[0]["misp_ecs"]["id"], lost[1]["misp_ecs"]["id"]);
                assert_eq!(call(&mut filter, mode, text).len(), documents);
            }
        }
    }
}
