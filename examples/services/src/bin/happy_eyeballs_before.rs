//! A connection by the crate happy-eyeballs, as docs/from/happy-eyeballs.md has it before connie.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args().nth(1).ok_or("give the name of a web server")?;
    let mut stream = happy_eyeballs::tokio::connect((&*host, 80)).await?;

    stream.write_all(format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    print!("{page}");
    Ok(())
}
