//! Predictions: JSON and binary, in and out.

use super::*;
use crate::serve::request::JSON_LENGTH;

const INFER: &str = "POST /v2/models/scaler/infer";

#[tokio::test]
async fn json_predicts_flat_or_nested() {
    async fn check(server: &Server, body: &str, expect: &str) {
        let prefix = r#"200 {"model_name":"scaler","model_version":"1.0.0","#;
        let expect = format!("{prefix}{expect}}}");
        assert_eq!(
            ask(server, INFER, &[], body.to_owned()).await,
            expect,
            "{body}"
        );
    }
    let server = start_scaler().await;
    let both = concat!(
        r#""outputs":[{"name":"y","datatype":"FP32","shape":[2,2],"data":[0.2,4.0,6.0,8.0]},"#,
        r#"{"name":"sum","datatype":"FP64","shape":[],"data":[18.200000002980232]}]"#
    );
    let flat = r#"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[0.1,2,3,4]}]}"#;
    check(&server, flat, both).await;
    let nested =
        r#"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[0.1,2],[3.0,4]]}]}"#;
    check(&server, nested, both).await;
    let data_first = r#"{"parameters":{"priority":3},"outputs":[],
        "inputs":[{"data":[[0.1,2],[3.0,4]],"datatype":"FP32","extra":{"data":1},"shape":[2,2],"name":"x"}]}"#;
    check(&server, data_first, both).await;
    let one_with_id = r#"{"id":"a\"7","outputs":[{"name":"y"}],
        "inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,-2]}]}"#;
    let one =
        r#""id":"a\"7","outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"data":[2.0,-4.0]}]"#;
    check(&server, one_with_id, one).await;
    let overflow = r#"{"outputs":[{"name":"y"}],
        "inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[3e38,1]}]}"#;
    let null = concat!(
        r#""outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"#,
        r#""parameters":{"non_finite":1},"data":[null,2.0]}]"#
    );
    check(&server, overflow, null).await;
    server.stop().await;
}

#[tokio::test]
async fn every_datatype_of_json_comes_back_exactly() {
    async fn check(datatype: Datatype, shape: &str, data: &str, expect: &str) {
        let routes = Routes::new();
        routes.set(model("scaler"), echo(datatype));
        let server = start_with(&routes).await;
        let body = format!(
            r#"{{"inputs":[{{"name":"v","shape":{shape},"datatype":"{datatype}","data":{data}}}]}}"#
        );
        let got = ask(&server, INFER, &[], body).await;
        let got = got
            .split_once(r#""data":"#)
            .map_or(got.as_str(), |(_, data)| data);
        assert_eq!(got, format!("{expect}}}]}}"), "{datatype} {data}");
        server.stop().await;
    }
    let same = async |datatype, shape, data| check(datatype, shape, data, data).await;
    same(Datatype::Bool, "[2]", "[true,false]").await;
    same(Datatype::U8, "[2]", "[0,255]").await;
    same(Datatype::I8, "[2]", "[-128,127]").await;
    same(Datatype::U16, "[1]", "[65535]").await;
    same(Datatype::I16, "[1]", "[-32768]").await;
    same(Datatype::U32, "[1]", "[4294967295]").await;
    same(Datatype::I32, "[1]", "[-2147483648]").await;
    same(Datatype::U64, "[1]", "[18446744073709551615]").await;
    same(Datatype::I64, "[1]", "[-9223372036854775808]").await;
    same(Datatype::F32, "[3]", "[0.1,-1.5,16777216.0]").await;
    check(Datatype::F64, "[2]", "[0.1,1e300]", "[0.1,1e+300]").await;
    check(Datatype::F32, "[1]", "7", "[7.0]").await;
}

#[tokio::test]
async fn a_large_body_is_read_aside() {
    const ROWS: usize = 100_000;
    let routes = Routes::new();
    routes.set(model("scaler"), scaler("1.0.0", 2.0).0);
    let config = ServeConfig {
        body_bytes_max: 1 << 20,
        ..on_loopback()
    };
    let server = start(config, routes, no_status(), no_sticks())
        .await
        .expect("listens");
    let data = vec!["[1,2]"; ROWS].join(",");
    let body = format!(
        r#"{{"outputs":[{{"name":"sum"}}],"inputs":[{{"name":"x","shape":[{ROWS},2],
        "datatype":"FP32","data":[{data}]}}]}}"#
    );
    let got = ask(&server, INFER, &[], body.clone()).await;
    assert!(got.ends_with(r#""data":[600000.0]}]}"#), "{got}");
    let got = ask(&server, INFER, &[], body.replace("[1,2]]", "[1,true]]")).await;
    assert!(
        got.starts_with("400 ") && got.contains("element 199999 is true"),
        "{got}"
    );
    server.stop().await;
}

#[tokio::test]
async fn binary_data_goes_in_and_comes_out() {
    let server = start_scaler().await;
    let json = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}],
        "outputs":[{"name":"sum","parameters":{"binary_data":false}},{"name":"y"}],
        "parameters":{"binary_data_output":true}}"#;
    let mut body = json.as_bytes().to_vec();
    body.extend(1.5f32.to_le_bytes());
    body.extend(f32::NAN.to_le_bytes());
    let length = json.len().to_string();
    let request = request(&server, INFER, &[(JSON_LENGTH, &length)], body);
    let response = send(&mut client(&server).await, request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "application/octet-stream"
    );
    let length = response.headers()[JSON_LENGTH].to_str().expect("text");
    let (json, binary) = response.body().split_at(length.parse().expect("number"));
    let expect = concat!(
        r#"{"model_name":"scaler","model_version":"1.0.0","outputs":["#,
        r#"{"name":"sum","datatype":"FP64","shape":[],"parameters":{"non_finite":1},"data":[null]},"#,
        r#"{"name":"y","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}"#
    );
    assert_eq!(String::from_utf8_lossy(json), expect);
    assert_eq!(binary[..4], 3f32.to_le_bytes());
    assert!(f32::from_le_bytes(binary[4..].try_into().expect("4 bytes")).is_nan());
    server.stop().await;
}

#[tokio::test]
async fn half_precision_goes_in_binary_and_comes_out_as_numbers() {
    let routes = Routes::new();
    routes.set(model("scaler"), echo(Datatype::F16));
    let server = start_with(&routes).await;
    let json = r#"{"inputs":[{"name":"v","shape":[2],"datatype":"FP16","parameters":{"binary_data_size":4}}]}"#;
    let mut body = json.as_bytes().to_vec();
    body.extend([0x00, 0x3c, 0x00, 0xc0]);
    let length = json.len().to_string();
    let got = ask(&server, INFER, &[(JSON_LENGTH, &length)], body).await;
    let data = got.split_once(r#""data":"#).map(|(_, data)| data);
    assert_eq!(data, Some("[1.0,-2.0]}]}"), "{got}");
    server.stop().await;
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = start_scaler().await;
    let mut client = client(&server).await;
    for _ in 0..3 {
        let body = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"#;
        let response = send(&mut client, request(&server, INFER, &[], body)).await;
        assert_eq!(response.status(), 200);
    }
    server.stop().await;
}
