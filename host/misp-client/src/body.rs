//! Takes in the body of an answer: unpacked if need be, and never more than is allowed.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use splitter::{Body, Spool, SpoolError};

use crate::disk::DiskSpool;
use crate::error::ClientError;

/// Where the bytes of an answer end up.
pub trait Keep {
    /// Takes the next piece.
    ///
    /// # Errors
    /// When it does not fit or cannot be kept.
    fn push(&mut self, piece: &[u8]) -> Result<(), SpoolError>;
}

impl Keep for Spool {
    fn push(&mut self, piece: &[u8]) -> Result<(), SpoolError> {
        Self::push(self, piece)
    }
}

/// A small answer, in memory.
#[derive(Debug)]
pub struct Memory {
    /// What came so far.
    pub bytes: Vec<u8>,
    /// The most it may become, bytes.
    pub limit: usize,
}

impl Keep for Memory {
    fn push(&mut self, piece: &[u8]) -> Result<(), SpoolError> {
        if self.bytes.len() + piece.len() > self.limit {
            return Err(SpoolError::TooLarge {
                limit: self.limit as u64,
            });
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }
}

/// What a decoder writes into; remembers why it refused.
#[derive(Debug)]
struct Sink<K> {
    keep: K,
    refused: Option<SpoolError>,
}

impl<K: Keep> Write for Sink<K> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match self.keep.push(piece) {
            Ok(()) => Ok(piece.len()),
            Err(error) => {
                self.refused = Some(error);
                Err(io::Error::other("the piece was not taken"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Decoder<K: Keep> {
    Plain(Sink<K>),
    Gzip(Box<MultiGzDecoder<Sink<K>>>),
}

/// One body on its way in.
pub struct Intake<K: Keep> {
    decoder: Decoder<K>,
    received: u64,
    most: u64,
}

impl<K: Keep> Intake<K> {
    /// `encoding` is `Content-Encoding`, `most` the bytes allowed as they come over the wire.
    ///
    /// # Errors
    /// When it is neither gzip nor none.
    pub fn new(encoding: Option<&str>, keep: K, most: u64) -> Result<Self, ClientError> {
        let sink = Sink {
            keep,
            refused: None,
        };
        let decoder = match encoding.map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "identity") => Decoder::Plain(sink),
            Some("gzip" | "x-gzip") => Decoder::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Some(other) => {
                return Err(ClientError::Encoding {
                    encoding: other.to_owned(),
                    reason: "not one that was asked for".to_owned(),
                });
            }
        };
        Ok(Self {
            decoder,
            received: 0,
            most,
        })
    }

    /// Bytes that came so far, as they came.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Takes the next piece as it came.
    ///
    /// # Errors
    /// When it is too much, cannot be unpacked or cannot be kept.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), ClientError> {
        self.received += piece.len() as u64;
        if self.received > self.most {
            return Err(ClientError::TooLarge {
                limit: self.most,
                unpacked: false,
            });
        }
        let (result, sink) = match &mut self.decoder {
            Decoder::Plain(sink) => (sink.write_all(piece), sink),
            Decoder::Gzip(decoder) => (decoder.write_all(piece), decoder.get_mut()),
        };
        result.map_err(|error| refusal(sink.refused.take(), &error))
    }

    /// The body is complete: what kept it.
    ///
    /// # Errors
    /// When packed data end before their end, or do not fit.
    pub fn finish(self) -> Result<K, ClientError> {
        match self.decoder {
            Decoder::Plain(sink) => Ok(sink.keep),
            Decoder::Gzip(mut decoder) => {
                // `try_finish` checks length and checksum; a body cut within them fails here.
                if let Err(error) = decoder.try_finish() {
                    let refused = decoder.get_mut().refused.take();
                    return Err(match refused {
                        None => ClientError::Truncated {
                            received: self.received,
                            reason: format!("its gzip data do not end well: {error}"),
                        },
                        refused => refusal(refused, &error),
                    });
                }
                match decoder.finish() {
                    Ok(sink) => Ok(sink.keep),
                    Err(error) => Err(refusal(None, &error)),
                }
            }
        }
    }
}

/// The spooled body.
///
/// # Errors
/// When its temporary file fails.
pub fn spooled(spool: DiskSpool) -> Result<Body, ClientError> {
    spool.into_spool().finish().map_err(kept)
}

fn refusal(refused: Option<SpoolError>, error: &io::Error) -> ClientError {
    match refused {
        Some(refused) => kept(refused),
        None => ClientError::Encoding {
            encoding: "gzip".to_owned(),
            reason: error.to_string(),
        },
    }
}

fn kept(error: SpoolError) -> ClientError {
    match error {
        SpoolError::TooLarge { limit } => ClientError::TooLarge {
            limit,
            unpacked: true,
        },
        other => ClientError::Spool(other),
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn take(encoding: &str, pieces: &[&[u8]], limit: usize) -> Result<Vec<u8>, ClientError> {
        let memory = Memory {
            bytes: Vec::new(),
            limit,
        };
        let mut intake = Intake::new(Some(encoding), memory, u64::MAX)?;
        for piece in pieces {
            intake.push(piece)?;
        }
        Ok(intake.finish()?.bytes)
    }

    #[test]
    fn refuses_an_encoding_nobody_asked_for() {
        let error = take("br", &[], 9).unwrap_err();
        assert!(matches!(error, ClientError::Encoding { encoding, .. } if encoding == "br"));
        let error = take("gzip", &[b"not gzip at all, sorry"], 99).unwrap_err();
        assert!(matches!(error, ClientError::Encoding { .. }), "{error}");
    }

    proptest! {
        #[test]
        fn unpacks_whatever_the_pieces(
            bytes in prop::collection::vec(any::<u8>(), 0..2_000),
            cut in any::<prop::sample::Index>(),
        ) {
            let packed = gzip(&bytes);
            let (a, b) = packed.split_at(cut.index(packed.len()));
            prop_assert_eq!(&take("gzip", &[a, b], bytes.len()).unwrap(), &bytes);
            prop_assert_eq!(&take("identity", &[&bytes], bytes.len()).unwrap(), &bytes);
            if !bytes.is_empty() {
                let error = take("gzip", &[a, b], bytes.len() - 1).unwrap_err();
                let too_large = matches!(error, ClientError::TooLarge { unpacked: true, .. });
                prop_assert!(too_large, "{error}");
            }
        }

        #[test]
        fn a_cut_anywhere_is_noticed(
            bytes in prop::collection::vec(any::<u8>(), 0..500),
            cut in any::<prop::sample::Index>(),
        ) {
            let packed = gzip(&bytes);
            let kept = &packed[..cut.index(packed.len())];
            prop_assert!(take("gzip", &[kept], 1_000).is_err());
        }

        #[test]
        fn any_bytes_are_unpacked_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = take("gzip", &[&bytes], 1_000);
        }
    }
}
