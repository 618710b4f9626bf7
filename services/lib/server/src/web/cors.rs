//! CORS: which pages may call from a browser. Callers send tokens and never cookies, so credentials are never allowed.

use std::time::Duration;

use http::{
    HeaderName, HeaderValue, Method, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN, RETRY_AFTER},
};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

/// How long a browser may keep the answer to a preflight; the longest that Chromium accepts.
const MAX_AGE: Duration = Duration::from_secs(7_200);
/// Headers of a call that a page may send beside `authorization` and `content-type`.
const CALL_HEADERS: [&str; 3] = ["grpc-timeout", "x-grpc-web", "x-user-agent"];
/// Headers of an answer that a page may read: a refused call has no body and carries its status here.
const STATUS_HEADERS: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/// Origins of the pages that may call from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Every page.
    Any,
    /// Pages of these origins only; without any, no page of another origin.
    Only(Vec<HeaderValue>),
}

/// An origin that no browser would send.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not an origin: it must be a scheme, a host and, unless it is the scheme's own, a port, in lower case and without a slash at the end, such as https://shop.example; or the list must be \"*\" alone"
)]
pub struct OriginError(String);

impl AllowedOrigins {
    /// Reads a list of origins, or `*` alone for every page.
    pub fn try_new(origins: &[String]) -> Result<Self, OriginError> {
        if origins == ["*"] {
            return Ok(Self::Any);
        }
        let parse = |origin: &String| origin_value(origin).ok_or_else(|| OriginError(origin.clone()));
        origins.iter().map(parse).collect::<Result<_, _>>().map(Self::Only)
    }
}

/// The header of an origin as browsers write it. None: no browser writes it so.
fn origin_value(text: &str) -> Option<HeaderValue> {
    let uri: Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?.as_str());
    let default_port = match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    let is_origin = text == format!("{scheme}://{authority}")
        && !text.contains(['@', '*'])
        && !text.contains(char::is_uppercase)
        && (uri.port_u16().is_none() || uri.port_u16() != default_port);
    is_origin.then(|| HeaderValue::from_str(text).ok()).flatten()
}

/// Answers preflights of plain HTTP, and adds its headers to the other answers. Its requests carry no token in a header.
pub(super) fn cors_of_http(origins: &AllowedOrigins) -> CorsLayer {
    let layer = CorsLayer::new().allow_methods([Method::GET, Method::PUT]).allow_headers([CONTENT_TYPE]);
    with_origins(layer.expose_headers([RETRY_AFTER]).max_age(MAX_AGE), origins)
}

/// Answers preflights of calls, and adds its headers to the other answers.
pub(super) fn cors(origins: &AllowedOrigins) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::POST])
        .allow_headers(
            [AUTHORIZATION, CONTENT_TYPE]
                .into_iter()
                .chain(CALL_HEADERS.map(HeaderName::from_static))
                .collect::<Vec<_>>(),
        )
        .expose_headers(STATUS_HEADERS.map(HeaderName::from_static))
        .max_age(MAX_AGE);
    with_origins(layer, origins)
}

fn with_origins(layer: CorsLayer, origins: &AllowedOrigins) -> CorsLayer {
    match origins {
        AllowedOrigins::Any => layer.allow_origin(Any).vary([]),
        AllowedOrigins::Only(origins) => layer.allow_origin(AllowOrigin::list(origins.clone())).vary([ORIGIN]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(origins: &[&str]) -> Result<AllowedOrigins, OriginError> {
        AllowedOrigins::try_new(&origins.iter().map(|origin| (*origin).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        assert_eq!(read(&["*"]).unwrap(), AllowedOrigins::Any);
        assert_eq!(read(&[]).unwrap(), AllowedOrigins::Only(Vec::new()));
        let origins = ["https://shop.example", "http://localhost:5173", "capacitor://localhost", "https://[::1]:8443"];
        assert_eq!(read(&origins).unwrap(), AllowedOrigins::Only(origins.map(HeaderValue::from_static).to_vec()));
        for wrong in [
            "https://shop.example/",
            "https://shop.example/chat",
            "https://Shop.example",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://*.shop.example",
            "https://user@shop.example",
            "shop.example",
            "null",
            "",
        ] {
            let error = read(&["https://shop.example", wrong]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{wrong:?}")), "{error}");
        }
        assert!(read(&["*", "https://shop.example"]).is_err(), "the asterisk stands alone");
    }
}
