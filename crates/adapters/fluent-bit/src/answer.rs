//! The text that goes back to Fluent Bit.

use std::ops::ControlFlow;

use adapter_shell::{Answer, Refusal};

/// How several documents are one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One record is one document: for attributes that are already split.
    One,
    /// `{"docs":[..]}`, for a `lua` filter that makes records of it.
    Docs,
    /// The first document, and behind it whole events of Fluent Bit: `{..}[[TS,{}],{..}]`. It
    /// works, and nowhere does Fluent Bit promise it.
    FanOut,
}

/// The answer of one call, written as the documents come.
#[derive(Debug)]
pub(crate) struct Writer<'b> {
    mode: Mode,
    text: &'b mut Vec<u8>,
    count: u64,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(mode: Mode, text: &'b mut Vec<u8>) -> Self {
        text.clear();
        if mode == Mode::Docs {
            text.extend_from_slice(br#"{"docs":["#);
        }
        Self {
            mode,
            text,
            count: 0,
        }
    }

    pub(crate) fn take(&mut self, answer: Answer<'_>) -> ControlFlow<()> {
        if let Some((json, timestamp_ms)) = answer.json() {
            self.push(json, timestamp_ms);
        }
        ControlFlow::Continue(())
    }

    fn push(&mut self, json: &[u8], timestamp_ms: i64) {
        self.count += 1;
        match self.mode {
            Mode::One if self.count > 1 => return,
            Mode::Docs if self.count > 1 => self.text.push(b','),
            Mode::FanOut if self.count > 1 => {
                append_event(self.text, json, timestamp_ms);
                return;
            }
            Mode::One | Mode::Docs | Mode::FanOut => {}
        }
        self.text.extend_from_slice(json);
    }

    /// Ends the answer with its NUL. Without a document it is empty: Fluent Bit drops the record.
    /// `lost` are documents about records before this one, and their times.
    pub(crate) fn end(mut self, record: &[u8], now_ms: i64, lost: &[(Vec<u8>, i64)]) {
        if self.mode != Mode::One {
            for (json, timestamp_ms) in lost {
                self.push(json, *timestamp_ms);
            }
        }
        let Self { mode, text, count } = self;
        match (mode, count) {
            (_, 0) => text.clear(),
            (Mode::Docs, _) => text.extend_from_slice(b"]}"),
            (Mode::One, 2..) => {
                let why = format!(
                    "the record makes {count} documents, and this function gives one: use misp_to_ecs_docs or misp_to_ecs"
                );
                text.clear();
                text.extend(Refusal::new("unsupported", why).of(record).document(now_ms));
            }
            _ => {}
        }
        if mode == Mode::One {
            // The only way to say more than one document; it is needed after a trap only.
            for (json, timestamp_ms) in lost {
                if text.is_empty() {
                    text.extend_from_slice(json);
                } else {
                    append_event(text, json, *timestamp_ms);
                }
            }
        }
        text.push(0);
    }
}

/// Appends a whole event of Fluent Bit.
fn append_event(text: &mut Vec<u8>, json: &[u8], timestamp_ms: i64) {
    // Fluent Bit's times are unsigned seconds.
    let ms = timestamp_ms.clamp(0, i64::from(u32::MAX) * 1000);
    let time = format!("[[{}.{:03},{{}}],", ms / 1000, ms % 1000);
    text.extend_from_slice(time.as_bytes());
    text.extend_from_slice(json);
    text.push(b']');
}
