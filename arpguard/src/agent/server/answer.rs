//! What is answered to a request.

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};

use crate::agent::view::View;

const LINE: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const EXPOSITION: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

type Answer = Response<Full<Bytes>>;

pub(super) async fn answer(request: &Request<Incoming>, view: &View) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = line(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET and HEAD are served",
        );
        let methods = HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(ALLOW, methods);
        return answer;
    }
    match request.uri().path() {
        "/healthz" => match view.fault().await {
            None => line(StatusCode::OK, "ok"),
            Some(why) => line(StatusCode::SERVICE_UNAVAILABLE, &why),
        },
        "/metrics" => match view.metrics().await {
            Ok(metrics) => text(StatusCode::OK, EXPOSITION, metrics.to_string()),
            Err(error) => line(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
        _ => line(StatusCode::NOT_FOUND, "there are /metrics and /healthz"),
    }
}

fn line(status: StatusCode, line: &str) -> Answer {
    text(status, LINE, format!("{line}\n"))
}

fn text(status: StatusCode, kind: HeaderValue, text: String) -> Answer {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    // It is true at the moment of asking, and no later.
    let fresh = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(CACHE_CONTROL, fresh);
    answer
}
