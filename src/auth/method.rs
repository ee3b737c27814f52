//! Who a client is, as far as its login can tell.

use super::SALT_KEY;
use crate::config::AuthMethod;

/// What is known of a client before it has proved anything.
#[derive(Debug, Clone)]
pub struct Client {
    /// Who it says it is.
    pub user: String,
    /// How it is to prove that.
    pub method: AuthMethod,
    /// What binds a SCRAM login to the certificate that it was shown.
    pub end_point: Option<Vec<u8>>,
    /// The name in its own certificate, which somebody who is trusted vouches for.
    pub certificate_name: Option<String>,
    /// What the salts of passwords are made from, and of users who have none: nobody else knows it.
    pub salt_key: [u8; SALT_KEY],
}
