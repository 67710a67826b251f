//! What the state remembers, seen from outside: what an output gets, and what it does not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod world;

use std::sync::{Arc, mpsc};
use std::time::Duration;

use pipeline::{Options, OutputKey, Resend, Standing, State};
use tokio_util::sync::CancellationToken;
use world::{ONE_BY_ONE, World, has, sweeping, told};

#[tokio::test]
async fn one_edit_of_a_big_event_sends_one_document() {
    let world = World::new(&["lab"]);
    for number in 0..50 {
        world.server("lab").set("e", &format!("a{number}"), "old");
    }
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(told(&world), (50, 0));
    world.server("lab").set("e", "a7", "new");
    world.server("lab").publish("e");
    let ledger = world.poll("lab").await;
    assert_eq!(told(&world), (51, 0));
    assert_eq!(ledger.counts().outputs["out"].unchanged, 49);
    assert_eq!(world.values("out"), world.server("lab").published());
    let all = Options {
        resend: Resend::All,
        ..Options::default()
    };
    world.server("lab").publish("e");
    world.poll_with("lab", all).await;
    assert_eq!(told(&world), (101, 0));
}

#[tokio::test]
async fn a_page_that_holds_an_event_twice_ends_with_the_later() {
    let mut world = World::new(&["lab"]);
    world.batch = ONE_BY_ONE;
    world.server("lab").set("e", "a", "as it was");
    let mut earlier = world.server("lab").events["e"].clone();
    earlier.published = true;
    world.server("lab").set("e", "a", "as it is");
    world.server("lab").publish("e");
    world.poll("lab").await;
    // Somebody edits while the server writes its answer, and it holds the event before and after.
    world.server("lab").earlier.insert("e".to_owned(), earlier);
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(world.values("out"), has(&[("a", "as it is")]));
    assert_eq!(told(&world), (3, 0));
    world.server("lab").earlier.clear();
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(told(&world), (3, 0));
}

#[tokio::test]
async fn what_left_its_event_is_withdrawn() {
    let world = World::new(&["lab"]);
    for name in ["a", "b", "c", "d", "e"] {
        world.server("lab").set("one", name, name);
    }
    world.server("lab").set("two", "z", "z");
    world.server("lab").publish("one");
    world.server("lab").publish("two");
    world.poll("lab").await;
    world.server("lab").remove("one", "b");
    world.server("lab").remove("one", "e");
    world.server("lab").publish("one");
    let ledger = world.poll("lab").await;
    assert_eq!(told(&world), (6, 2));
    assert_eq!(ledger.counts().outputs["out"].withdrawn, 2);
    assert_eq!(world.values("out"), world.server("lab").published());
    // It comes back: it is sent again.
    world.server("lab").set("one", "b", "b");
    world.server("lab").publish("one");
    world.poll("lab").await;
    assert_eq!(told(&world), (7, 2));
    assert_eq!(world.values("out"), world.server("lab").published());
}

#[tokio::test]
async fn an_event_without_attributes_has_a_document_until_it_gets_one() {
    let world = World::new(&["lab"]);
    world.server("lab").set("e", "a", "x");
    world.server("lab").remove("e", "a");
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(world.values("out"), has(&[("e", "")]));
    world.poll_with("lab", sweeping()).await;
    assert_eq!(world.values("out"), has(&[("e", "")]), "no part of a sweep");
    world.server("lab").set("e", "a", "x");
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(world.values("out"), has(&[("a", "x")]));
}

#[tokio::test]
async fn a_fault_in_an_event_withdraws_nothing_of_it() {
    let world = World::new(&["lab"]);
    for name in ["a", "b", "c"] {
        world.server("lab").set("e", name, name);
    }
    world.server("lab").publish("e");
    world.poll("lab").await;
    world.mapping.lock().unwrap().refuses.insert("a".to_owned());
    world.server("lab").remove("e", "c");
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(told(&world), (3, 0));
    assert_eq!(world.letters.lock().unwrap().len(), 1);
    world.mapping.lock().unwrap().refuses.clear();
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(told(&world), (3, 1));
    assert_eq!(world.values("out"), has(&[("a", "a"), ("b", "b")]));
}

#[tokio::test]
async fn a_record_that_is_refused_whole_is_not_read_again_by_each_sweep() {
    let world = World::new(&["lab"]);
    for name in ["a", "b", "c"] {
        world.server("lab").set("e", name, name);
    }
    world.server("lab").publish("e");
    let refused = |world: &World, refused: bool| {
        let mut mapping = world.mapping.lock().unwrap();
        mapping.refuses_whole.clear();
        mapping
            .refuses_whole
            .extend(refused.then(|| "e".to_owned()));
    };
    refused(&world, true);
    world.poll("lab").await;
    // One for each of its two slices.
    assert_eq!(world.letters.lock().unwrap().len(), 2);
    for _ in 0..2 {
        let ledger = world.poll_with("lab", sweeping()).await;
        assert_eq!(ledger.counts().sweep.unwrap().missing, 0);
    }
    assert_eq!(world.letters.lock().unwrap().len(), 2);
    refused(&world, false);
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(world.values("out"), world.server("lab").published());
}

