//! A mail by SMTP, as docs/from/lettre.md has it over connie.

use std::time::Duration;

use connie_std::{Memory, Options, tokio_net::connect};
use lettre::Message;
use lettre::transport::smtp::{client::AsyncSmtpConnection, extension::ClientId};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args().nth(1).ok_or("give the name of a server")?;
    let mail = Message::builder()
        .from("a@name.test".parse()?)
        .to("b@name.test".parse()?)
        .subject("hello")
        .body("the mail\n".to_owned())?;

    let options = Options::new().memory(Memory::new()).deadline(Duration::from_secs(10));
    let stream = Box::new(connect((&*host, 25), &options).await?.into_stream());
    let mut server = AsyncSmtpConnection::connect_with_transport(stream, &ClientId::default()).await?;
    let answer = server.send(mail.envelope(), &mail.formatted()).await?;
    server.quit().await?;
    println!("{}", answer.code());
    Ok(())
}
