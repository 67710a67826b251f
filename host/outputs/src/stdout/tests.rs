use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
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
    assert_eq!(error.class(), Class::Permanent);
    assert!(error.to_string().contains("has closed it"), "{error}");
}

/// Not a test of its own: a process with a standard output to look at.
#[tokio::test]
#[ignore = "started by the_real_standard_output_is_written_until_it_is_closed"]
async fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let output = StdoutOutput::new("out", &StdoutOptions::default());
    output.check().await.unwrap();
    // A pipe holds less than all of this: it ends when the reader goes away.
    for version in 0..100_000 {
        let batch: Vec<_> = (0..100).map(|id| put(&id.to_string(), version)).collect();
        if let Err(error) = output.write(&batch).await {
            assert_eq!(error.class(), Class::Permanent, "{error}");
            std::process::exit(42);
        }
    }
}

const CHILD: &str = "MISP_ECS_TEST_STDOUT";

#[test]
fn the_real_standard_output_is_written_until_it_is_closed() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "stdout::tests::child",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The test harness of the child says a few words first.
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut documents = lines.filter_map(|line| {
        let start = line.find('{')?;
        serde_json::from_str::<serde_json::Value>(&line[start..]).ok()
    });
    for id in (0..1_000).map(|id| id % 100) {
        assert_eq!(documents.next().unwrap()["id"], id.to_string());
    }
    drop(documents);
    assert_eq!(child.wait().unwrap().code(), Some(42));
}
