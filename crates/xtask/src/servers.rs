//! The servers that all test processes of one run share.

use anyhow::{Context, Result};
use tandem_testbed::find::Product;
use tandem_testbed::mariadb::MariaDb;
use tandem_testbed::postgres::Postgres;
use tandem_testbed::rabbitmq::RabbitMq;

use crate::shell::say;

/// Private servers, running while this value lives, and the variables that name them.
pub struct Servers {
    postgres: Option<Postgres>,
    broker: Option<RabbitMq>,
    mariadb: Option<MariaDb>,
}

impl Servers {
    /// Starts one server of each kind that no variable names.
    pub fn start() -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start a runtime")?;
        let (postgres, broker, mariadb) = runtime.block_on(async {
            tokio::join!(
                unless_named(Product::PostgreSql, Postgres::start()),
                unless_named(Product::RabbitMq, RabbitMq::start()),
                unless_named(Product::MariaDb, MariaDb::start()),
            )
        });
        Ok(Self { postgres: postgres?, broker: broker?, mariadb: mariadb? })
    }

    /// What test processes need to know.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = Vec::new();
        if let Some(postgres) = &self.postgres {
            variables.push((Product::PostgreSql.url_variable(), postgres.url("postgres")));
            // Nobody else uses this server: what ended tests leave behind may be dropped.
            variables.push(("TANDEM_TEST_SWEEP", "1".to_owned()));
        }
        if let Some(broker) = &self.broker {
            variables.push((Product::RabbitMq.url_variable(), broker.url()));
        }
        if let Some(mariadb) = &self.mariadb {
            variables.push((Product::MariaDb.url_variable(), mariadb.url("mysql")));
        }
        variables
    }
}

async fn unless_named<T>(product: Product, start: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    let name = product.name();
    if std::env::var_os(product.url_variable()).is_some() {
        say(&format!("{name}: the server named by {}", product.url_variable()));
        return Ok(None);
    }
    let server = start.await.with_context(|| format!("cannot start a private {name}"))?;
    say(&format!("{name}: a private server is up"));
    Ok(Some(server))
}
