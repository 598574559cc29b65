//! A connection by connie, as docs/from/happy-eyeballs.md has it in the place of the crate happy-eyeballs.

use connie_std::{Memory, Options, tokio_net::connect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args().nth(1).ok_or("give the name of a web server")?;
    // Kept for the connections to come.
    let options = Options::new().memory(Memory::new());
    let mut stream = connect((&*host, 80), &options).await?;

    stream.write_all(format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    print!("{page}");
    Ok(())
}
