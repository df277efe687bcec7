//! The decision alone, in this process.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use http::{HeaderMap, HeaderValue};
use session_bus::InProcessBus;
use session_client::{Config, Decision, Policies, Policy, Ports, Question, Validator};
use session_domain::port::{Bus, Clock};
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_token::{LifeMax, StrictVerifier, VerifyingKey};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::Effort;
use crate::authority::{Authority, ISSUER};
use crate::figures::Figures;
use crate::report::{Gate, Section, Side};

/// How often the quick ones are done in a round.
const OFTEN: u32 = 200_000;

/// How often those are that verify a signature, each of another token.
const SELDOM: u32 = 2_000;

/// How many sessions have a bit in the lists that are looked at.
const SESSIONS: u64 = 1_000_000;

pub fn measure(runtime: &Runtime, effort: Effort) -> Result<Section> {
    let authority = Authority::new(SESSIONS)?;
    let (validator, _running) = runtime.block_on(following(authority.clone()))?;
    let known = authority.token(0)?;
    let headers = headers(&known)?;
    judge(&validator, &headers)?;
    let key = VerifyingKey::from_public(authority.key())?;
    let (signed, signature) = known.rsplit_once('.').context("a token has parts")?;
    let map: HashMap<String, u64> = (0..1_000)
        .map(|number| Ok((authority.token(number)?, number)))
        .collect::<Result<_>>()?;
    let mut took = <[Figures; 4]>::default();
    for round in 0..effort.rounds as u64 {
        let fresh = (0..u64::from(SELDOM)).map(|number| {
            let token = authority.token((round + 1) << 32 | number)?;
            self::headers(&token)
        });
        let fresh = fresh.collect::<Result<Vec<_>>>()?;
        let mut fresh = fresh.iter();
        let figures = [
            nanos(OFTEN, || {
                black_box(judge(&validator, black_box(&headers)).is_ok());
            }),
            nanos(SELDOM, || {
                let headers = fresh.next().expect("as many as are asked about");
                black_box(judge(&validator, black_box(headers)).is_ok());
            }),
            nanos(SELDOM, || {
                black_box(key.verify(black_box(signed.as_bytes()), signature));
            }),
            nanos(OFTEN, || {
                black_box(map.get(black_box(known.as_str())));
            }),
        ];
        for (took, figure) in took.iter_mut().zip(figures) {
            took.add(figure);
        }
    }
    judge(&validator, &headers)?;
    let [warm, cold, verify, look_up] = took;
    let gates = vec![
        Gate::at_most("warm, of a bare verification", warm.over(&verify), 0.05),
        Gate::at_most("cold, of a bare verification", cold.over(&verify), 1.15),
        Gate::told("warm, of a look into a hash map", warm.over(&look_up)),
    ];
    let side = |name: &str, took| Side {
        name: name.to_owned(),
        figures: vec![("ns", took)],
    };
    Ok(Section {
        name: "decision",
        title: "The decision alone".to_owned(),
        text: format!(
            "In this process, by one thread, of a request with one header field: an access token of \
             {} bytes. Warm is a token that was asked about before; cold one that wasn't. \
             Verifying is Ed25519 by aws-lc-rs of the same token; the hash map is std's, of 1 000 \
             tokens by all their bytes. A warm decision takes no memory: \
             `services/session-validator/tests/gateways/warm.rs` counts.",
            known.len()
        ),
        sides: vec![
            side("warm decision", warm),
            side("cold decision", cold),
            side("Ed25519 verification", verify),
            side("hash-map look-up", look_up),
        ],
        plotted: None,
        gates,
    })
}

/// Nanoseconds each, done so often.
fn nanos(times: u32, mut what: impl FnMut()) -> f64 {
    let begun = SystemClock.boot();
    for _ in 0..times {
        what();
    }
    SystemClock.boot().since(begun).as_secs_f64() * 1e9 / f64::from(times)
}

fn headers(token: &str) -> Result<HeaderMap> {
    let value = HeaderValue::try_from(format!("Bearer {token}"))?;
    Ok([(http::header::AUTHORIZATION, value)].into_iter().collect())
}

/// Asks, as a gateway is answered.
fn judge(validator: &Validator, headers: &HeaderMap) -> Result<()> {
    let question = Question {
        policy: "default",
        method: Some("GET"),
        headers,
        within: None,
    };
    let decision = validator.judge(&question).now_or_never();
    ensure!(matches!(decision, Some(Decision::Allow(_))), "{decision:?}");
    Ok(())
}

/// A validator within this process that holds a lease for as long as what comes with it is kept.
async fn following(authority: Authority) -> Result<(Validator, JoinSet<()>)> {
    let bus: Arc<dyn Bus> = Arc::new(InProcessBus::new());
    let mut running = authority.serve(Arc::clone(&bus)).await?;
    let life_max = LifeMax {
        access: Duration::from_secs(600),
        session: Duration::from_secs(30 * 86_400),
    };
    let ports = Ports {
        bus,
        verifier: Arc::new(StrictVerifier::new(ISSUER, life_max)),
        clock: Arc::new(SystemClock),
        timer: Arc::new(TokioTimer::new(SystemClock)),
        entropy: Arc::new(SystemEntropy),
    };
    let policies = Policies::new(Policy::new(ISSUER.to_owned()));
    let (validator, following) = Validator::new(Config::new(ISSUER), policies, ports);
    running.spawn(async move {
        // It ends with an error where the bus is gone, which is when nobody asks any more.
        let _ = following.run(std::future::pending()).await;
    });
    while !validator.is_ready() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok((validator, running))
}
