//! Stands between the bus and Redis and writes down every byte.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Who spoke, and what, one entry for each time that the word passed to the other.
type Talk = Vec<(char, Vec<u8>)>;

#[derive(Clone, Default)]
pub(super) struct Recorder {
    talks: Arc<Mutex<Vec<Talk>>>,
}

impl Recorder {
    /// Takes connections on an address of its own and carries them on to `redis`.
    pub(super) async fn listen(&self, redis: u16) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let recorder = self.clone();
        tokio::spawn(async move {
            while let Ok((ours, _)) = listener.accept().await {
                let theirs = TcpStream::connect(("127.0.0.1", redis)).await.unwrap();
                let index = {
                    let mut talks = recorder.talks.lock();
                    talks.push(Talk::new());
                    talks.len() - 1
                };
                let (from_bus, to_bus) = ours.into_split();
                let (from_redis, to_redis) = theirs.into_split();
                tokio::spawn(recorder.clone().carry(index, '>', from_bus, to_redis));
                tokio::spawn(recorder.clone().carry(index, '<', from_redis, to_bus));
            }
        });
        address
    }

    /// Writes down before it passes on, so that no answer is written down before its question.
    async fn carry(self, index: usize, who: char, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            {
                let talk = &mut self.talks.lock()[index];
                match talk.last_mut() {
                    Some((last, bytes)) if *last == who => bytes.extend_from_slice(&buffer[..count]),
                    _ => talk.push((who, buffer[..count].to_vec())),
                }
            }
            if to.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    }

    /// The connection on which `word` was said, a line for each line of the protocol. Waits of the bus in which nothing came are left
    /// out: how many there are is a matter of time.
    pub(super) fn transcript(&self, word: &str) -> String {
        let talks = self.talks.lock();
        let said = |talk: &&Talk| talk.iter().any(|(_, bytes)| String::from_utf8_lossy(bytes).contains(word));
        let talk = talks.iter().find(said).expect("such a connection");
        let mut kept: Vec<(char, &[u8])> = Vec::new();
        for (who, bytes) in talk {
            match kept.last_mut().and_then(|(_, last)| last.strip_suffix(b"*-1\r\n").map(|before| (last, before))) {
                Some((last, before)) => *last = before,
                None => kept.push((*who, bytes)),
            }
        }
        let lines = kept.into_iter().flat_map(|(who, bytes)| {
            let text = String::from_utf8(bytes.to_vec()).expect("text");
            text.split_terminator("\r\n").map(|line| format!("{who} {line}\n")).collect::<Vec<_>>()
        });
        lines.collect()
    }
}
