//! The name of an instance that is given none.

use reqwest::Url;

/// The address of an instance without what may change while it stays the same instance: scheme,
/// default port, trailing slash; and without credentials and query, which may be secret.
/// `https://misp.example.org:443/` and `http://misp.example.org` are both `misp.example.org`.
pub(crate) fn default_name(address: &str) -> String {
    let url = Url::parse(address).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some((url, host)) = url.as_ref().and_then(|url| Some((url, url.host_str()?))) else {
        // A folder.
        return match address.trim_end_matches('/') {
            "" => address.to_owned(),
            folder => folder.to_owned(),
        };
    };
    let port = url.port().filter(|port| !matches!(port, 80 | 443));
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{host}{port}{}", url.path().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_the_same_instance_in_each_spelling() {
        for address in [
            "http://misp.example.org",
            "https://misp.example.org",
            "https://MISP.example.org/",
            "https://misp.example.org:443/",
            "http://misp.example.org:80",
            "https://user:secret@misp.example.org/?token=secret",
            "misp.example.org",
        ] {
            assert_eq!(default_name(address), "misp.example.org", "{address}");
        }
        for (address, name) in [
            ("https://example.org:8443/misp/", "example.org:8443/misp"),
            ("http://192.0.2.1:80/feed/", "192.0.2.1/feed"),
            ("https://[2001:db8::1]/", "[2001:db8::1]"),
            ("feeds/lab/", "feeds/lab"),
            ("/", "/"),
        ] {
            assert_eq!(default_name(address), name);
        }
    }
}
