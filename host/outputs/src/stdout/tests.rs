use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

use pipeline::{Class, Classify, Output, Verdict};

use super::{StdoutOptions, StdoutOutput};
use crate::contract::{self, Subject, fixtures::put};
use crate::lines::Common;

/// What was written, and how many bytes there is room for before each failure.
#[derive(Clone, Default)]
struct Sink {
    taken: Arc<Mutex<Vec<u8>>>,
    /// Room left before the next "disk full"; `None` = endless.
    room: Arc<Mutex<Option<usize>>>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.room.lock().unwrap();
        let count = match *room {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => left.min(bytes.len()),
            None => bytes.len(),
        };
        *room = room.map(|left| left - count);
        self.taken
            .lock()
            .unwrap()
            .extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.taken.lock().unwrap().clone()).unwrap()
    }
}

impl Subject for Sink {
    fn output(&self, common: Common) -> Arc<dyn Output> {
        let Common {
            deletes,
            envelope_field,
        } = common;
        let options = StdoutOptions {
            deletes,
            envelope_field,
        };
        Arc::new(StdoutOutput::to("out", &options, Box::new(self.clone())))
    }

    fn arrived(&self) -> String {
        self.text()
    }

    fn clear(&self) {
        self.taken.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn the_contract_holds() {
    contract::holds(&Sink::default()).await;
}

#[tokio::test]
async fn a_failed_write_never_leaves_half_a_line_in_the_middle() {
    let batch = [put("a", 1), put("b", 1)];
    let whole = "{\"id\":\"a\",\"n\":1}\n{\"id\":\"b\",\"n\":1}\n";
    for room in 0..whole.len() {
        let sink = Sink::default();
        let output = StdoutOutput::to("out", &StdoutOptions::default(), Box::new(sink.clone()));
        *sink.room.lock().unwrap() = Some(room);
        let error = output.write(&batch).await.unwrap_err();
        assert_eq!(error.class(), Class::Transient { after: None });
        // It fails once more within the rest of the line, then there is room.
        *sink.room.lock().unwrap() = Some(1);
        output.write(&batch).await.unwrap_err();
        *sink.room.lock().unwrap() = None;
        assert_eq!(
            output.write(&batch).await.unwrap(),
            vec![Verdict::Stored; 2]
        );
        let text = sink.text();
        assert!(text.ends_with(whole), "{text}");
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| {
                panic!("room {room}: {line:?} is no whole line: {error}");
            });
        }
    }
}

#[tokio::test]
async fn a_closed_reader_is_fatal_and_says_so() {
    let (mut reader, writer) = io::pipe().unwrap();
    let output = StdoutOutput::to("out", &StdoutOptions::default(), Box::new(writer));
    output.write(&[put("a", 1)]).await.unwrap();
    let mut first = [0; 8];
    reader.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"{\"id\":\"a");
    drop(reader);
    let error = output.write(&[put("a", 2)]).await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert!(error.to_string().contains("has closed it"), "{error}");
}
