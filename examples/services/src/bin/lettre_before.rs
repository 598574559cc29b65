//! A mail by SMTP, as docs/from/lettre.md has it before connie.

use std::time::Duration;

use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args().nth(1).ok_or("give the name of a server")?;
    let mail = Message::builder()
        .from("a@name.test".parse()?)
        .to("b@name.test".parse()?)
        .subject("hello")
        .body("the mail\n".to_owned())?;

    let server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(25);
    let answer = server.timeout(Some(Duration::from_secs(10))).build().send(mail).await?;
    println!("{}", answer.code());
    Ok(())
}