#[tokio::test]
async fn a_document_that_the_output_refused_is_not_withdrawn_nor_sent_for_ever() {
    let world = World::new(&["lab"]);
    world.server("lab").set("e", "a", "x");
    world.server("lab").set("e", "b", "x");
    world.server("lab").publish("e");
    let received = world.received("out", "here");
    received.lock().unwrap().refuses.insert("a".to_owned());
    world.poll("lab").await;
    assert_eq!(world.letters.lock().unwrap().len(), 1);
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(
        world.letters.lock().unwrap().len(),
        1,
        "refused once, said once"
    );
    assert_eq!(told(&world), (1, 0));
    received.lock().unwrap().refuses.clear();
    world.server("lab").set("e", "a", "y");
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(world.values("out"), has(&[("a", "y"), ("b", "x")]));
}

#[tokio::test]
async fn a_delete_of_what_was_never_sent_is_not_sent() {
    let world = World::new(&["lab"]);
    world
        .mapping
        .lock()
        .unwrap()
        .deletes
        .insert("gone".to_owned());
    world.server("lab").set("e", "a", "gone");
    world.server("lab").set("e", "b", "there");
    world.server("lab").publish("e");
    let ledger = world.poll("lab").await;
    assert_eq!(told(&world), (1, 0));
    assert_eq!(ledger.counts().outputs["out"].unchanged, 1);
    // It is known all the same: a sweep does not fetch it for ever.
    let ledger = world.poll_with("lab", sweeping()).await;
    let sweep = ledger.counts().sweep.unwrap();
    assert_eq!((sweep.listed, sweep.held, sweep.missing), (2, 2, 0));
    world.server("lab").set("e", "b", "gone");
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(told(&world), (1, 1));
    assert_eq!(world.values("out"), has(&[]));
}

#[tokio::test]
async fn a_sweep_withdraws_what_vanished_without_a_word() {
    let world = World::new(&["lab"]);
    for (event, attribute) in [("one", "a"), ("two", "b"), ("three", "c"), ("four", "d")] {
        world.server("lab").set(event, attribute, attribute);
        world.server("lab").publish(event);
    }
    world.poll("lab").await;
    world.server("lab").delete("one");
    // Unpublished by hand, unchanged since it was published.
    world.server("lab").events.get_mut("two").unwrap().published = false;
    // Being worked on.
    world.server("lab").set("three", "c", "new");
    let ledger = world.poll_with("lab", sweeping()).await;
    assert_eq!(world.values("out"), has(&[("c", "c"), ("d", "d")]));
    let sweep = ledger.counts().sweep.unwrap();
    assert_eq!(
        (sweep.listed, sweep.held, sweep.orphaned, sweep.worked_on),
        (1, 4, 2, 1)
    );
    world.server("lab").publish("three");
    world.poll_with("lab", sweeping()).await;
    assert_eq!(world.values("out"), world.server("lab").published());
}

#[tokio::test]
async fn a_sweep_fetches_what_never_came() {
    let world = World::new(&["lab"]);
    world.server("lab").set("new", "a", "a");
    world.server("lab").publish("new");
    world.poll("lab").await;
    // Behind the cursor: no walk sees these again.
    {
        let mut server = world.server("lab");
        server.set("old", "b", "b");
        let event = server.events.get_mut("old").unwrap();
        (event.published, event.publish_timestamp) = (true, 1);
        let event = server.events.get_mut("new").unwrap();
        let attribute = event.attributes.get_mut("a").unwrap();
        (attribute.value, attribute.timestamp) = ("changed".to_owned(), 99);
    }
    world.poll("lab").await;
    assert_eq!(world.values("out"), has(&[("a", "a")]));
    let ledger = world.poll_with("lab", sweeping()).await;
    assert_eq!(world.values("out"), world.server("lab").published());
    let sweep = ledger.counts().sweep.unwrap();
    assert_eq!((sweep.missing, sweep.stale), (1, 1));
    assert_eq!(world.open().wanted("lab", 0, None, 10).unwrap(), [""; 0]);
    let ledger = world.poll_with("lab", sweeping()).await;
    let sweep = ledger.counts().sweep.unwrap();
    assert_eq!((sweep.missing, sweep.stale, sweep.orphaned), (0, 0, 0));
}

