//! Who a request is from is said by the validator alone, whatever a client says.

use anyhow::{Result, bail, ensure};

use super::{FIELDS, Stage, is};
use crate::application::Arrived;
use crate::http::Request;
use crate::service::SignedIn;

/// Whether nothing that was made up by the client arrived, under whatever name.
fn nothing_made_up(arrived: &Arrived) -> Result<()> {
    let made_up = arrived
        .headers
        .iter()
        .find(|(_, value)| value.contains("mallory"));
    ensure!(made_up.is_none(), "{made_up:?}");
    Ok(())
}

pub(super) async fn spoofed_identity(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    let request = FIELDS
        .iter()
        .fold(Request::get().bearer(&alice.access), |request, field| {
            request
                .with(field, "mallory")
                .with(&field.to_lowercase(), "mallory")
        })
        .with("X-Session-Role", "mallory");
    let (_, arrived) = stage.passes(&request, &alice).await?;
    // A name nobody gives a meaning to may pass; these may not.
    for field in FIELDS {
        ensure!(!arrived.all(field).contains(&"mallory"), "{field}");
    }
    Ok(())
}

pub(super) async fn spoofed_identity_alone(stage: Stage<'_>) -> Result<()> {
    let request = FIELDS.iter().fold(Request::get(), |request, field| {
        request.with(field, "mallory")
    });
    stage.unauthorized(&request, "no_credential").await
}

/// The request may be refused as a whole; what was made up may not arrive.
async fn refused_or_cleaned(stage: Stage<'_>, request: &Request, user: &SignedIn) -> Result<()> {
    let answer = stage.ask(request).await?;
    match answer.status {
        200 => {
            let arrived = stage.one_arrived()?;
            is(&arrived, user)?;
            nothing_made_up(&arrived)
        }
        400..500 => {
            ensure!(stage.application.take().is_empty());
            Ok(())
        }
        status => bail!("{status}: {}", answer.text()),
    }
}

pub(super) async fn alias_with_underscores(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    for alias in [
        "X_Session_Subject",
        "x_session_id",
        "X-Session_Subject",
        "X_Session-Id",
    ] {
        let request = Request::get().bearer(&alice.access).with(alias, "mallory");
        refused_or_cleaned(stage, &request, &alice).await?;
    }
    Ok(())
}

pub(super) async fn alias_with_dots(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    for alias in ["X.Session.Subject", "x.session.id", "X-Session.Subject"] {
        let request = Request::get().bearer(&alice.access).with(alias, "mallory");
        refused_or_cleaned(stage, &request, &alice).await?;
    }
    Ok(())
}

pub(super) async fn connection_names_identity(stage: Stage<'_>) -> Result<()> {
    let alice = stage.service.sign_in("alice").await?;
    for named in [
        "X-Session-Subject",
        "close, X-Session-Subject, x-session-id",
    ] {
        let request = Request::get()
            .bearer(&alice.access)
            .with("Connection", named)
            .with("X-Session-Subject", "mallory");
        refused_or_cleaned(stage, &request, &alice).await?;
    }
    Ok(())
}
