//! Input in, documents out.

use std::io::{self, BufRead, Write};
use std::ops::ControlFlow;
use std::time::{SystemTime, UNIX_EPOCH};

use adapter_shell::{Adapter, Answer, Layout, Limits, Refusal};
use serde::Serialize;

use crate::lines::{self, Line};

/// The command at work.
pub(crate) struct Command<W> {
    adapter: Adapter,
    mapping: Option<Layout>,
    /// One JSON array for each line of the input.
    array: bool,
    out: W,
}

/// Where in the input something is; goes to stderr with a refusal.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place<'p> {
    /// A line of stdin, from 1.
    Line(u64),
    /// A file.
    File(&'p str),
}

#[derive(Serialize)]
struct Diagnostic<'d> {
    #[serde(flatten)]
    place: Place<'d>,
    #[serde(flatten)]
    refusal: &'d Refusal,
}

impl<W: Write> Command<W> {
    pub(crate) fn new(adapter: Adapter, mapping: Option<Layout>, array: bool, out: W) -> Self {
        Self {
            adapter,
            mapping,
            array,
            out,
        }
    }

    /// Maps each line of a stream; what came of it is written before the next is read.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub(crate) fn lines(&mut self, mut input: impl BufRead) -> io::Result<()> {
        let mut number = 0;
        while let Some(line) = lines::next(&mut input, Limits::COMMAND.record)? {
            number += 1;
            match line {
                Line::Whole(line) => self.record(&line, Place::Line(number))?,
                Line::TooLong(length) => {
                    let limit = Limits::COMMAND.record;
                    let text = format!("the line is {length} bytes long, the limit is {limit}");
                    self.refuse(&Refusal::new("too-large", text), Place::Line(number))?;
                }
            }
        }
        Ok(())
    }

    /// Maps one piece of input and writes everything that comes of it.
    ///
    /// # Errors
    /// When writing fails.
    pub(crate) fn record(&mut self, record: &[u8], place: Place<'_>) -> io::Result<()> {
        let mapping = self.mapping;
        self.answer(place, |adapter, now_ms, sink| {
            adapter.map(record, mapping, now_ms, sink);
        })
    }

    /// Says that one piece of input was refused before it could be mapped.
    ///
    /// # Errors
    /// When writing fails.
    pub(crate) fn refuse(&mut self, refusal: &Refusal, place: Place<'_>) -> io::Result<()> {
        self.answer(place, |adapter, now_ms, sink| {
            adapter.refuse(refusal, now_ms, sink);
        })
    }

    fn answer(
        &mut self,
        place: Place<'_>,
        work: impl FnOnce(&mut Adapter, i64, &mut dyn FnMut(Answer<'_>) -> ControlFlow<()>),
    ) -> io::Result<()> {
        let (array, out) = (self.array, &mut self.out);
        let mut count = 0_u64;
        let mut done = Ok(());
        let mut sink = |answer: Answer<'_>| {
            let written = write(out, array, &mut count, place, answer);
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    done = Err(error);
                    ControlFlow::Break(())
                }
            }
        };
        work(&mut self.adapter, now_ms(), &mut sink);
        done?;
        if array {
            self.out
                .write_all(if count == 0 { b"[]\n" } else { b"]\n" })?;
        }
        self.out.flush()
    }
}

fn write(
    out: &mut impl Write,
    array: bool,
    count: &mut u64,
    place: Place<'_>,
    answer: Answer<'_>,
) -> io::Result<()> {
    if let Answer::Refused { refusal, .. } = answer {
        let mut line = serde_json::to_vec(&Diagnostic { place, refusal })?;
        line.push(b'\n');
        io::stderr().write_all(&line)?;
    }
    let Some((json, _)) = answer.json() else {
        return Ok(());
    };
    if array {
        out.write_all(if *count == 0 { b"[" } else { b"," })?;
        out.write_all(json)?;
    } else {
        out.write_all(json)?;
        out.write_all(b"\n")?;
    }
    *count += 1;
    Ok(())
}

/// The time; 0 where the engine has no clock.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
