//! `POST /sessions/revoke-others` and `DELETE /sessions`: end all but this one, or all.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Header;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use session_domain::ids::SessionId;
use session_domain::usecase::end::Patience;
use session_domain::usecase::end_others::{EndedMany, end_others};

use crate::app::App;
use crate::http::caller::User;
use crate::http::cookie::expired_cookie;
use crate::http::prefer::{RESPOND_ASYNC, patience};
use crate::http::problem::Problem;
use crate::http::tags::Tag;

pub(super) struct RevokeOthers;

/// How many sessions are over.
#[derive(Debug, Object)]
struct RevokedMany {
    /// How many this request ended.
    revoked: u64,
}

#[derive(ApiResponse)]
enum Revoked {
    /// They are over: no validator anywhere accepts any of them in a request that begins after
    /// this answer.
    #[oai(status = 200)]
    Done(
        Json<RevokedMany>,
        /// The log entry that made it so.
        #[oai(header = "Session-Revocation-Seq")]
        u64,
        /// Takes the cookie back, where the caller's own session ended and came with it.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
    /// It is written: every validator will have heard within the length of a lease, and then none
    /// accepts any of
    /// them.
    #[oai(status = 202)]
    Accepted(
        Json<RevokedMany>,
        /// The log entry that makes it so, for `Session-Min-Seq`.
        #[oai(header = "Session-Revocation-Seq")]
        u64,
        /// `respond-async`.
        #[oai(header = "Preference-Applied")]
        String,
        /// Takes the cookie back, where the caller's own session ended and came with it.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

#[OpenApi]
impl RevokeOthers {
    /// End all of the caller's sessions but this one
    #[oai(
        path = "/api/v1/sessions/revoke-others",
        method = "post",
        tag = "Tag::Sessions",
        operation_id = "revokeOtherSessions"
    )]
    async fn others(
        &self,
        app: Data<&Arc<App>>,
        caller: User,
        /// `respond-async`: don't wait for validators (RFC 7240).
        #[oai(name = "Prefer")]
        prefer: Header<Option<String>>,
    ) -> Result<Revoked, Problem> {
        let patience = patience(prefer.as_deref());
        end(&app, &caller, Some(caller.session), patience).await
    }

    /// End all of the caller's sessions, this one too
    #[oai(
        path = "/api/v1/sessions",
        method = "delete",
        tag = "Tag::Sessions",
        operation_id = "revokeAllSessions"
    )]
    async fn all(
        &self,
        app: Data<&Arc<App>>,
        caller: User,
        /// `respond-async`: don't wait for validators (RFC 7240).
        #[oai(name = "Prefer")]
        prefer: Header<Option<String>>,
    ) -> Result<Revoked, Problem> {
        end(&app, &caller, None, patience(prefer.as_deref())).await
    }
}

async fn end(
    app: &App,
    caller: &User,
    except: Option<SessionId>,
    patience: Patience,
) -> Result<Revoked, Problem> {
    let EndedMany { count, seq } = end_others(
        &app.end_ports(),
        &caller.caller(),
        &caller.tenant,
        &caller.user,
        except,
        patience,
    )
    .await?;
    let cookie = (caller.by_cookie && except.is_none()).then(|| expired_cookie(&app.cookie));
    let many = Json(RevokedMany { revoked: count });
    Ok(match patience {
        Patience::UntilRefused => Revoked::Done(many, seq.0, cookie),
        Patience::UntilWritten => Revoked::Accepted(many, seq.0, RESPOND_ASYNC.to_owned(), cookie),
    })
}
