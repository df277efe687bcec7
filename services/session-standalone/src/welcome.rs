//! What a newcomer is told: where everything is, and three lines to try.

use std::net::SocketAddr;
use std::path::Path;

/// Where an instance listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The API.
    pub api: SocketAddr,
    /// The validator.
    pub validator: SocketAddr,
    /// The validator, over gRPC.
    pub grpc: SocketAddr,
    /// Health and metrics.
    pub private: SocketAddr,
}

/// The text printed once everything is ready.
pub fn text(addresses: &Addresses, service_key: &Path) -> String {
    let Addresses {
        api,
        validator,
        grpc,
        private,
    } = addresses;
    let key = service_key.display();
    format!(
        r#"
The session service is ready.

  API        http://{api}         documentation: http://{api}/docs
  validator  http://{validator}/v1/authz/{{forwarded|original|envoy}}/default
             {grpc} for gateways that ask over gRPC (Envoy's ext_authz)
  health     http://{private}/readyz   metrics: http://{private}/metrics
  service key in {key}

Try it, in another terminal:

  1. Start a session, as a login system does:
     S=$(curl -s http://{api}/api/v1/sessions -H "Authorization: Bearer $(cat {key})" -H 'Content-Type: application/json' -d '{{"user_id":"alice","ip_address":"192.0.2.1","user_agent":"curl"}}'); ID=$(expr "$S" : '.*"id":"\([^"]*\)'); TOKEN=$(expr "$S" : '.*"access_token":"\([^"]*\)'); echo "session $ID"

  2. Ask whether it is good, as a gateway does (200):
     curl -si http://{validator}/v1/authz/forwarded/default -H "Authorization: Bearer $TOKEN"

  3. End it, and see it refused (401):
     curl -si -X DELETE http://{api}/api/v1/sessions/$ID -H "Authorization: Bearer $(cat {key})"; curl -si http://{validator}/v1/authz/forwarded/default -H "Authorization: Bearer $TOKEN"

  Or let `make demo` play a day of one user on four devices.
"#
    )
}
