//! Another mapping takes over while pages are on their way.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::fakes::{Act, LATER, World};
use crate::{Batch, Mapped, MappingIdentity, Options, Slot, Transform, TransformError};

/// Maps as the fake does, under a name, and is replaced by another after some batches.
struct Named {
    name: &'static str,
    flags: Map<String, Value>,
    fake: Arc<dyn Transform>,
    batches: Mutex<usize>,
    after: usize,
    next: Mutex<Option<(Slot, Arc<dyn Transform>)>>,
    log: Arc<Mutex<Vec<&'static str>>>,
}

#[async_trait]
impl Transform for Named {
    fn identity(&self) -> Arc<MappingIdentity> {
        Arc::new(MappingIdentity {
            name: self.name.to_owned(),
            version: "1".to_owned(),
            digest: self.name.repeat(32),
            settings: String::new(),
        })
    }

    fn search_flags(&self) -> &Map<String, Value> {
        &self.flags
    }

    fn private_types(&self) -> Arc<BTreeSet<String>> {
        Arc::default()
    }

    async fn transform(&self, batch: Batch) -> Result<Vec<Mapped>, TransformError> {
        let at = {
            let mut batches = self.batches.lock().unwrap();
            *batches += 1;
            *batches
        };
        if at == self.after
            && let Some((slot, next)) = self.next.lock().unwrap().take()
        {
            slot.replace(next);
        }
        let mapped = self.fake.transform(batch).await?;
        self.log.lock().unwrap().push(self.name);
        Ok(mapped)
    }
}

/// Runs this world with two mappings; the first is replaced while it maps its `after`th batch.
/// Who mapped each batch.
async fn swapped(world: &Arc<World>, after: usize, flags: [Value; 2]) -> Vec<&'static str> {
    let (mut pipeline, ledger) = world.pipeline(Options {
        backoff: crate::Backoff::SERVICE,
        ..Options::default()
    });
    let fake = pipeline.mapping.current();
    let log = Arc::default();
    let [first, second] = flags.map(|flags| flags.as_object().unwrap().clone());
    let named = |name, flags, after| {
        Arc::new(Named {
            name,
            flags,
            fake: Arc::clone(&fake),
            batches: Mutex::default(),
            after,
            next: Mutex::default(),
            log: Arc::clone(&log),
        })
    };
    let (old, new) = (named("aa", first, after), named("bb", second, 0));
    let slot = Slot::new(Arc::clone(&old) as Arc<dyn Transform>);
    *old.next.lock().unwrap() = Some((slot.clone(), new));
    pipeline.mapping = slot;
    pipeline.run(CancellationToken::new()).await.unwrap();
    assert_eq!(ledger.counts().balance(), Ok(()));
    let log = log.lock().unwrap();
    log.clone()
}

#[tokio::test(start_paused = true)]
async fn a_page_is_mapped_by_the_mapping_that_it_was_asked_for() {
    // While the first page is mapped, the next is asked for.
    let world = World::new(
        &[&["a", "b", "c"], &["d", "e", "f"], &["g"], &["h"], &["i"]],
        &["out"],
    );
    let flags = [json!({"excludeGalaxy": 1}), json!({})];
    let mapped = swapped(&world, 1, flags.clone()).await;
    assert_eq!(
        world.stored("out"),
        ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
    );
    let old = mapped.iter().filter(|name| **name == "aa").count();
    let asked = world.flags.lock().unwrap().clone();
    let asked_old = asked.iter().filter(|asked| **asked == flags[0]).count();
    assert!((1..5).contains(&asked_old), "{asked:?}");
    // A page is one batch here.
    assert_eq!(old, asked_old, "{mapped:?} {asked:?}");
    let turned = mapped.iter().position(|name| *name == "bb").unwrap();
    assert!(
        mapped.iter().skip(turned).all(|name| *name == "bb"),
        "{mapped:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_mapping_that_fails_is_relieved_by_the_one_that_takes_over() {
    let world = World::new(&[&["a"], &["b"]], &["out"]);
    world.mapping.then([Act::Fail(LATER)]);
    let mapped = swapped(&world, 1, [json!({}), json!({})]).await;
    assert_eq!(world.stored("out"), ["a", "b"]);
    assert_eq!(
        mapped[0], "bb",
        "the page that failed is the new one's: {mapped:?}"
    );
}
