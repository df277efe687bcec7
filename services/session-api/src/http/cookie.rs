//! The session cookie. Its name decides its safety: `__Host-` cookies are Secure, of this host
//! alone and of its root path, or browsers don't keep them.

pub use session_domain::policy::session_cookie_name as cookie_name;

/// The `Set-Cookie` value that takes the cookie back.
pub fn expired_cookie(name: &str) -> String {
    let secure = if name.starts_with("__Host-") {
        "; Secure"
    } else {
        ""
    };
    format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_cookie_is_taken_back_securely() {
        let cookie = expired_cookie(cookie_name("https://s.example"));
        assert!(
            cookie.starts_with("__Host-session=; ") && cookie.ends_with("; Secure"),
            "{cookie}"
        );
        assert!(!expired_cookie(cookie_name("http://127.0.0.1:8080")).contains("Secure"));
    }
}
