//! A message by MQTT, as docs/from/rumqttc.md has it over connie.

use std::path::Path;
use std::time::Duration;

use connie_std::{Memory, Options, tokio_net::connect};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS, Transport};
use tokio::net::{UnixListener, UnixStream};

/// A socket at `path`, at which each connection is one to the broker, by a race.
fn race(path: &Path, host: String, port: u16) -> std::io::Result<()> {
    let listener = UnixListener::bind(path)?;
    // Less than the five seconds that rumqttc gives a connection.
    let options = Options::new().memory(Memory::new()).deadline(Duration::from_secs(4));
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                // Each by itself: a broker that has died without a word holds up no other connection.
                Ok((client, _)) => {
                    tokio::spawn(carry(client, (host.clone(), port), options.clone()));
                }
                Err(error) => {
                    eprintln!("{error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    });
    Ok(())
}

/// However it ends, rumqttc hears of it and connects again.
async fn carry(mut client: UnixStream, (host, port): (String, u16), options: Options) {
    match connect((&*host, port), &options).await {
        Ok(mut broker) => _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await,
        Err(error) => eprintln!("{error}"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args().nth(1).ok_or("give the name of a broker")?;
    // In a folder that nobody else may look into.
    let path = std::env::args().nth(2).ok_or("give a path for the socket")?;
    race(Path::new(&path), host, 1883)?;
    let mut options = MqttOptions::new("example", path, 1883);
    options.set_transport(Transport::Unix);

    let (client, mut events) = AsyncClient::new(options, 10);
    client.subscribe("greeting", QoS::AtLeastOnce).await?;
    client.publish("greeting", QoS::AtLeastOnce, false, "hello").await?;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(message))) => {
                println!("{}", String::from_utf8_lossy(&message.payload));
                return Ok(());
            }
            Ok(_) => {}
            Err(error) => {
                eprintln!("{error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
