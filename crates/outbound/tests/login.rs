//! One session for all: how many logins happen, and when none may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tandem_core::Fault;
use tandem_outbound::{Fresh, SharedLogin};

#[derive(Default)]
struct Counter(AtomicUsize);

impl Counter {
    async fn grant(&self, usable_for: Option<Duration>) -> Result<Fresh<usize>, Fault> {
        let session = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        Ok(Fresh { session, usable_for })
    }

    async fn refuse(&self, fault: Fault) -> Result<Fresh<usize>, Fault> {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Err(fault)
    }

    fn logins(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn locked() -> Fault {
    Fault::systemic("test.locked", "locked").after(Duration::from_secs(900))
}

#[tokio::test]
async fn twenty_callers_with_the_same_expired_session_cause_one_login() {
    let (login, counter) = (Arc::new(SharedLogin::default()), Arc::new(Counter::default()));
    let old = login.get(|| counter.grant(None)).await.unwrap();
    assert_eq!(*old, 1);
    let old = Arc::new(old);
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let (login, counter, old) = (Arc::clone(&login), Arc::clone(&counter), Arc::clone(&old));
            tokio::spawn(async move {
                login.expire(&old).await;
                *login.get(|| counter.grant(None)).await.unwrap()
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 2);
    }
    assert_eq!(counter.logins(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_by_time_without_being_refused_first() {
    let (login, counter) = (SharedLogin::default(), Counter::default());
    let time = Some(Duration::from_secs(100));
    login.get(|| counter.grant(time)).await.unwrap();
    tokio::time::advance(Duration::from_secs(99)).await;
    assert_eq!(*login.get(|| counter.grant(time)).await.unwrap(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(*login.get(|| counter.grant(time)).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_nobody_logs_in_before_the_wait_is_over() {
    let (login, counter) = (SharedLogin::default(), Counter::default());
    assert!(login.get(|| counter.refuse(locked())).await.is_err());
    tokio::time::advance(Duration::from_secs(600)).await;
    let fault = login.get(|| counter.grant(None)).await.err().unwrap();
    assert_eq!((fault.code, fault.retry_after), ("test.locked", Some(Duration::from_secs(300))));
    assert_eq!(counter.logins(), 1);
    tokio::time::advance(Duration::from_secs(300)).await;
    assert!(login.get(|| counter.grant(None)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_for_a_failed_login_share_its_fault_and_the_next_one_tries_again() {
    let (login, counter) = (Arc::new(SharedLogin::default()), Arc::new(Counter::default()));
    let gate = Arc::new(tokio::sync::Notify::new());
    let first = {
        let (login, counter, gate) = (Arc::clone(&login), Arc::clone(&counter), Arc::clone(&gate));
        tokio::spawn(async move {
            login
                .get(|| async {
                    gate.notified().await;
                    tokio::time::advance(Duration::from_millis(1)).await;
                    counter.refuse(Fault::transient("test.down", "down")).await
                })
                .await
                .err()
        })
    };
    let waiters: Vec<_> = (0..5)
        .map(|_| {
            let (login, counter) = (Arc::clone(&login), Arc::clone(&counter));
            tokio::spawn(async move { login.get(|| counter.grant(None)).await.err() })
        })
        .collect();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    gate.notify_one();
    assert_eq!(first.await.unwrap().unwrap().code, "test.down");
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap().unwrap().code, "test.down");
    }
    assert_eq!(counter.logins(), 1);
    assert!(login.get(|| counter.grant(None)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_fresh_session_that_is_refused_too_stops_further_logins_for_its_wait() {
    let (login, counter) = (SharedLogin::default(), Counter::default());
    let held = login.get(|| counter.grant(None)).await.unwrap();
    login.refuse(&held, &locked()).await;
    assert!(login.get(|| counter.grant(None)).await.is_err());
    tokio::time::advance(Duration::from_secs(900)).await;
    assert!(login.get(|| counter.grant(None)).await.is_ok());
    assert_eq!(counter.logins(), 2);
}
