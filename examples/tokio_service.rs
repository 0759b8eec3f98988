//! A service that waits for a ring, a timer and a socket at the same time, in one thread.
//!
//! Another process pushes prices into the ring as they come. The service keeps the last one of each instrument, tells it to
//! whoever asks on the socket, and reports once in a while.
//!
//! ```text
//! cargo run --release --features async --example tokio_service
//! ```

use ringway::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use ringway::{Lifetime, Options, PopError, spsc};
use std::error::Error;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What goes through the ring.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Price {
    instrument: u64,
    cents: u64,
}

const INSTRUMENTS: u64 = 100;
const PRICES: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::new().capacity(4096).lifetime(Lifetime::LastDetach);
    if let Some(name) = std::env::args().nth(1) {
        return feed(&spsc::Ring::open_with(name, &options)?);
    }
    let name = format!("tokio-service-{}", std::process::id());
    let ring = spsc::Ring::create(&name, &options)?;
    let mut feeder = Command::new(std::env::current_exe()?).arg(&name).spawn()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(&ring))?;
    feeder.wait()?;
    Ok(())
}

/// The other process: pushes, and sleeps when the service does not keep up.
fn feed(ring: &spsc::Ring<Price>) -> Result<(), Box<dyn Error>> {
    let mut producer = ring.producer()?;
    for number in 0..PRICES {
        producer.push(Price { instrument: number % INSTRUMENTS, cents: number })?;
    }
    Ok(())
}

async fn serve(ring: &spsc::Ring<Price>) -> Result<(), Box<dyn Error>> {
    let prices = Arc::new(Mutex::new([0; INSTRUMENTS as usize]));
    let (mut received, mut served) = (0_u64, false);
    let mut consumer = ring.consumer()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut client = tokio::spawn(ask(listener.local_addr()?));
    let mut report = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            price = consumer.pop_async() => match price {
                Ok(Price { instrument, cents }) => {
                    prices.lock().unwrap()[instrument as usize] = cents;
                    received += 1;
                }
                Err(PopError::Closed) => break,
                Err(error) => return Err(error.into()),
            },
            _ = report.tick() => println!("{received} prices so far"),
            connection = listener.accept() => {
                tokio::spawn(answer(connection?.0, prices.clone()));
            }
            answers = &mut client, if !served => {
                println!("the client got {} answers", answers??);
                served = true;
            }
        }
    }
    println!("{received} of {PRICES} prices received, the feeder has left");
    assert_eq!(received, PRICES);
    Ok(())
}

/// Tells the last price of each instrument that is asked for, a number a line.
async fn answer(socket: TcpStream, prices: Arc<Mutex<[u64; INSTRUMENTS as usize]>>) -> std::io::Result<()> {
    let (questions, mut answers) = socket.into_split();
    let mut questions = BufReader::new(questions).lines();
    while let Some(question) = questions.next_line().await? {
        let price = question.parse().ok().and_then(|index: usize| prices.lock().unwrap().get(index).copied());
        let answer = price.map_or("unknown\n".into(), |cents| format!("{cents}\n"));
        answers.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// A client on the socket: asks for each instrument once.
async fn ask(service: SocketAddr) -> std::io::Result<u64> {
    let (answers, mut questions) = TcpStream::connect(service).await?.into_split();
    let mut answers = BufReader::new(answers).lines();
    let mut count = 0;
    for instrument in 0..INSTRUMENTS {
        questions.write_all(format!("{instrument}\n").as_bytes()).await?;
        count += u64::from(answers.next_line().await?.is_some());
    }
    Ok(count)
}
