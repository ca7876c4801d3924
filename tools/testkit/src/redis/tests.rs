//! Servers that come, stop and go.

use super::*;

fn say(redis: &Redis, line: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port())).expect("it listens");
    stream.set_read_timeout(Some(START_TIMEOUT)).expect("a bound on waiting");
    stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers and hangs up");
    answer
}

#[test]
fn a_server_comes_back_empty_on_the_same_port_and_leaves_nothing_behind() {
    let mut redis = Redis::start();
    assert_eq!(say(&redis, "SET key value"), "+OK\r\n+OK\r\n");
    let port = redis.port();
    redis.stop();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    redis.start_again();
    assert_eq!(redis.port(), port);
    assert_eq!(say(&redis, "GET key"), "$-1\r\n+OK\r\n");
    assert!(redis.socket().exists());
    let directory = redis.directory.path().to_owned();
    drop(redis);
    assert!(!directory.exists());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

/// A pipe that ends without a word is what a test leaves that was killed.
#[test]
fn a_server_goes_with_a_process_that_was_killed() {
    let mut redis = Redis::start();
    let mut server = redis.server.take().expect("it runs");
    drop(server.pipe);
    server.shell.wait().expect("the shell ends");
    assert!(!redis.directory.path().exists());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port())).is_err());
}

#[test]
fn a_password_is_asked_for() {
    let redis = Redis::start_with(Some("secret"));
    assert!(say(&redis, "GET key").starts_with("-NOAUTH"));
    assert_eq!(say(&redis, "AUTH secret"), "+OK\r\n+OK\r\n");
    assert!(redis.url().starts_with("redis://:secret@127.0.0.1:"));
    assert!(redis.unix_url().ends_with("/redis.sock?pass=secret"));
}
