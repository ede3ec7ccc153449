//! What is there, and what is not.

use super::*;

async fn check(server: &Server, line: &str, expect: &str) {
    assert_eq!(ask(server, line, &[], "").await, expect, "{line}");
}

#[tokio::test]
async fn a_server_says_what_it_is_and_what_it_serves() {
    let server = start_scaler().await;
    check(&server, "GET /v2/health/live", r#"200 {"live":true}"#).await;
    let ready = r#"200 {"ready":true,"waiting":[]}"#;
    check(&server, "GET /v2/health/ready", ready).await;
    let metadata = format!(
        r#"200 {{"extensions":["binary_tensor_data","model_repository"],"name":"muster-agent","version":"{}"}}"#,
        env!("CARGO_PKG_VERSION")
    );
    check(&server, "GET /v2", &metadata).await;
    let ready = r#"200 {"name":"scaler","ready":true,"reason":""}"#;
    check(&server, "GET /v2/models/scaler/ready", ready).await;
    let one = "GET /v2/models/scaler/versions/1.0.0/ready";
    check(&server, one, ready).await;
    let index = r#"200 [{"name":"scaler","reason":"","state":"READY","version":"1.0.0"}]"#;
    check(&server, "POST /v2/repository/index", index).await;
    let status = r#"200 {"device":"press-07"}"#;
    check(&server, "GET /muster/status", status).await;
    let model = format!(
        concat!(
            r#"200 {{"inputs":[{{"datatype":"FP32","name":"x","shape":[-1,2]}}],"name":"scaler","#,
            r#""outputs":[{{"datatype":"FP32","name":"y","shape":[-1,2]}},"#,
            r#"{{"datatype":"FP64","name":"sum","shape":[]}}],"#,
            r#""parameters":{{"bundle":"{}","columns":{{"x":["a","b"]}}}},"platform":"onnx_tract","versions":["1.0.0"]}}"#
        ),
        Digest::of(b"1.0.0")
    );
    check(&server, "GET /v2/models/scaler", &model).await;
    check(&server, "GET /v2/models/scaler/versions/1.0.0", &model).await;
    server.stop().await;
}

#[tokio::test]
async fn readiness_follows_the_route() {
    let routes = Routes::new();
    let server = start_with(&routes).await;
    let nothing = r#"200 {"ready":true,"waiting":[]}"#;
    check(&server, "GET /v2/health/ready", nothing).await;
    routes.set(model("scaler"), scaler("1.0.0", 2.0).0);
    routes.set_readiness(&model("scaler"), Readiness::Starting);
    let waiting = r#"503 {"ready":false,"waiting":["scaler"]}"#;
    check(&server, "GET /v2/health/ready", waiting).await;
    let starting = r#"503 {"name":"scaler","ready":false,"reason":"its worker is starting"}"#;
    check(&server, "GET /v2/models/scaler/ready", starting).await;
    routes.set_readiness(&model("scaler"), Readiness::Ready);
    check(&server, "GET /v2/health/ready", nothing).await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let server = start_scaler().await;
    let unknown = concat!(
        r#"404 {"error":"failed to find the model: because this device serves \"scaler\", "#,
        r#"not \"other\": hint: POST /v2/repository/index lists the models; an assignment adds one"}"#
    );
    check(&server, "GET /v2/models/other", unknown).await;
    let path = ask(&server, "GET /v2/models/%ff", &[], "").await;
    assert!(
        path.starts_with(r#"400 {"error":"failed to read the path: "#),
        "{path}"
    );
    let version = concat!(
        r#"404 {"error":"failed to find the version: because model \"scaler\" serves version "#,
        r#"\"1.0.0\", not \"2.0.0\": hint: leave /versions/… out of the path to ask whichever "#,
        r#"version serves"}"#
    );
    check(&server, "GET /v2/models/scaler/versions/2.0.0", version).await;
    let hint = "hint: it speaks the Open Inference Protocol v2 under /v2; models come by \
                assignment only";
    let endpoint = format!(
        r#"404 {{"error":"failed to answer: because this server has no such endpoint: GET /v2/models/scaler/config: {hint}"}}"#
    );
    check(&server, "GET /v2/models/scaler/config", &endpoint).await;
    let method = format!(
        r#"405 {{"error":"failed to answer: because this server answers another method at this path: GET /v2/models/scaler/infer: {hint}"}}"#
    );
    check(&server, "GET /v2/models/scaler/infer", &method).await;
    server.stop().await;
}
