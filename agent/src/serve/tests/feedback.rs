//! Labels for predictions: those that count, and what is said of the others.

use super::*;
use muster_protocol::stats::ScoreScale;

const FEEDBACK: &str = "POST /v2/models/scaler/feedback";

/// A server whose model has predicted two rows under the id `shift-7`.
async fn predicted() -> (Server, Routes) {
    let routes = Routes::new();
    let (route, _task) = scaler("1.0.0", 2.0);
    let bundle = route.bundle;
    routes.set(model("scaler"), route);
    let scale = ScoreScale::even(1, None).expect("valid");
    let scores = [scale.read([0.9]), scale.read([0.1])];
    let predictions = routes.predictions(&model("scaler"));
    predictions.serve(true);
    predictions.remember(bundle, scale, "shift-7", &scores);
    (start_with(&routes).await, routes)
}

async fn check(server: &Server, body: &str, expect: &str) {
    let answer = ask(server, FEEDBACK, &[], body.to_owned()).await;
    assert!(answer.starts_with(expect), "{body}: {answer}");
}

#[tokio::test]
async fn one_label_counts_once_or_says_why_not() {
    let (server, routes) = predicted().await;
    let one = r#"{"id":"shift-7","label":1}"#;
    check(&server, one, r#"200 {"counted":1,"duplicates":0,"#).await;
    check(&server, one, r#"200 {"counted":0,"duplicates":1,"#).await;
    let second = r#"{"id":"shift-7","row":1,"label":0}"#;
    check(&server, second, r#"200 {"counted":1,"#).await;
    let third = r#"{"id":"shift-7","row":2,"label":0}"#;
    let because = "row 2 of prediction \\\"shift-7\\\" is not remembered";
    let expect = format!(r#"404 {{"error":"failed to take the feedback: because {because}"#);
    check(&server, third, &expect).await;
    let wrong = r#"{"id":"shift-7","label":2}"#;
    let expect = r#"400 {"error":"failed to take the feedback: because the label 2 is no class"#;
    check(&server, wrong, expect).await;
    let bundle = Digest::of(b"1.0.0");
    let labels = routes.predictions(&model("scaler")).take_labels(&bundle);
    assert_eq!((labels.positive[18], labels.negative[2]), (1, 1));
    assert_eq!((labels.n(), labels.unknown), (2, 1));
    server.stop().await;
}

#[tokio::test]
async fn of_many_those_that_can_count_do() {
    let (server, _routes) = predicted().await;
    let many = r#"{"feedback":[{"id":"shift-7","label":1},{"id":"other","label":1},
        {"id":"shift-7","label":1},{"id":"shift-7","row":1,"label":9}]}"#;
    check(
        &server,
        many,
        r#"200 {"counted":1,"duplicates":1,"refused":2,"reasons":[{"id":"other","row":0,"#,
    )
    .await;
    check(&server, r#"{"feedback":[]}"#, r#"200 {"counted":0,"#).await;
    server.stop().await;
}

#[tokio::test]
async fn what_another_bundle_predicted_is_refused() {
    let (server, routes) = predicted().await;
    routes.set(model("scaler"), scaler("2.0.0", 2.0).0);
    let expect = r#"409 {"error":"failed to take the feedback: because row 0 of prediction"#;
    check(&server, r#"{"id":"shift-7","label":1}"#, expect).await;
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_feedback_is_refused() {
    let (server, _routes) = predicted().await;
    for body in [
        "",
        "[]",
        "{}",
        r#"{"id":"a"}"#,
        r#"{"id":"a","label":-1}"#,
        r#"{"id":"a","label":1.5}"#,
        r#"{"id":"a","label":1,"feedback":[]}"#,
        r#"{"id":"a","label":1,"prediction":0.9}"#,
    ] {
        check(
            &server,
            body,
            r#"400 {"error":"failed to take the feedback"#,
        )
        .await;
    }
    let unknown = "POST /v2/models/other/feedback";
    let answer = ask(&server, unknown, &[], "{}").await;
    assert!(answer.starts_with("404 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_prediction_without_an_id_gets_one_where_labels_may_come() {
    let (server, routes) = predicted().await;
    let x = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"#;
    let infer = "POST /v2/models/scaler/infer";
    let answer = ask(&server, infer, &[], x).await;
    assert!(
        answer.contains(r#""parameters":{"prediction_id":""#),
        "{answer}"
    );
    let named = x.replacen('{', r#"{"id":"mine","#, 1);
    let answer = ask(&server, infer, &[], named).await;
    assert!(
        answer.contains(r#""id":"mine""#) && !answer.contains("prediction_id"),
        "{answer}"
    );
    routes.predictions(&model("scaler")).serve(false);
    let answer = ask(&server, infer, &[], x).await;
    assert!(!answer.contains("prediction_id"), "{answer}");
    server.stop().await;
}
