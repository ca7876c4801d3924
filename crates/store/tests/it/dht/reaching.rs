//! Roles, passwords and TLS.

use std::path::PathBuf;

use peermark_store::OpenError;
use peermark_store::dht::{DhtStore, PostgresOptions};
use peermark_testkit::postgres::TLS_ROLE;

use crate::dht::{PASSWORD, ROLE, empty_database, options, server};

fn with(database: &str, user: &str, ssl_mode: &str, root: Option<PathBuf>) -> PostgresOptions {
    PostgresOptions {
        user: user.to_owned(),
        ssl_mode: ssl_mode.to_owned(),
        ssl_root_cert: root,
        ..options(server(), database)
    }
}

/// Connects, and says whether the connection is encrypted.
async fn encrypted(options: &PostgresOptions) -> Result<bool, OpenError> {
    let store = DhtStore::connect_postgres(options).await?;
    store.live_nodes(&["default".to_owned()], 0).await.unwrap();
    let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
               WHERE application_name = 'peermark' AND datname = current_database()";
    let found = server().psql(&options.name, sql);
    store.close().await;
    Ok(found == "t")
}

#[tokio::test]
async fn tls_is_used_as_the_mode_says() {
    let database = empty_database();
    let (root, foreign) = (server().root_certificate(), server().foreign_certificate());
    let user = server().user();
    assert!(!encrypted(&with(&database, user, "disable", None)).await.unwrap());
    assert!(!encrypted(&with(&database, user, "allow", None)).await.unwrap(), "plain where the server takes it");
    for mode in ["allow", "prefer", "require"] {
        assert!(encrypted(&with(&database, TLS_ROLE, mode, None)).await.unwrap(), "{mode}");
    }
    for mode in ["require", "verify-ca"] {
        assert!(encrypted(&with(&database, TLS_ROLE, mode, Some(root.clone()))).await.unwrap(), "{mode}");
    }
    // The certificate is for this name, not for the address.
    let by_name = |mode: &str, root: &PathBuf| PostgresOptions {
        host: "localhost".to_owned(),
        ..with(&database, TLS_ROLE, mode, Some(root.clone()))
    };
    assert!(encrypted(&by_name("verify-full", &root)).await.unwrap());
    let refused = [
        with(&database, TLS_ROLE, "disable", None),
        with(&database, TLS_ROLE, "verify-full", Some(root.clone())),
        by_name("verify-full", &foreign),
        with(&database, TLS_ROLE, "verify-ca", Some(foreign.clone())),
        with(&database, TLS_ROLE, "require", Some(foreign)),
        PostgresOptions { ssl_root_cert: None, ..by_name("verify-full", &root) },
        with(&database, TLS_ROLE, "verify-full", Some(root.with_file_name("missing.crt"))),
    ];
    for options in refused {
        let error = encrypted(&options).await.unwrap_err();
        assert!(matches!(error, OpenError::Connect { .. }), "{options:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_unknown_mode_names_the_known_ones() {
    let error = DhtStore::connect_postgres(&with("peermark", "peermark", "on", None)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown ssl mode \"on\": one of disable, allow, prefer, require, verify-ca, verify-full"
    );
}

#[tokio::test]
async fn a_password_is_used_and_never_shown() {
    let database = empty_database();
    let right = PostgresOptions { password: Some(PASSWORD.to_owned()), ..with(&database, ROLE, "prefer", None) };
    assert!(encrypted(&right).await.unwrap());
    let store = DhtStore::connect_postgres(&right).await.unwrap();
    let wrong = "swordfish";
    for password in [Some(wrong.to_owned()), None] {
        let options = PostgresOptions { password, ..right.clone() };
        let error = DhtStore::connect_postgres(&options).await.unwrap_err();
        assert!(matches!(error, OpenError::Connect { .. }), "{error:?}");
        let said = format!("{error} {error:?} {options:?}");
        assert!(!said.contains(wrong) && !said.contains(PASSWORD), "{said}");
        assert!(said.contains(&format!("{ROLE}@127.0.0.1:{}/{database}", server().port())), "{said}");
    }
    assert!(!format!("{right:?} {store:?}").contains(PASSWORD));
}

#[tokio::test]
async fn a_socket_is_reached_by_its_directory() {
    let database = empty_database();
    let host = server().socket_directory().to_str().unwrap().to_owned();
    let options = PostgresOptions { host, ..with(&database, server().user(), "prefer", None) };
    assert!(!encrypted(&options).await.unwrap());
}
