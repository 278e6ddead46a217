use crate::bench::*;
use tandem_core::Notice;
use tandem_store::{InboxEntry, Store};
use uuid::Uuid;

crate::conformance!(
    a_spooled_call_is_no_notice_yet_and_is_counted_as_work_to_do,
    a_page_is_entered_as_if_its_calls_had_just_been_accepted,
    pages_are_entered_in_their_order_and_each_by_one_of_many,
    a_call_that_the_inbox_has_already_notices_nothing_again,
    a_page_that_the_database_refuses_keeps_no_other_call_back_and_is_not_lost,
    a_page_of_this_version_stays_readable,
    a_page_that_cannot_be_read_is_told_and_keeps_no_other_back,
    spooling_nothing_makes_no_page,
);

fn call(notice: Option<Notice>) -> InboxEntry {
    InboxEntry {
        id: Uuid::now_v7(),
        route: "crm/identity".into(),
        remote: "192.0.2.1".into(),
        event: Some("Update\0".into()),
        kind_word: Some("Identity".into()),
        label: Some("مخاطب حقیقی".into()),
        note: notice.is_none().then(|| "a lead".to_owned()),
        notice,
    }
}

fn about(ids: &[&str]) -> Vec<InboxEntry> {
    ids.iter().map(|id| call(Some(notice(id)))).collect()
}

async fn spooled(store: &Store) -> u64 {
    store.open_work(None, now()).await.unwrap().spooled
}

async fn a_spooled_call_is_no_notice_yet_and_is_counted_as_work_to_do(b: Bench) {
    b.store.spool(&about(&["1", "2", "1"]), now()).await.unwrap();
    assert_eq!((spooled(&b.store).await, b.store.counts().await.unwrap().len()), (3, 0));
    assert!(b.store.webhook_events(9).await.unwrap().is_empty());
    assert_eq!(b.store.leftovers(now()).await.unwrap(), ["3 webhook calls are in the spool"]);
}