#[tokio::test]
async fn an_emptied_answer_empties_nothing() {
    let world = World::new(&["lab"]);
    for number in 0..20 {
        world.server("lab").set("e", &format!("a{number}"), "x");
    }
    world.server("lab").publish("e");
    world.poll("lab").await;
    world.server("lab").empty_listing = true;
    let ledger = world.poll_with("lab", sweeping()).await;
    assert_eq!(told(&world), (20, 0));
    assert_eq!(ledger.counts().sweep_held_back, 20);
    let confirmed = Options {
        sweep_confirmed: true,
        ..sweeping()
    };
    world.poll_with("lab", confirmed).await;
    assert_eq!(told(&world), (20, 20));
}

#[tokio::test]
async fn instances_share_a_document_until_the_last_lets_go() {
    let world = World::new(&["partner", "lab"]);
    world.server("lab").set("e", "a", "from lab");
    world.server("lab").publish("e");
    world.server("partner").set("e", "a", "from partner");
    world.server("partner").publish("e");
    world.poll("lab").await;
    world.poll("partner").await;
    assert_eq!(world.values("out"), has(&[("a", "from partner")]));
    // The one whose copy is out lets go: the other's is fetched.
    world.server("partner").remove("e", "a");
    world.server("partner").set("e", "b", "more");
    world.server("partner").publish("e");
    world.poll("partner").await;
    assert_eq!(told(&world), (3, 0));
    world.poll("lab").await;
    assert_eq!(
        world.values("out"),
        has(&[("a", "from lab"), ("b", "more")])
    );
    world.server("lab").delete("e");
    world.poll_with("lab", sweeping()).await;
    assert_eq!(world.values("out"), has(&[("b", "more")]));
}

#[tokio::test]
async fn an_output_that_is_new_alone_gets_everything() {
    let world = World::new(&["lab"]);
    for event in ["one", "two", "three"] {
        world.server("lab").set(event, event, event);
        world.server("lab").publish(event);
    }
    world.poll("lab").await;
    let key = |target: &str| OutputKey {
        name: "out".to_owned(),
        target: target.to_owned(),
    };
    let store = world.open();
    assert_eq!(
        store.standing("lab", &key("here")).unwrap(),
        Standing::Current
    );
    assert_eq!(
        store.standing("lab", &key("there")).unwrap(),
        Standing::Behind
    );
    assert_eq!(
        store.standing("other", &key("here")).unwrap(),
        Standing::New
    );
    let (pipeline, _) = world.pipeline(&store, "lab", &[("out", "there")], Options::default());
    pipeline.run(CancellationToken::new()).await.unwrap();
    assert_eq!(
        store.standing("lab", &key("there")).unwrap(),
        Standing::Current
    );
    assert_eq!(told(&world), (3, 0));
    assert_eq!(world.received("out", "there").lock().unwrap().puts, 3);
    assert_eq!(
        store.instances().unwrap().len(),
        1,
        "its own walk is forgotten"
    );
}

#[tokio::test]
async fn a_reset_instance_sends_everything_again_and_forgets_nobody_elses() {
    let world = World::new(&["lab", "partner"]);
    world.server("lab").set("e", "a", "x");
    world.server("lab").publish("e");
    world.server("partner").set("f", "b", "y");
    world.server("partner").publish("f");
    world.poll("lab").await;
    world.poll("partner").await;
    assert!(world.open().reset("lab").unwrap());
    assert!(!world.open().reset("lab").unwrap());
    world.poll("lab").await;
    world.poll("partner").await;
    assert_eq!(told(&world), (3, 0));
}

#[tokio::test]
async fn a_refresh_reads_everything_and_sends_what_changed_without_a_clock() {
    let world = World::new(&["lab"]);
    world.server("lab").set("one", "a", "x");
    world.server("lab").set("two", "b", "x");
    world.server("lab").publish("one");
    world.server("lab").publish("two");
    world.poll("lab").await;
    let change = |value: &str| {
        let mut server = world.server("lab");
        let event = server.events.get_mut("one").unwrap();
        event.attributes.get_mut("a").unwrap().value = value.to_owned();
    };
    change("scored");
    world.poll_with("lab", sweeping()).await;
    assert_eq!(told(&world), (2, 0));
    let refreshing = Options {
        refresh: Some(Duration::ZERO),
        ..Options::default()
    };
    let ledger = world.poll_with("lab", refreshing).await;
    assert_eq!(told(&world), (3, 0));
    assert_eq!(ledger.counts().documents, 2);
    assert_eq!(world.values("out"), world.server("lab").published());
}

