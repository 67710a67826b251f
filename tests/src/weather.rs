//! Faults by chance, for servers that are to be unreliable: the same seed, the same faults in the
//! same order of requests.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::{Response, header};
use futures_util::stream::{self, StreamExt as _};

/// One request in so many goes wrong.
#[derive(Debug)]
pub(crate) struct Weather {
    random: fastrand::Rng,
    one_in: u32,
}

impl Weather {
    pub(crate) fn new(seed: u64, one_in: u32) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            one_in: one_in.max(1),
        }
    }

    /// Where the faults are drawn from, if this request meets one.
    pub(crate) fn strikes(&mut self) -> Option<&mut fastrand::Rng> {
        (self.random.u32(0..self.one_in) == 0).then_some(&mut self.random)
    }
}

/// One of these, the default if there are none.
pub(crate) fn one_of<T: Clone + Default>(random: &mut fastrand::Rng, these: &[T]) -> T {
    random.choice(these).cloned().unwrap_or_default()
}

/// The connection breaks after these bytes of an answer that was to be of `length` bytes.
pub(crate) fn cut_after(
    mut response: Response<Body>,
    kept: Bytes,
    length: usize,
) -> Response<Body> {
    let first = stream::once(async { Ok(kept) });
    let then = stream::once(async {
        // The server sends what it has when its body has nothing more for now.
        tokio::task::yield_now().await;
        Err(io::Error::other("connection cut on purpose"))
    });
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length.into());
    *response.body_mut() = Body::from_stream(first.chain(then));
    response
}

/// So many turns of the executor: others get on, and the answer is late.
pub(crate) async fn turns(count: u32) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_weather() {
        let draws = |seed| -> Vec<Option<u32>> {
            let mut weather = Weather::new(seed, 4);
            (0..400)
                .map(|_| weather.strikes().map(|random| random.u32(..)))
                .collect()
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
        let faults = draws(7).iter().flatten().count();
        assert!((50..150).contains(&faults), "{faults} of 400");
    }
}
