//! Requests that are refused: status, reason, and a server that serves on.

use super::*;
use crate::serve::request::JSON_LENGTH;

const INFER: &str = "POST /v2/models/scaler/infer";

/// `expect` is the status and a part of the sentence.
async fn check(server: &Server, headers: &[(&str, &str)], body: impl Into<Bytes>, expect: &str) {
    let got = ask(server, INFER, headers, body).await;
    let (status, part) = expect.split_once(' ').expect("status and part");
    let error: serde_json::Value = serde_json::from_str(&got[4..]).expect("JSON");
    let sentence = error["error"].as_str().expect("the protocol's error");
    let whole = sentence.starts_with("failed to ")
        && sentence.contains(": because ")
        && sentence.contains(": hint: ");
    let right = got.starts_with(status) && sentence.contains(part) && whole;
    assert!(right, "expected {expect:?}, got {got:?}");
}

fn x(shape: &str, datatype: &str, data: &str) -> String {
    format!(
        r#"{{"inputs":[{{"name":"x","shape":{shape},"datatype":"{datatype}","data":{data}}}]}}"#
    )
}

#[tokio::test]
async fn json_that_does_not_fit_is_refused() {
    let server = start_scaler().await;
    let check = async |body: &str, expect: &str| check(&server, &[], body.to_owned(), expect).await;
    check("", "400 EOF while parsing").await;
    check("[1]", "400 ").await;
    check("{}", "400 missing field `inputs`").await;
    check(r#"{"inputs":[]}"#, r#"400 expected 1 inputs ("x"), got 0"#).await;
    let twice = r#"{"inputs":[],"inputs":[]}"#;
    check(twice, "400 duplicate field `inputs`").await;
    let name = x("[1,2]", "FP32", "[1,2]").replace("\"x\"", "\"z\"");
    check(&name, r#"400 expected an input named "x", got "z""#).await;
    let shape = r#"400 input "x": expected shape [-1, 2], got [1, 3]"#;
    check(&x("[1,3]", "FP32", "[1,2,3]"), shape).await;
    let empty = r#"400 input "x": expected shape [-1, 2], got [0, 2]"#;
    check(&x("[0,2]", "FP32", "[]"), empty).await;
    let datatype = r#"400 input "x": expected datatype FP32, got INT64"#;
    check(&x("[1,2]", "INT64", "[1,2]"), datatype).await;
    check(
        &x("[1,2]", "BYTES", r#"["a","b"]"#),
        "400 encode text as UINT8",
    )
    .await;
    check(&x("[1,2]", "BF16", "[1,2]"), r#"400 "BF16" is no datatype"#).await;
    check(&x("[1,2]", "FP16", "[1,2]"), "400 send it as binary data").await;
    check(&x("[1,2]", "FP32", "[1]"), "400 needs 8 bytes, got 4").await;
    check(
        &x("[1,2]", "FP32", "[1,2,3]"),
        "400 has 2 elements, data has more",
    )
    .await;
    check(&x("[2,2]", "FP32", "[[1,2],[3]]"), "400 ragged").await;
    check(
        &x("[2,2]", "FP32", "[[1,2],3]"),
        "400 mixes elements and lists",
    )
    .await;
    check(
        &x("[1,2]", "FP32", "[[1],[2]]"),
        "400 nested as [2, 1], shape says [1, 2]",
    )
    .await;
    check(
        &x("[1,2]", "FP32", r#"["1",2]"#),
        "400 expected FP32 elements",
    )
    .await;
    check(
        &x("[1,2]", "FP32", "[null,2]"),
        "400 expected FP32 elements",
    )
    .await;
    check(
        &x("[1,2]", "FP32", "[true,2]"),
        "400 element 0 is true, expected FP32",
    )
    .await;
    check(
        &x("[1,2]", "FP32", "[1,1e39]"),
        "400 element 1 is 1e39, expected FP32",
    )
    .await;
    check(
        &x("[1,2]", "UINT8", "[1,-3]"),
        "400 element 1 is -3, expected UINT8",
    )
    .await;
    check(
        &x("[1,2]", "INT64", "[1,2.5]"),
        "400 element 1 is 2.5, expected INT64",
    )
    .await;
    check(&x("[1,2]", "FP32", "[1,1e999]"), "400 number out of range").await;
    check(&x("[-1,2]", "FP32", "[1,2]"), "400 expected usize").await;
    check(
        &x("[1,2]", "FP32", "null"),
        "400 neither data nor binary_data_size",
    )
    .await;
    let huge = x("[4294967296,4294967296]", "FP32", "[1]");
    check(&huge, "400 asks for more than").await;
    let deep = format!("{}1{}", "[".repeat(17), "]".repeat(17));
    check(&x("[1,2]", "FP32", &deep), "400 nested deeper than 16").await;
    let deeper = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    check(&x("[1,2]", "FP32", &deeper), "400 nested deeper than 16").await;
    let ranks = format!("[{}1]", "1,".repeat(16));
    check(&x(&ranks, "FP32", "[1]"), "400 more than 16").await;
    let many = format!(
        r#"{{"inputs":[{}]}}"#,
        vec!["{\"name\":\"\",\"datatype\":\"\",\"shape\":[]}"; 65].join(",")
    );
    check(&many, "400 more than 64").await;
    for not_finite in ["NaN", "Infinity", "-Infinity"] {
        let first = x("[1,2]", "FP32", &format!("[{not_finite},2]"));
        check(&first, "400 JSON has no NaN").await;
        let second = x("[1,2]", "FP32", &format!("[\n1, {not_finite}]"));
        check(&second, "400 JSON has no NaN").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn wishes_that_cannot_be_met_are_refused() {
    let server = start_scaler().await;
    let with = |outputs: &str| {
        let body = x("[1,2]", "FP32", "[1,2]");
        body.replacen('{', &format!(r#"{{"outputs":[{outputs}],"#), 1)
    };
    let unknown = r#"400 expected outputs among "y", "sum", got "z""#;
    check(&server, &[], with(r#"{"name":"z"}"#), unknown).await;
    let classes = r#"{"name":"y","parameters":{"classification":3}}"#;
    check(&server, &[], with(classes), "400 asks for an extension").await;
    let shared = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32",
        "parameters":{"shared_memory_region":"r","shared_memory_byte_size":8}}]}"#;
    check(&server, &[], shared, "400 shared memory is not offered").await;
    let body = x("[1,2]", "FP32", "[1,2]");
    let gzip = [("content-encoding", "gzip")];
    check(&server, &gzip, body, "415 compressed").await;
    server.stop().await;
}

#[tokio::test]
async fn binary_data_that_does_not_add_up_is_refused() {
    let server = start_scaler().await;
    let check = async |length: &str, size: &str, bytes: usize, expect: &str| {
        let json = format!(
            r#"{{"inputs":[{{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{{"binary_data_size":{size}}}}}]}}"#
        );
        let length = match length {
            "right" => json.len().to_string(),
            other => other.to_owned(),
        };
        let mut body = json.into_bytes();
        body.extend(vec![0; bytes]);
        check(&server, &[(JSON_LENGTH, &length)], body, expect).await;
    };
    check("right", "8", 7, "400 more than 7 binary bytes").await;
    check(
        "right",
        "8",
        9,
        "400 1 of 9 binary bytes belong to no input",
    )
    .await;
    check("right", "7", 7, "400 needs 8 bytes, got 7").await;
    check("right", "-8", 8, "400 expected u64").await;
    check(
        "right",
        "18446744073709551615",
        8,
        "400 more than 8 binary bytes",
    )
    .await;
    check("99999", "8", 8, "400 the whole body has").await;
    check("0", "8", 8, "400 EOF").await;
    check("eight", "8", 8, "400 no number").await;
    server.stop().await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let server = start_scaler().await;
    check(&server, &[], vec![b' '; 4097], "413 larger than 4096 bytes").await;
    check(&server, &[], vec![b' '; 4096], "400 EOF").await;
    let chunked = [("transfer-encoding", "chunked")];
    check(
        &server,
        &chunked,
        vec![b' '; 4097],
        "413 larger than 4096 bytes",
    )
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_failing_model_is_reported_by_its_kind() {
    let failures = [
        (
            Failure::Input("a row is empty".into()),
            "400 a row is empty",
        ),
        (
            Failure::Run {
                because: "Conv failed".into(),
            },
            "500 Conv failed",
        ),
        (
            Failure::Worker {
                because: "the worker died of signal 9".into(),
            },
            "503 died of signal 9",
        ),
        (Failure::Busy, "429 too many requests"),
    ];
    for (failure, expect) in failures {
        let routes = Routes::new();
        let signature = (*scaler("1.0.0", 1.0).0.signature).clone();
        let answer = move |_| Err(failure.clone());
        routes.set(model("scaler"), route("1.0.0", signature, answer).0);
        let server = start_with(&routes).await;
        check(&server, &[], x("[1,2]", "FP32", "[1,2]"), expect).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_full_queue_and_an_unavailable_route_are_refused_with_retry() {
    let routes = Routes::new();
    let (mut full, _) = scaler("1.0.0", 1.0);
    let (requests, _held) = mpsc::channel(1);
    let _place = requests.clone().reserve_owned().await.expect("open");
    full.requests = requests;
    routes.set(model("scaler"), full);
    let config = ServeConfig {
        queue_timeout_ms: 1,
        ..on_loopback()
    };
    let server = start(config, routes.clone(), no_status(), no_sticks()).await;
    let server = server.expect("listens");
    let body = || x("[1,2]", "FP32", "[1,2]");
    check(&server, &[], body(), "429 too many requests").await;
    let because = "it was revoked".to_owned();
    routes.set_readiness(&model("scaler"), Readiness::Unavailable { because });
    check(&server, &[], body(), "503 it was revoked").await;
    let request = request(&server, INFER, &[], body());
    let response = send(&mut client(&server).await, request).await;
    assert_eq!(response.headers()["retry-after"], "1");
    server.stop().await;
}

#[tokio::test]
async fn bodies_wait_for_memory_and_not_for_ever() {
    let routes = Routes::new();
    let (slow, _) = scaler("1.0.0", 1.0);
    let (requests, mut jobs) = mpsc::channel(1);
    routes.set(model("scaler"), Route { requests, ..slow });
    let config = ServeConfig {
        bodies_bytes_max: 4096,
        queue_timeout_ms: 1,
        ..on_loopback()
    };
    let server = Arc::new(
        start(config, routes, no_status(), no_sticks())
            .await
            .expect("listens"),
    );
    let body = format!("{:4096}", x("[1,2]", "FP32", "[1,2]"));
    let first = tokio::spawn({
        let (server, body) = (server.clone(), body.clone());
        async move { ask(&server, INFER, &[], body).await }
    });
    let job = jobs.recv().await.expect("a job");
    check(&server, &[], body, "429 too many requests").await;
    let because = "it was killed".to_owned();
    let failure = Err(Failure::Worker { because });
    job.reply.send(failure).expect("still waited for");
    let first = first.await.expect("answered");
    assert!(first.starts_with("503 "), "{first}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let routes = Routes::new();
    routes.set(model("scaler"), scaler("1.0.0", 1.0).0);
    let config = ServeConfig {
        body_timeout_ms: 1,
        ..on_loopback()
    };
    let server = start(config, routes, no_status(), no_sticks())
        .await
        .expect("listens");
    let address = server.local_addr().expect("on TCP");
    let mut slow = TcpStream::connect(address).await.expect("connects");
    let head = format!(
        "POST /v2/models/scaler/infer HTTP/1.1\r\nhost: {address}\r\ncontent-length: 9\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).await.expect("taken");
    let mut reply = String::new();
    let closed = slow.read_to_string(&mut reply);
    let closed = tokio::time::timeout(Duration::from_secs(30), closed).await;
    assert!(closed.is_ok(), "still open");
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
    server.stop().await;
}