#[tokio::test]
async fn many_polls_of_a_changing_server_end_where_it_is() {
    let world = World::new(&["lab"]);
    let store = world.open();
    for round in 0..20 {
        {
            let mut server = world.server("lab");
            for event in 0..4 {
                let event = format!("e{event}");
                server.set(
                    &event,
                    &format!("{event}-{}", round % 5),
                    &round.to_string(),
                );
                server.remove(&event, &format!("{event}-{}", (round + 2) % 5));
                server.publish(&event);
            }
        }
        let (pipeline, ledger) =
            world.pipeline(&store, "lab", &[("out", "here")], Options::default());
        pipeline.run(CancellationToken::new()).await.unwrap();
        assert_eq!(ledger.counts().balance(), Ok(()));
        assert_eq!(world.values("out"), world.server("lab").published());
    }
    assert_eq!(Arc::strong_count(&store), 1);
}

#[tokio::test]
async fn a_delete_that_is_refused_stays_held_and_is_tried_again() {
    let world = World::new(&["lab"]);
    for attribute in ["stays", "goes", "is-refused"] {
        world.server("lab").set("e", attribute, "x");
    }
    world.server("lab").publish("e");
    world.poll("lab").await;
    let refuse = |id: Option<&str>| {
        let received = world.received("out", "here");
        received.lock().unwrap().refuses = id.map(str::to_owned).into_iter().collect();
    };
    refuse(Some("is-refused"));
    world.server("lab").remove("e", "goes");
    world.server("lab").remove("e", "is-refused");
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(
        world.values("out"),
        has(&[("is-refused", "x"), ("stays", "x")])
    );
    {
        let letters = world.letters.lock().unwrap();
        let letter = letters.last().unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(letter.attribute.as_deref(), Some("is-refused"));
        assert_eq!(letter.output.as_deref(), Some("out"));
        assert!(letter.input.contains("\"delete\""), "{}", letter.input);
    }
    refuse(None);
    world.poll_with("lab", sweeping()).await;
    assert_eq!(world.values("out"), has(&[("stays", "x")]));
    let told_now = told(&world);
    world.poll_with("lab", sweeping()).await;
    assert_eq!(told(&world), told_now);
}

#[tokio::test]
async fn the_document_of_an_event_without_attributes_goes_with_its_event() {
    let world = World::new(&["lab"]);
    for event in ["bare", "full"] {
        world.server("lab").set(event, event, "x");
    }
    world.server("lab").remove("bare", "bare");
    world.server("lab").publish("bare");
    world.server("lab").publish("full");
    world.poll("lab").await;
    assert_eq!(world.values("out").len(), 2);
    world.poll_with("lab", sweeping()).await;
    assert_eq!(world.values("out").len(), 2, "it is still there");
    world.server("lab").delete("bare");
    world.poll_with("lab", sweeping()).await;
    assert_eq!(world.values("out"), has(&[("full", "x")]));
    let told_now = told(&world);
    world.poll_with("lab", sweeping()).await;
    assert_eq!(told(&world), told_now);
}

#[tokio::test]
async fn who_reads_the_store_holds_up_no_commit() {
    let world = World::new(&["lab"]);
    world.server("lab").set("e", "a", "x");
    world.server("lab").publish("e");
    world.poll("lab").await;
    let store = world.open();
    let mut seen = 0;
    let exported = store.export(&mut |_| {
        seen += 1;
        let (other, (committed, came)) = (Arc::clone(&store), mpsc::channel());
        std::thread::spawn(move || committed.send(other.set_done("lab", "a test", seen)));
        let came = came.recv_timeout(Duration::from_secs(20));
        came.expect("a commit waits for the export").unwrap();
        Ok(())
    });
    exported.unwrap().unwrap();
    assert_eq!(seen, 1);
    assert_eq!(store.last_done("lab", "a test").unwrap(), Some(1));
}

#[tokio::test]
async fn a_fault_in_an_earlier_page_of_an_event_keeps_its_documents() {
    let world = World::new(&["lab"]);
    world.server("lab").attributes_at_once = Some(2);
    let all = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
    for (attribute, value) in all {
        world.server("lab").set("e", attribute, value);
    }
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(world.values("out"), has(&all));
    world.mapping.lock().unwrap().refuses.insert("a".to_owned());
    world.server("lab").set("e", "d", "5");
    world.server("lab").publish("e");
    world.poll("lab").await;
    let kept = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "5")];
    assert_eq!(world.values("out"), has(&kept));
    // Without a fault, what left the event is deleted as ever.
    world.mapping.lock().unwrap().refuses.clear();
    world.server("lab").remove("e", "a");
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(world.values("out"), has(&kept[1..]));
}
