//! Whom the key belongs to, and what it may.

use serde_json::{Value, json};

/// A user who may read.
pub(super) fn me() -> Value {
    json!({
        "User": {
            "id": "3", "org_id": "1", "email": "poller@example.org", "role_id": "6",
            "disabled": false, "expiration": null,
        },
        "Role": {
            "id": "6", "name": "Read Only", "perm_add": false, "perm_publish": false,
            "perm_audit": true, "perm_auth": true, "perm_sync": false, "perm_site_admin": false,
            "memory_limit": null, "max_execution_time": null, "enforce_rate_limit": false,
            "rate_limit_count": "0",
        },
        "UserSetting": [],
        "Organisation": {
            "id": "1", "name": "Example CERT", "uuid": crate::events::uuid(0, 1), "local": true,
        },
    })
}

/// A key that may read, from anywhere, for ever.
pub(super) fn auth_key() -> Value {
    json!({
        "id": "1", "uuid": crate::events::uuid(0, 2), "created": "1777500000",
        "expiration": "0", "read_only": true, "user_id": "3", "comment": "",
        "allowed_ips": null, "unique_ips": ["127.0.0.1"],
    })
}

/// `GET /auth_keys/index`: the one key, told by its ends.
pub(super) fn auth_keys(key: &str, auth_key: &Value) -> Value {
    let mut auth_key = auth_key.clone();
    if let Some(map) = auth_key.as_object_mut() {
        let (start, end) = (key.get(..4), key.get(key.len().saturating_sub(4)..));
        map.insert("authkey_start".to_owned(), json!(start));
        map.insert("authkey_end".to_owned(), json!(end));
    }
    json!([{
        "AuthKey": auth_key,
        "User": {"id": "3", "email": "poller@example.org"},
    }])
}
