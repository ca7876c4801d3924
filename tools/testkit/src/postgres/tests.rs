//! Servers that come, stop and go.

use super::*;

#[test]
fn a_server_keeps_its_data_while_stopped_and_leaves_nothing_behind() {
    let mut postgres = Postgres::start();
    postgres.psql(OWNER, "CREATE TABLE kept (n INT); INSERT INTO kept VALUES (7)");
    let port = postgres.port();
    postgres.stop();
    assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    postgres.start_again();
    assert_eq!(postgres.port(), port);
    assert_eq!(postgres.psql(OWNER, "SELECT n FROM kept"), "7");
    let directory = postgres.directory.path().to_owned();
    drop(postgres);
    assert!(!directory.exists());
    assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

/// A pipe that ends without a word is what a test leaves that was killed.
#[test]
fn a_server_goes_with_a_process_that_was_killed() {
    let mut postgres = Postgres::start();
    let mut server = postgres.server.take().expect("it runs");
    drop(server.pipe);
    server.shell.wait().expect("the shell ends");
    assert!(!postgres.directory.path().exists());
    assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, postgres.port())).is_err());
}

#[test]
fn roles_are_asked_for_what_the_settings_say() {
    let role = Some(("parsec".to_owned(), "secret".to_owned()));
    let postgres = Postgres::start_with(&Settings { role, tls: true });
    assert_eq!(postgres.psql(OWNER, "SHOW ssl"), "on");
    let rules = "SELECT string_agg(type || ' ' || auth_method, ',' ORDER BY line_number) FROM pg_hba_file_rules";
    assert_eq!(postgres.psql(OWNER, rules), "local trust,host scram-sha-256,hostssl trust,host reject,host trust");
    assert!(postgres.root_certificate().is_file() && postgres.foreign_certificate().is_file());
}
