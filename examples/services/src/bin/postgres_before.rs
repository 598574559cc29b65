//! A query of PostgreSQL, as docs/from/tokio-postgres.md has it before connie.

use std::time::Duration;

use tokio_postgres::{Config, NoTls};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args().nth(1).ok_or("give the name of a server")?;
    let mut config = Config::new();
    config.user("postgres").host(&host).port(5432).connect_timeout(Duration::from_secs(10));
    let (client, connection) = config.connect(NoTls).await?;
    let connection = tokio::spawn(connection);

    let row = client.query_one("SELECT 'hello'", &[]).await?;
    println!("{}", row.get::<_, &str>(0));
    drop(client);
    Ok(connection.await??)
}