async fn a_page_is_entered_as_if_its_calls_had_just_been_accepted(b: Bench) {
    let mut calls = about(&["1", "2", "1"]);
    calls.push(call(None));
    b.store.spool(&calls, now()).await.unwrap();
    let page = b.another().await.unspool(later(7)).await.unwrap().expect("there is a page");
    assert_eq!((page.calls, page.refused.is_none()), (4, true));
    assert_eq!(page.nudges.iter().map(|n| n.key.source_id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    let (one, two) = (b.row("1").await, b.row("2").await);
    assert_eq!((one.noticed, two.noticed, two.noticed_at, two.due_at), (2, 1, later(7), later(7)));
    assert!(b.store.claim_due(&claim(), later(8)).await.unwrap().is_empty(), "they are marked as published");
    let events = b.store.webhook_events(9).await.unwrap();
    assert_eq!((events.len(), events[0].received_at), (4, now()), "the inbox keeps when they came");
    assert_eq!(events[0].label.as_deref(), Some("مخاطب حقیقی"));
    assert_eq!(spooled(&b.store).await, 0);
    assert!(b.store.unspool(later(9)).await.unwrap().is_none());
}

async fn pages_are_entered_in_their_order_and_each_by_one_of_many(b: Bench) {
    for n in 0..20 {
        b.store.spool(&about(&[&n.to_string(), "all"]), later(n)).await.unwrap();
    }
    assert_eq!(b.store.unspool(later(30)).await.unwrap().unwrap().nudges[0].key, key("0"), "the oldest first");
    let mut copies = Vec::new();
    for _ in 0..4 {
        let store = b.another().await;
        copies.push(tokio::spawn(async move {
            let mut calls = 0;
            while let Some(page) = store.unspool(later(30)).await.unwrap() {
                assert!(page.refused.is_none());
                calls += page.calls;
            }
            calls
        }));
    }
    let mut calls = 0;
    for copy in copies {
        calls += copy.await.unwrap();
    }
    assert_eq!((calls, spooled(&b.store).await), (38, 0));
    assert_eq!(b.row("all").await.noticed, 20);
}

async fn a_call_that_the_inbox_has_already_notices_nothing_again(b: Bench) {
    let calls = about(&["1", "2"]);
    b.store.accept(&calls[..1], now()).await.unwrap();
    b.store.spool(&calls, later(1)).await.unwrap();
    b.store.spool(&calls, later(1)).await.unwrap();
    assert_eq!(b.store.unspool(later(2)).await.unwrap().unwrap().nudges.len(), 1);
    assert!(b.store.unspool(later(2)).await.unwrap().unwrap().nudges.is_empty());
    assert_eq!((b.row("1").await.noticed, b.row("2").await.noticed), (1, 1));
}

async fn a_page_that_the_database_refuses_keeps_no_other_call_back_and_is_not_lost(b: Bench) {
    b.execute(if b.is_sqlite() {
        "CREATE TRIGGER no_poison BEFORE INSERT ON entity_mapping WHEN NEW.source_id = 'poison' BEGIN SELECT RAISE(ABORT, 'no poison'); END"
    } else {
        "ALTER TABLE entity_mapping ADD CONSTRAINT no_poison CHECK (source_id <> 'poison')"
    })
    .await;
    b.store.spool(&about(&["1", "poison", "2"]), now()).await.unwrap();
    b.store.spool(&about(&["3"]), now()).await.unwrap();
    let mut refused = 0;
    while let Some(page) = b.store.unspool(later(1)).await.unwrap() {
        refused += usize::from(page.refused.is_some());
    }
    assert_eq!(refused, 1, "said of the call, once");
    for id in ["1", "2", "3"] {
        assert_eq!(b.row(id).await.noticed, 1);
    }
    assert_eq!(spooled(&b.store).await, 1, "the refused call is still there");
    b.execute(if b.is_sqlite() {
        "DROP TRIGGER no_poison"
    } else {
        "ALTER TABLE entity_mapping DROP CONSTRAINT no_poison"
    })
    .await;
    assert!(b.store.unspool(later(200)).await.unwrap().is_none(), "it is left for a while");
    assert_eq!(b.store.unspool(later(400)).await.unwrap().unwrap().calls, 1);
    assert_eq!((b.row("poison").await.noticed, spooled(&b.store).await), (1, 0));
    assert_eq!(b.store.webhook_events(9).await.unwrap()[0].received_at, now());
}

/// As this version writes it. The next one has to read what this one left in the spool.
const A_PAGE: &str = r#"[{"id":"01927f0e-0000-7000-8000-000000000001","route":"crm/identity","remote":"192.0.2.1","event":"Update","kind_word":"Identity","label":"x","notice":{"key":{"bridge":"siagh","kind":"customer","source_id":"1"},"hint":"person","trigger":"WEBHOOK","actor":"crm","lane":"live"}},{"id":"01927f0e-0000-7000-8000-000000000002","route":"crm/identity","remote":"192.0.2.1","note":"a lead"}]"#;

async fn a_page_of_this_version_stays_readable(b: Bench) {
    b.spool_text(A_PAGE).await;
    assert_eq!(b.store.unspool(later(1)).await.unwrap().unwrap().calls, 2);
    assert_eq!(b.row("1").await.hint.as_deref(), Some("person"));
    let event = &b.store.webhook_events(9).await.unwrap()[1];
    assert_eq!((event.event.as_deref(), event.note.as_deref()), (Some("Update"), None));
}

async fn a_page_that_cannot_be_read_is_told_and_keeps_no_other_back(b: Bench) {
    b.spool_text("[{\"of\": \"another version\"}]").await;
    b.store.spool(&about(&["1"]), now()).await.unwrap();
    let told = b.store.unspool(later(1)).await.unwrap().unwrap().refused.expect("it can't be entered").to_string();
    assert!(told.contains("unreadable page of webhook calls"), "{told}");
    assert_eq!(b.store.unspool(later(1)).await.unwrap().unwrap().calls, 1);
    assert_eq!((spooled(&b.store).await, b.row("1").await.noticed), (1, 1), "nothing is thrown away");
}

async fn spooling_nothing_makes_no_page(b: Bench) {
    b.store.spool(&[], now()).await.unwrap();
    assert!(b.store.unspool(now()).await.unwrap().is_none());
}
