//! How do I connect to whichever replica of a database answers first?
//!
//! `postgres HOST:PORT...`, each a name or an address. The user is `postgres`, without a password.

use std::time::Duration;

use connie_std::{Memory, Options, tokio_net::connect};
use tokio_postgres::{NoTls, SimpleQueryMessage};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let replicas: Vec<String> = std::env::args().skip(1).collect();
    let options = Options::new().memory(Memory::new()).deadline(Duration::from_secs(10));

    // One race to all of them. A program that connects again keeps the options, whose memory knows then which
    // one answers.
    let stream = connect(&replicas, &options).await?;
    eprintln!("{:?} won, at {}", stream.report().won_by(), stream.destination());
    let (client, connection) =
        tokio_postgres::Config::new().user("postgres").connect_raw(stream, NoTls).await?;
    let connection = tokio::spawn(connection);
    for message in client.simple_query("SELECT 'hello'").await? {
        if let SimpleQueryMessage::Row(row) = message {
            println!("{}", row.get(0).unwrap_or_default());
        }
    }
    drop(client);
    Ok(connection.await??)
}
