//! Labels for predictions: those that count, and what is said of the others.

use super::*;
use crate::serving::Predictor;
use muster_protocol::stats::ScoreScale;

const FEEDBACK: &str = "POST /v2/models/scaler/feedback";

/// A server whose model has predicted two rows under the id `shift-7`.
async fn predicted() -> (Server, Routes, Predictor) {
    let routes = Routes::new();
    let (route, _task) = scaler("1.0.0", 2.0);
    let scale = ScoreScale::even(1, None).expect("valid");
    let predictor = Predictor::new(route.predictions.clone(), Some(scale));
    predictor.serve();
    let scores = [scale.read([0.9]), scale.read([0.1])];
    predictor.remember("shift-7", &scores);
    routes.set(model("scaler"), route);
    (start_with(&routes).await, routes, predictor)
}

/// Another version takes the route, one that gives no scores.
fn swap(routes: &Routes, predictor: &Predictor) {
    let predictions = predictor.predictions().clone();
    let (route, _task) = scaler("2.0.0", 2.0);
    Predictor::new(predictions.clone(), None).serve();
    let route = Route {
        predictions,
        ..route
    };
    routes.set(model("scaler"), route);
}

async fn check(server: &Server, body: &str, expect: &str) {
    let answer = ask(server, FEEDBACK, &[], body.to_owned()).await;
    assert!(answer.starts_with(expect), "{body}: {answer}");
}

#[tokio::test]
async fn one_label_counts_once_or_says_why_not() {
    let (server, _routes, predictor) = predicted().await;
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
    let labels = predictor.take_labels();
    assert_eq!((labels.positive[18], labels.negative[2]), (1, 1));
    assert_eq!((labels.n(), labels.unknown), (2, 1));
    server.stop().await;
}

#[tokio::test]
async fn of_many_those_that_can_count_do() {
    let (server, ..) = predicted().await;
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
    let (server, routes, predictor) = predicted().await;
    swap(&routes, &predictor);
    let expect = r#"409 {"error":"failed to take the feedback: because row 0 of prediction"#;
    check(&server, r#"{"id":"shift-7","label":1}"#, expect).await;
    server.stop().await;
}

#[tokio::test]
async fn what_a_model_predicted_is_forgotten_when_it_is_removed() {
    let (server, routes, predictor) = predicted().await;
    let remembered = Arc::downgrade(predictor.predictions());
    // As its task, when it has ended.
    drop(predictor);
    check(&server, r#"{"id":"shift-7","label":1}"#, "200 ").await;
    routes.remove(&model("scaler"));
    assert!(remembered.upgrade().is_none(), "it stays in memory");
    check(&server, r#"{"id":"shift-7","label":1}"#, "404 ").await;
    routes.set(model("scaler"), scaler("1.0.0", 2.0).0);
    let expect = r#"404 {"error":"failed to take the feedback: because row 0 of prediction"#;
    check(&server, r#"{"id":"shift-7","label":1}"#, expect).await;
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_says_what_can_be_done_about_it() {
    let (server, routes, predictor) = predicted().await;
    let hint = async |body: &str, expect: &str| {
        let answer = ask(&server, FEEDBACK, &[], body.to_owned()).await;
        let hint = answer.split(": hint: ").nth(1).unwrap_or_default();
        assert!(hint.contains(expect), "{body}: {answer}");
    };
    hint(r#"{"id":"other","label":1}"#, "parameters.prediction_id").await;
    hint(r#"{"id":"shift-7","label":2}"#, "numbers of classes").await;
    swap(&routes, &predictor);
    hint(r#"{"id":"shift-7","label":1}"#, "while the version").await;
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_feedback_is_refused() {
    let (server, ..) = predicted().await;
    for body in [
        "",
        "[]",
        "{}",
        r#"{"id":"a"}"#,
        r#"{"id":"a","label":-1}"#,
        r#"{"id":"a","label":1.5}"#,
        r#"{"id":"a","label":1,"feedback":[]}"#,
        r#"{"id":"a","feedback":[]}"#,
        r#"{"label":1,"feedback":[]}"#,
        r#"{"row":0,"feedback":[]}"#,
        r#"{"row":1,"label":1}"#,
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
    let (server, routes, predictor) = predicted().await;
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
    swap(&routes, &predictor);
    let answer = ask(&server, infer, &[], x).await;
    assert!(!answer.contains("prediction_id"), "{answer}");
    server.stop().await;
}
