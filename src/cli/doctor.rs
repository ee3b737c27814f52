//! `doctor`: what would become of a login through the proxy, told beforehand with what to change.

use super::{
    args::DoctorArgs,
    error::{CliError, Exit},
    settings::doctor_config,
    show::out,
};
use crate::{
    config::{AuthMethod, Conninfo},
    net::{Asks, Examined, NetError, Upstream, Visitor, examine},
    tls::Doorway,
    wire::backend::SqlState,
};
use std::path::PathBuf;

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    Good(String),
    Note(String),
    Bad(String),
}

/// What clients are shown.
#[derive(Debug, Default)]
enum Presents {
    /// Nothing: they are spoken to in plain text.
    #[default]
    Nothing,
    /// A certificate, with what a login is bound to by it.
    Certificate(Option<Vec<u8>>),
}

/// What the configuration says of clients' logins.
#[derive(Debug, Default)]
struct Own {
    presents: Presents,
    /// Whether the proxy asks, and how.
    method: Option<AuthMethod>,
}

/// Looks at a server, and at a configuration if one is named.
///
/// # Errors
/// The connection string or the configuration is wrong.
pub async fn doctor(args: DoctorArgs, default_state_dir: PathBuf) -> Result<Exit, CliError> {
    let usage = |problem| CliError::Usage { what: "CONNINFO", problem };
    let info = Conninfo::parse(&args.conninfo).map_err(usage)?;
    let password = info.password.clone().or(args.password);
    let user = info.user.clone().unwrap_or_else(|| "postgres".into());
    let database = info.database.clone().unwrap_or_else(|| user.clone());
    let visitor = Visitor { user, database, password };
    let config = doctor_config(args.config.as_deref(), default_state_dir)?;
    let doorway = config.tls.clone().map(Doorway::new).transpose()?;
    let presents = doorway.map(|doorway| Presents::Certificate(doorway.presented().end_point.clone()));
    let own = Own {
        presents: presents.unwrap_or_default(),
        method: config.auth.method(&visitor.user, &visitor.database),
    };
    let name = info.to_string();
    let upstream = Upstream::new(info, config.limits.connect_timeout, None)?;
    let examined = match examine(&upstream, &visitor).await {
        Ok(examined) => examined,
        Err(error) => {
            out(&format!("bad   {error}"))?;
            let is_away = matches!(error, NetError::Unreachable { .. });
            return Ok(if is_away { Exit::Unreachable } else { Exit::Failure });
        }
    };
    let mut exit = Exit::Done;
    let all = [vec![reached(&name, &examined)], judged(&examined, &visitor.user, &own)].concat();
    for finding in all {
        let (word, text) = match finding {
            Finding::Good(text) => ("good", text),
            Finding::Note(text) => ("note", text),
            Finding::Bad(text) => {
                exit = Exit::Failure;
                ("bad ", text)
            }
        };
        out(&format!("{word}  {text}"))?;
    }
    Ok(exit)
}

fn reached(name: &str, examined: &Examined) -> Finding {
    match &examined.shown {
        Some(shown) => {
            Finding::Good(format!("{name} answers over TLS, with the certificate of {}", shown.subject))
        }
        None => {
            Finding::Note(format!("{name} answers in plain text: whoever is on the way can read and write"))
        }
    }
}

/// What becomes of that user's login.
fn judged(examined: &Examined, user: &str, own: &Own) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(method) = own.method {
        findings.push(Finding::Good(format!("Frostgate asks {user} itself ({method:?}), by auth.rules")));
    }
    findings.push(match (&examined.asks, own.method) {
        (Asks::Refuses { code, message }, _) => Finding::Bad(refused(user, *code, message)),
        (Asks::Other, _) => Finding::Bad(format!(
            "the server asks {user} for something that can't be carried (GSSAPI, SSPI or a later method): let \
             pg_hba.conf say scram-sha-256 for Frostgate's address"
        )),
        (Asks::Nothing, _) => Finding::Note(format!(
            "the server lets {user} in without asking (trust, or the certificate in sslcert): from Frostgate's \
             address everybody comes in so"
        )),
        (Asks::Password, None) => Finding::Good(format!("the server asks {user} for the password, and hears it")),
        (Asks::Md5, None) => Finding::Good(format!("the server asks {user} for an md5 hash, and hears it")),
        (Asks::Scram { with_binding }, None) => scram(*with_binding, examined, own),
        (Asks::Password, Some(_)) => Finding::Note(
            "the server asks for the password: auth.secrets needs it in plain text, or the method is password".into(),
        ),
        (Asks::Md5, Some(_)) => {
            Finding::Note("the server asks for an md5 hash: auth.secrets needs it, or the password".into())
        }
        (Asks::Scram { .. }, Some(_)) => Finding::Note(
            "the server asks for SCRAM: auth.secrets needs the password, or with the method scram the server's own \
             verifier"
                .into(),
        ),
    });
    match &examined.opened {
        Some(Ok(())) => findings.push(Finding::Good(format!("the password lets {user} in"))),
        Some(Err(problem)) => findings.push(Finding::Bad(problem.clone())),
        None => {}
    }
    findings
}

/// SCRAM, carried between the two.
fn scram(with_binding: bool, examined: &Examined, own: &Own) -> Finding {
    let servers = examined.shown.as_ref().and_then(|shown| shown.end_point.as_ref());
    match &own.presents {
        _ if !with_binding => Finding::Good("the server asks for SCRAM without channel binding, and hears it".into()),
        Presents::Nothing => Finding::Note(
            "the server asks for SCRAM and offers channel binding: clients without TLS log in; no TLS to clients is \
             configured (tls.cert)"
                .into(),
        ),
        Presents::Certificate(ours) if ours.is_some() && ours.as_ref() == servers => {
            Finding::Good("SCRAM's channel binding is carried: tls.cert is the server's own certificate".into())
        }
        Presents::Certificate(_) => Finding::Bad(format!("{}. {}", NetError::ChannelBinding, NetError::ChannelBinding.remedy())),
    }
}

fn refused(user: &str, code: Option<SqlState>, message: &str) -> String {
    let remedy = if code == Some(SqlState::INVALID_AUTHORIZATION_SPECIFICATION) {
        "; pg_hba.conf needs an entry for Frostgate's address and this kind of connection, and one of cert needs \
         sslcert and sslkey"
    } else {
        ""
    };
    format!("the server would not have {user}: {message}{remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Shown;

    fn examined(asks: Asks) -> Examined {
        let shown = Some(Shown { subject: "CN=db".into(), end_point: Some(vec![1]) });
        Examined { shown, asks, opened: None }
    }

    #[test]
    fn channel_binding_is_judged_by_the_certificate() {
        let asks = Asks::Scram { with_binding: true };
        let judge = |presents, method| judged(&examined(asks.clone()), "u", &Own { presents, method });
        assert!(matches!(judge(Presents::Certificate(Some(vec![1])), None)[..], [Finding::Good(_)]));
        assert!(matches!(judge(Presents::Certificate(Some(vec![2])), None)[..], [Finding::Bad(_)]));
        assert!(matches!(judge(Presents::Certificate(None), None)[..], [Finding::Bad(_)]));
        assert!(matches!(judge(Presents::Nothing, None)[..], [Finding::Note(_)]));
        let ended = judge(Presents::Certificate(Some(vec![2])), Some(AuthMethod::Scram));
        assert!(matches!(ended[..], [Finding::Good(_), Finding::Note(_)]), "{ended:?}");
    }
}
