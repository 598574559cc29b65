//! A query of PostgreSQL, as docs/from/tokio-postgres.md has it over connie.

use std::time::Duration;

use connie_std::{Memory, Options, tokio_net::connect};
use tokio_postgres::{Config, NoTls};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args().nth(1).ok_or("give the name of a server")?;
    let mut config = Config::new();
    config.user("postgres");
    let options = Options::new().memory(Memory::new()).deadline(Duration::from_secs(10));
    let stream = connect((&*host, 5432), &options).await?;
    stream.set_nodelay(true)?;
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    let connection = tokio::spawn(connection);

    let row = client.query_one("SELECT 'hello'", &[]).await?;
    println!("{}", row.get::<_, &str>(0));
    drop(client);
    Ok(connection.await??)
}
