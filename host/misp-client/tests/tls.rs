//! Whom the client trusts, against a TLS server with certificates made for the test.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use misp_client::{ApiKey, Client, ClientError, ClientOptions, ProxyChoice, TlsOptions, Version};
use pipeline::{Class, Classify};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                      content-length: 19\r\nconnection: close\r\n\r\n{\"version\":\"2.5.1\"}";

/// An authority, its files, and a server with a certificate of it.
struct Setup {
    folder: TempDir,
    url: String,
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(authority: &Issuer, name: &str, client: bool) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![if client {
        ExtendedKeyUsagePurpose::ClientAuth
    } else {
        ExtendedKeyUsagePurpose::ServerAuth
    }];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

impl Setup {
    async fn new(server_name: &str, asks_for_client: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = authority();
        let (certificate, key) = leaf(&authority, server_name, false);
        let builder = if asks_for_client {
            let mut roots = RootCertStore::empty();
            roots
                .add(CertificateDer::from(authority.der().to_vec()))
                .unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .unwrap();
            ServerConfig::builder().with_client_cert_verifier(verifier)
        } else {
            ServerConfig::builder().with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let url = serve(TlsAcceptor::from(Arc::new(config))).await;
        let folder = tempfile::tempdir().unwrap();
        let (client, client_key) = leaf(&authority, "client.example.org", true);
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text);
        write("ca.pem", authority.pem()).unwrap();
        write("client.pem", client.pem()).unwrap();
        write("client-key.pem", client_key.serialize_pem()).unwrap();
        Self { folder, url }
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.path().join(name))
    }

    fn client(&self, tls: TlsOptions) -> Client {
        let key = ApiKey::new("a-key").unwrap();
        let client = Client::new(ClientOptions {
            tls,
            proxy: ProxyChoice::Direct,
            read_timeout: Duration::from_secs(20),
            ..ClientOptions::new(self.url.clone(), key)
        });
        client.unwrap()
    }

    async fn version(&self, tls: TlsOptions) -> Result<Version, ClientError> {
        self.client(tls).version().await
    }
}

async fn serve(acceptor: TlsAcceptor) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4_096];
            if stream.read(&mut request).await.is_ok() {
                let _ = stream.write_all(ANSWER.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    format!("https://127.0.0.1:{port}")
}

#[tokio::test]
async fn trusts_its_own_authority_and_no_other() {
    let setup = Setup::new("127.0.0.1", false).await;
    let trusted = TlsOptions {
        ca_file: setup.file("ca.pem"),
        ..TlsOptions::default()
    };
    assert_eq!(setup.version(trusted).await.unwrap().version, "2.5.1");

    let other = Setup::new("127.0.0.1", false).await;
    let wrong = TlsOptions {
        ca_file: other.file("ca.pem"),
        ..TlsOptions::default()
    };
    let error = setup.version(wrong).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error}");
    assert_eq!(error.class(), Class::Fatal);
}

#[tokio::test]
async fn the_name_must_be_the_servers() {
    let setup = Setup::new("misp.example.org", false).await;
    let trusted = TlsOptions {
        ca_file: setup.file("ca.pem"),
        ..TlsOptions::default()
    };
    let error = setup.version(trusted).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn verification_can_be_switched_off() {
    let setup = Setup::new("misp.example.org", false).await;
    let careless = TlsOptions {
        verify: false,
        ..TlsOptions::default()
    };
    assert_eq!(setup.version(careless).await.unwrap().version, "2.5.1");
}

#[tokio::test]
async fn shows_its_own_certificate_where_one_is_asked_for() {
    let setup = Setup::new("127.0.0.1", true).await;
    let with = TlsOptions {
        ca_file: setup.file("ca.pem"),
        client_cert_file: setup.file("client.pem"),
        client_key_file: setup.file("client-key.pem"),
        ..TlsOptions::default()
    };
    assert_eq!(setup.version(with).await.unwrap().version, "2.5.1");
    let without = TlsOptions {
        ca_file: setup.file("ca.pem"),
        ..TlsOptions::default()
    };
    let error = setup.version(without).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_used_without_a_restart() {
    let setup = Setup::new("127.0.0.1", true).await;
    let other = Setup::new("127.0.0.1", true).await;
    let files = ["client.pem", "client-key.pem"];
    let right = files.map(|name| std::fs::read(setup.file(name).unwrap()).unwrap());
    let copy = |name: &str| {
        let text = std::fs::read(other.file(name).unwrap()).unwrap();
        std::fs::write(setup.file(name).unwrap(), text).unwrap();
    };
    files.into_iter().for_each(copy);
    let client = setup.client(TlsOptions {
        ca_file: setup.file("ca.pem"),
        client_cert_file: setup.file("client.pem"),
        client_key_file: setup.file("client-key.pem"),
        ..TlsOptions::default()
    });
    client.version().await.unwrap_err();
    // Half written, it changes nothing and breaks nothing.
    std::fs::write(setup.file("client.pem").unwrap(), "-----BEGIN").unwrap();
    client.version().await.unwrap_err();
    for (name, text) in files.into_iter().zip(right) {
        std::fs::write(setup.file(name).unwrap(), text).unwrap();
    }
    assert_eq!(client.version().await.unwrap().version, "2.5.1");
}
