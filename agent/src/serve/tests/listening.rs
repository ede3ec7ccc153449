//! Where the server listens, and who may speak to it.

use super::*;
use crate::free_port::FreePort;
use std::os::unix::fs::PermissionsExt;
use tokio::net::UnixStream;

async fn error_of(config: ServeConfig) -> String {
    match start(config, Routes::new(), no_status(), no_sticks()).await {
        Ok(_) => "it listens".into(),
        Err(error) => error.to_string(),
    }
}

fn on_socket(path: &Path) -> ServeConfig {
    ServeConfig {
        socket: Some(path.to_owned()),
        ..ServeConfig::default()
    }
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_kept_out() {
    async fn check(server: &Server, headers: &[(&str, &str)], expect: &str) {
        let got = ask(server, "GET /muster/status", headers, "").await;
        assert_eq!(&got[..3], expect, "{headers:?}: {got}");
    }
    let server = start_scaler().await;
    let port = server.local_addr().expect("on TCP").port();
    let ours = format!("localhost:{port}");
    let rebound = format!("evil.example:{port}");
    check(&server, &[], "200").await;
    check(&server, &[("host", &ours)], "200").await;
    check(&server, &[("host", &rebound)], "403").await;
    check(&server, &[("host", "localhost")], "403").await;
    let origin = [("host", ours.as_str()), ("origin", "http://evil.example")];
    check(&server, &origin, "403").await;
    let origin = [("host", ours.as_str()), ("origin", "http://localhost:3000")];
    check(&server, &origin, "200").await;
    server.stop().await;
}

#[tokio::test]
async fn an_address_that_is_taken_or_open_is_refused() {
    let free = FreePort::take();
    let there = || ServeConfig {
        http: Some(free.address()),
        ..ServeConfig::default()
    };
    let server = start(there(), Routes::new(), no_status(), no_sticks()).await;
    let server = server.expect("it is free");
    let at = free.address();
    let expect = format!("failed to listen on {at}: because the port is in use: hint: ");
    let taken = error_of(there()).await;
    assert!(taken.starts_with(&expect), "{taken}");
    let open = error_of(ServeConfig {
        http: Some("0.0.0.0:0".parse().expect("valid")),
        ..ServeConfig::default()
    });
    let open = open.await;
    assert!(
        open.contains("because it is not a loopback address: hint: "),
        "{open}"
    );
    server.stop().await;
    assert_eq!(error_of(there()).await, "it listens");
}

#[tokio::test]
async fn a_unix_socket_serves_its_user_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("made/agent.sock");
    let routes = Routes::new();
    routes.set(model("scaler"), scaler("1.0.0", 2.0).0);
    let server = start(on_socket(&path), routes, no_status(), no_sticks()).await;
    let server = server.expect("listens");
    let mode = |path: &Path| {
        let metadata = std::fs::metadata(path).expect("there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(
        (mode(&path), mode(path.parent().expect("some"))),
        (0o600, 0o700)
    );
    let mut client = client_over(UnixStream::connect(&path).await.expect("connects")).await;
    let body = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"#;
    let infer = request(&server, "POST /v2/models/scaler/infer", &[], body);
    assert_eq!(send(&mut client, infer).await.status(), 200);
    let second = error_of(on_socket(&path)).await;
    assert!(
        second.contains("because another program listens there: hint: "),
        "{second}"
    );
    server.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let allow = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path(), permissions).expect("allowed");
    };
    allow(0o700);
    let path = folder.path().join("agent.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
    assert!(path.exists());
    assert_eq!(error_of(on_socket(&path)).await, "it listens");
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").expect("writes");
    let refused = error_of(on_socket(&file)).await;
    assert!(
        refused.contains("because a file that is no socket is there"),
        "{refused}"
    );
    assert_eq!(std::fs::read(&file).expect("still there"), b"precious");
    let long = folder.path().join("d".repeat(120)).join("agent.sock");
    let refused = error_of(on_socket(&long)).await;
    assert!(refused.contains("shorter than 108 bytes"), "{refused}");
    allow(0o755);
    let refused = error_of(on_socket(&folder.path().join("other.sock"))).await;
    assert!(
        refused.contains("other users may enter its folder (mode 755)"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    use tokio::io::AsyncReadExt;
    let config = ServeConfig {
        header_timeout_ms: 1,
        ..on_loopback()
    };
    let server = start(config, Routes::new(), no_status(), no_sticks())
        .await
        .expect("listens");
    let address = server.local_addr().expect("on TCP");
    let mut idle = TcpStream::connect(address).await.expect("connects");
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(30), idle.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "still open");
    server.stop().await;
}
