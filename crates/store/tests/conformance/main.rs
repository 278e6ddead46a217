//! One suite for both databases: every behaviour is written once and run against SQLite and Postgres.

mod bench;
mod journal;
mod lease;
mod neighbours;
mod notice;
mod operate;
mod schema;
mod settle;
mod spool;
mod waiting;

/// Makes two tests of each named function, `sqlite::name` and `postgres::name`.
#[macro_export]
macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::bench::Bench::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::bench::Bench::postgres().await).await;
            })+
        }
    };
}
