//! One instance of the processor.

use std::ops::ControlFlow;

use adapter_shell::{Adapter, Answer, Layout, Limits, Refusal, SETTINGS_FIELD};

/// What comes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processed {
    /// A JSON array of documents, one line; `[]` if there are none.
    pub body: Vec<u8>,
    /// Parts of the message that became no document, other than one that says so.
    pub refused: u64,
    /// Why the first of them was refused, one sentence.
    pub first: Option<String>,
}

/// The processor: the mappings with their settings.
#[derive(Debug)]
pub struct Processor {
    adapter: Adapter,
}

impl Processor {
    /// The message's metadata that holds settings, as JSON.
    pub const SETTINGS: &str = SETTINGS_FIELD;
    /// The metadata that counts what was refused.
    pub const REFUSED: &str = "misp_ecs_refused";
    /// The metadata that says why the first of it was.
    pub const ERROR: &str = "misp_ecs_error";

    /// A processor with these settings (`baked_settings::Settings` as JSON; no bytes for none).
    pub fn new(settings: &[u8]) -> Self {
        Self {
            // Metadata goes away with a message that `unarchive` makes nothing of.
            adapter: Adapter::new(settings, Limits::FILTER, true),
        }
    }

    /// Maps a message. `settings` are the message's own, instead of the processor's; `now_ms`
    /// is the time, UNIX milliseconds.
    pub fn process(
        &mut self,
        message: &[u8],
        settings: Option<&[u8]>,
        asked: Option<Layout>,
        now_ms: i64,
    ) -> Processed {
        let mut processed = Processed {
            body: b"[".to_vec(),
            refused: 0,
            first: None,
        };
        let mut sink = |answer: Answer<'_>| {
            if let Answer::Refused { refusal, .. } = answer {
                processed.refuse(refusal);
            }
            if let Some((json, _)) = answer.json() {
                if processed.body.len() > 1 {
                    processed.body.push(b',');
                }
                processed.body.extend_from_slice(json);
            }
            ControlFlow::Continue(())
        };
        match settings {
            Some(settings) => {
                let adapter = &mut self.adapter;
                adapter.map_with(message, settings, asked, now_ms, &mut sink);
            }
            None => self.adapter.map(message, asked, now_ms, &mut sink),
        }
        processed.body.push(b']');
        processed
    }

    /// The answer to a message that the host did not hand over.
    pub fn without_message(&self, now_ms: i64) -> Processed {
        let refusal = Refusal::new("other", "the host handed over no message");
        let mut processed = Processed {
            body: [b"[", refusal.document(now_ms).as_slice(), b"]"].concat(),
            refused: 0,
            first: None,
        };
        processed.refuse(&refusal);
        processed
    }
}

impl Processed {
    fn refuse(&mut self, refusal: &Refusal) {
        self.refused += 1;
        self.first.get_or_insert_with(|| refusal.text.clone());
    }
}
