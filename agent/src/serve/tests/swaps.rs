//! The route changes between two requests, and no request fails.

use super::*;
use crate::serve::request::JSON_LENGTH;
use std::time::Duration;
use tokio::sync::Notify;

const INFER: &str = "POST /v2/models/scaler/infer";
const BODY: &str = r#"{"outputs":[{"name":"y"}],
    "inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"#;
/// Far above what any wait here takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// Version and first element of y of one prediction.
async fn predict(server: &Server, client: &mut Client) -> (String, f64) {
    let response = send(client, request(server, INFER, &[], BODY)).await;
    let text = String::from_utf8_lossy(response.body());
    assert_eq!(response.status(), 200, "{text}");
    assert!(!response.headers().contains_key(JSON_LENGTH));
    let reply: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let version = reply["model_version"].as_str().expect("a version");
    let y = reply["outputs"][0]["data"][0].as_f64().expect("a number");
    (version.to_owned(), y)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_fail_no_request() {
    const SWAPS: usize = 50;
    let routes = Routes::new();
    let (first, mut old_task) = scaler("1.0.0", 1.0);
    routes.set(model("scaler"), first);
    let server = Arc::new(start_with(&routes).await);
    let (stop, stopped) = watch::channel(false);
    let (count, mut counted) = watch::channel(0usize);
    let count = Arc::new(count);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (server, stopped, count) = (server.clone(), stopped.clone(), count.clone());
            tokio::spawn(async move {
                let mut client = client(&server).await;
                let mut asked = 0;
                while !*stopped.borrow() {
                    let (version, y) = predict(&server, &mut client).await;
                    assert_eq!(version, format!("{y}.0.0"));
                    count.send_modify(|count| *count += 1);
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    let (mut served, mut versions) = (0, 0);
    for swap in 2..2 + SWAPS {
        let before = *counted.borrow_and_update();
        let more = counted.wait_for(|count| *count > before);
        assert!(tokio::time::timeout(DEADLINE, more).await.is_ok());
        let (next, next_task) = scaler(&format!("{swap}.0.0"), swap as f32);
        drop(routes.set(model("scaler"), next));
        // The old task ends by itself once it has answered what it was asked.
        let old = std::mem::replace(&mut old_task, next_task);
        let by_old = tokio::time::timeout(DEADLINE, old).await.expect("drained");
        let by_old = by_old.expect("no panic");
        served += by_old;
        versions += usize::from(by_old > 0);
    }
    stop.send_replace(true);
    let mut asked = 0;
    for client in clients {
        asked += client.await.expect("no request failed");
    }
    routes.remove(&model("scaler"));
    served += old_task.await.expect("no panic");
    assert_eq!(served, asked, "each request was computed exactly once");
    assert!(versions > 1, "the load was on while the route changed");
}

#[tokio::test]
async fn a_task_that_dies_with_requests_in_its_queue_loses_none() {
    let routes = Routes::new();
    let (dying, _) = scaler("1.0.0", 1.0);
    let (requests, mut jobs) = mpsc::channel(4);
    routes.set(model("scaler"), Route { requests, ..dying });
    let server = Arc::new(start_with(&routes).await);
    let asking = {
        let server = server.clone();
        tokio::spawn(async move { predict(&server, &mut client(&server).await).await })
    };
    let job = tokio::time::timeout(DEADLINE, jobs.recv()).await;
    let job = job.expect("in time").expect("a job");
    let (next, _) = scaler("2.0.0", 2.0);
    drop(routes.set(model("scaler"), next));
    drop((job, jobs));
    assert_eq!(asking.await.expect("answered"), ("2.0.0".into(), 2.0));
}

#[tokio::test]
async fn a_model_without_a_living_task_is_unavailable_after_one_more_try() {
    let routes = Routes::new();
    let (dead, _) = scaler("1.0.0", 1.0);
    let (requests, _) = mpsc::channel(4);
    routes.set(model("scaler"), Route { requests, ..dead });
    let server = start_with(&routes).await;
    let got = ask(&server, INFER, &[], BODY).await;
    assert!(
        got.starts_with("503 ") && got.contains("its task ended"),
        "{got}"
    );
    server.stop().await;
}

#[tokio::test]
async fn stopping_lets_requests_under_way_finish() {
    let routes = Routes::new();
    let (slow, _) = scaler("1.0.0", 1.0);
    let (requests, mut jobs) = mpsc::channel::<Job>(1);
    routes.set(model("scaler"), Route { requests, ..slow });
    let server = start_with(&routes).await;
    let address = server.local_addr().expect("on TCP");
    let mut client = client(&server).await;
    let asked = send(&mut client, request(&server, INFER, &[], BODY));
    let stopping = Notify::new();
    let answer = async {
        let job = jobs.recv().await.expect("a job");
        stopping.notify_one();
        // The server has heard of it when it takes no more connections.
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        let y = Tensor::from_f32("y", vec![1, 2], &[5.0, 6.0]).expect("valid");
        let answer = Answer {
            outputs: vec![y],
            version: "1.0.0".into(),
        };
        job.reply.send(Ok(answer)).expect("still waited for");
    };
    let stop = async {
        stopping.notified().await;
        server.stop().await;
    };
    let all = async { tokio::join!(asked, answer, stop).0 };
    let response = tokio::time::timeout(DEADLINE, all).await.expect("stopped");
    assert_eq!(response.status(), 200);
}
