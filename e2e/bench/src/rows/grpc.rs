//! Envoy's `ext_authz` over gRPC, tokens known.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use envoy_types::ext_authz::v3::pb::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tokio::runtime::Runtime;
use tonic_prost::prost::Message;

use super::process::Validator;
use crate::Effort;
use crate::bare::{Bare, Process};
use crate::figures::Figures;
use crate::load;
use crate::report::{Gate, Section, Side};

const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// What Envoy asks about a request of a browser.
fn question(bearer: &str) -> CheckRequest {
    let fields = [
        (":authority", "app.example"),
        (":method", "GET"),
        (":path", "/orders?page=2"),
        (":scheme", "https"),
        ("accept", "text/html,application/xhtml+xml"),
        ("accept-language", "en-GB,en;q=0.5"),
        ("authorization", bearer),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "6c7a3f0e-1f66-4f2a-9b35-0d9f3b9d7a11"),
    ];
    let http = HttpRequest {
        id: "1".to_owned(),
        method: "GET".to_owned(),
        path: "/orders?page=2".to_owned(),
        host: "app.example".to_owned(),
        scheme: "https".to_owned(),
        protocol: "HTTP/2".to_owned(),
        headers: HashMap::from(fields.map(|(name, value)| (name.to_owned(), value.to_owned()))),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request {
                http: Some(http),
                ..Request::default()
            }),
            ..AttributeContext::default()
        }),
    }
}

pub fn measure(runtime: &Runtime, effort: Effort) -> Result<Section> {
    let validator = Validator::start(runtime, 0)?;
    let tonic = Process::start(Bare::Tonic)?;
    let question = question(&format!("Bearer {}", validator.authority.token(1)?));
    let sides = [
        (tonic.pid(), tonic.address),
        (validator.pid()?, validator.address("grpc")),
    ];
    // A no travels as well as a yes, and h2load doesn't tell them apart.
    for (_, address) in sides {
        let asked = runtime.block_on(async {
            let mut client = AuthorizationClient::connect(format!("http://{address}")).await?;
            anyhow::Ok(client.check(question.clone()).await?.into_inner())
        });
        let status = asked?.status;
        ensure!(
            status.as_ref().is_some_and(|status| status.code == 0),
            "not let through: {status:?}"
        );
    }
    let folder = tempfile::tempdir()?;
    let message = folder.path().join("question");
    std::fs::write(&message, framed(&question)?)?;
    let (mut rates, mut shares) = (
        [Figures::default(), Figures::default()],
        [Figures::default(), Figures::default()],
    );
    for (pid, address) in sides {
        load::h2load(pid, address, PATH, &message, 1)?;
    }
    for _ in 0..effort.rounds {
        for (side, (pid, address)) in sides.iter().enumerate() {
            let run = load::h2load(*pid, *address, PATH, &message, effort.seconds)?;
            rates[side].add(run.rate);
            shares[side].add(run.share);
        }
    }
    let ([bare, ours], [bare_share, our_share]) = (rates, shares);
    let gates = vec![Gate::at_least(
        "answers/s of bare tonic's",
        ours.over(&bare),
        0.90,
    )];
    let side = |name: &str, rate, share| Side {
        name: name.to_owned(),
        figures: vec![
            ("answers/s", rate),
            ("h2load's share of processor time", share),
        ],
    };
    let (connections, streams) = load::STREAMS;
    Ok(Section {
        name: "grpc",
        title: "Validate over gRPC".to_owned(),
        text: format!(
            "`ext_authz` `Check` of a browser's request with one access token that was asked about \
             before, over {connections} connections with {streams} questions under way on each, by \
             `h2load` with one thread. The bare one is a tonic service that answers `OK` without \
             any fields."
        ),
        sides: vec![
            side("bare tonic", bare, bare_share),
            side("session-validator", ours, our_share),
        ],
        plotted: Some("answers/s"),
        gates,
    })
}

/// As gRPC sends it: not compressed, its length, itself.
fn framed(message: &CheckRequest) -> Result<Vec<u8>> {
    let body = message.encode_to_vec();
    let length = u32::try_from(body.len())?;
    Ok([&[0], &length.to_be_bytes()[..], &body].concat())
}
