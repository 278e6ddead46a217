//! The database and the broker that a run uses: private ones.

use anyhow::Result;
use tandem_testbed::postgres::Postgres;
use tandem_testbed::rabbitmq::RabbitMq;
use tokio::sync::Mutex;

pub struct Servers {
    /// With real commits: what it has said yes to survives a power cut.
    pub postgres: Postgres,
    pub rabbit: Mutex<RabbitMq>,
    pub amqp: String,
}

impl Servers {
    pub async fn start() -> Result<Self> {
        let (postgres, rabbit) = tokio::try_join!(Postgres::start_durable(), RabbitMq::start())?;
        let amqp = rabbit.url();
        Ok(Self { postgres, rabbit: Mutex::new(rabbit), amqp })
    }
}
