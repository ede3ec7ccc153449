//! What commands say of a stick: on the unix socket alone, and answered by the supervisor.

use super::*;
use crate::stick::{Ask, EXPORT_PATH, IMPORT_PATH, Request as Asked, Told};
use muster_protocol::cbor;
use tokio::net::UnixStream;

/// Asks a server on a socket whose supervisor answers an import by `answer`; "STATUS BODY".
async fn check(body: Vec<u8>, answer: Result<Told, String>, expect: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("made/agent.sock");
    let config = ServeConfig {
        socket: Some(path.clone()),
        ..ServeConfig::default()
    };
    let (sticks, mut asked) = mpsc::channel(1);
    let server = start(config, Routes::new(), no_status(), sticks).await;
    let server = server.expect("listens");
    let supervisor = tokio::spawn(async move {
        if let Some(Asked::Import(_, reply)) = asked.recv().await {
            let _ = reply.send(answer);
        }
    });
    let socket = UnixStream::connect(&path).await.expect("connects");
    let request = request(&server, &format!("POST {IMPORT_PATH}"), &[], body);
    let response = send(&mut client_over(socket).await, request).await;
    let (status, body) = (response.status().as_u16(), response.body());
    let shown = match cbor::decode::<Told>(body) {
        Ok(told) => format!("{status} {}", told.device),
        Err(_) => format!("{status} {}", String::from_utf8_lossy(body)),
    };
    assert!(shown.contains(expect), "{shown}");
    server.stop().await;
    supervisor.abort();
}

#[tokio::test]
async fn an_import_is_answered_by_the_supervisor() {
    let told = Told {
        device: "press-07".to_owned(),
        ..Told::default()
    };
    let begin = cbor::to_vec(&Ask::Begin);
    check(begin.clone(), Ok(told.clone()), "200 press-07").await;
    check(begin, Err("no stick".to_owned()), "409 ").await;
    check(b"hello".to_vec(), Ok(told), "409 ").await;
}

#[tokio::test]
async fn no_stick_is_taken_up_over_loopback() {
    let server = start_scaler().await;
    for path in [IMPORT_PATH, EXPORT_PATH] {
        let got = ask(&server, &format!("POST {path}"), &[], "").await;
        assert!(got.starts_with("403 "), "{got}");
    }
    server.stop().await;
}
