//! A message by MQTT, as docs/from/rumqttc.md has it before connie.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args().nth(1).ok_or("give the name of a broker")?;
    let options = MqttOptions::new("example", host, 1883);

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
