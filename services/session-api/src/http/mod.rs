//! The HTTP API: one file per operation, one place for errors, one for who calls.

mod admin;
mod body;
mod caller;
mod client;
mod codes;
pub mod cookie;
mod cursor;
mod devices;
mod docs;
mod form;
mod health;
mod jwks;
mod merged;
mod prefer;
mod problem;
mod requests;
mod sessions;
mod strict;
mod tags;
mod view;

use std::sync::Arc;

use poem::endpoint::make_sync;
use poem::http::header::CONTENT_TYPE;
use poem::{Endpoint, EndpointExt, Response, Route};
use poem_openapi::{OpenApi, OpenApiService};

use crate::app::App;
use crate::metrics::RequestDuration;
use merged::Merged;
use requests::Requests;

/// Everything the public listener serves.
pub fn routes(app: &Arc<App>, duration: RequestDuration) -> impl Endpoint + use<> {
    let service = service();
    let spec = service.spec();
    let document = make_sync(move |_| {
        Response::builder()
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(spec.clone())
    });
    let (clock, entropy) = (Arc::clone(&app.ports.clock), Arc::clone(&app.ports.entropy));
    Route::new()
        .at("/docs", docs::page(service.swagger_ui_html()))
        .at("/openapi.json", document)
        .nest("/", service)
        .data(Arc::clone(app))
        .with(Requests::new(clock, entropy, duration))
}

/// The API document (`OpenAPI` 3.0), as JSON.
pub fn document() -> String {
    service().spec()
}

fn service() -> OpenApiService<impl OpenApi, ()> {
    let operations = Merged((
        sessions::operations(),
        devices::operations(),
        admin::operations(),
        jwks::Jwks,
        health::Health,
    ));
    let description = format!(
        "Sessions for login systems: start one once a user has been authenticated, and end it so that no \
         validator anywhere accepts it from the moment the call returns.\n\n\
         Requests are read strictly: fields and parameters that an operation doesn't know, or that are \
         given twice, are refused and named. A field that may be left out may also be `null`, which \
         means the same unless its description says otherwise.\n\n\
         Every error is `application/problem+json` (RFC 9457) with one of these codes:\n\n{}",
        codes::table()
    );
    OpenApiService::new(operations, "Session service", env!("CARGO_PKG_VERSION"))
        .description(description)
}
