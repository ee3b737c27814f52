//! `window`: look, freeze, run the child against the maintenance listener, try, thaw. What fails leaves the freeze as
//! it is, and says how to go on and how to go back.

use super::{
    args::WindowArgs,
    client::{Caller, Client},
    error::{CliError, Exit},
    guards, reopen,
    show::{out, say},
    verbs,
};
use crate::{
    config::{Address, Conninfo},
    control::{ReopenCall, ThawCall, VerbReply, WindowPlan},
};
use std::{collections::BTreeMap, path::Path};
use tokio::process::Command;

/// `window`. `environment` is the caller's.
///
/// # Errors
/// The proxy can't be reached or said no, or the child can't be started.
pub async fn window(
    args: WindowArgs,
    caller: &Caller,
    environment: BTreeMap<String, String>,
) -> Result<Exit, CliError> {
    if args.freeze.options.no_wait {
        let problem = "a window's command runs when the state is frozen: the drain is waited for".into();
        return Err(CliError::Usage { what: "--no-wait", problem });
    }
    let client = caller.client(&args.freeze.reach);
    let plan: WindowPlan = client.get("/v1/window").await?;
    let way = way(&plan, &environment)?;
    if args.reopen && plan.stages.is_empty() {
        let problem = "no stages are configured: [[reopen]] in the proxy's file".into();
        return Err(CliError::Usage { what: "--reopen", problem });
    }
    if !look(&client, args.force).await? {
        say("not frozen: nothing has been changed; --force begins all the same");
        return Ok(Exit::Guarded);
    }
    let WindowArgs { freeze, reopen, command, .. } = args;
    let reason = freeze.options.reason.clone();
    let frozen = verbs::freeze_if(freeze, caller, true).await?;
    if frozen != Exit::Done {
        advise("the command was not run");
        return Ok(frozen);
    }
    let code = run(&command, &way).await?;
    if code != 0 {
        advise(&format!("the command ended with {code}"));
        return Ok(Exit::Child(code));
    }
    if plan.has_smoke {
        let told = guards::try_it(&client).await?;
        out(&guards::passed(&told))?;
        if told.problem.is_some() {
            advise("the command was done");
            return Ok(Exit::Guarded);
        }
    }
    let opened =
        open(&client, caller, &reason, reopen).await.inspect_err(|_| advise("the command was done"))?;
    if opened {
        out("the report: frostgate report")?;
        return Ok(Exit::Child(code));
    }
    Ok(Exit::Failure)
}

/// Whether the window may begin.
async fn look(client: &Client, is_forced: bool) -> Result<bool, CliError> {
    match guards::look(client).await {
        Ok(reply) => {
            out(&guards::findings(&reply))?;
            Ok(reply.may_begin || is_forced)
        }
        // Without anybody who could look, the window is as blind as a freeze is.
        Err(CliError::Refused { text, exit: Exit::Usage }) => {
            say(&format!("not looked beforehand: {text}"));
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

async fn open(client: &Client, caller: &Caller, reason: &str, by_stages: bool) -> Result<bool, CliError> {
    let (by, reason) = (caller.name.clone(), Some(format!("{reason}: done")));
    if by_stages {
        let call = ReopenCall { reason, by, ..ReopenCall::default() };
        let begun = client.post("/v1/reopen", &call).await?;
        let told = reopen::wait(client, begun, false).await?;
        out(&reopen::text(&told))?;
        return Ok(told.phase == crate::control::ReopenPhase::Done);
    }
    let call = ThawCall { reason, by, ..ThawCall::default() };
    let reply: VerbReply = client.post("/v1/thaw", &call).await?;
    out(&format!("open: writes pass again (epoch {})", reply.epoch))?;
    Ok(true)
}

fn advise(what: &str) {
    say(&format!(
        "{what}, and the proxy stays as it is: see frostgate status. To go on, run the command again through the \
         maintenance listener, then frostgate thaw; to go back, undo it there, then frostgate thaw"
    ));
}

/// Runs the child to its end. A signal takes it as it would have without us.
async fn run(command: &[String], way: &[(&'static str, String)]) -> Result<u8, CliError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(0) };
    let mut child = Command::new(program);
    child.args(arguments).envs(way.iter().map(|(name, value)| (*name, value)));
    let status = child.status().await.map_err(|source| CliError::File { path: program.into(), source })?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// What the child finds in its environment.
fn way(
    plan: &WindowPlan,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<(&'static str, String)>, CliError> {
    let wrong = |problem: String| CliError::Usage { what: "maintenance_listen", problem };
    let address =
        plan.maintenance.as_deref().ok_or_else(|| wrong("the proxy has none: nobody could write".into()))?;
    let (host, port) = match Address::parse(address).map_err(wrong)? {
        Address::Tcp { host, port } => (host, port.to_string()),
        Address::Unix(path) => socket(&path).ok_or_else(|| {
            wrong(format!(
                "programs find a socket by its folder and a name such as .s.PGSQL.5432, this is {address}"
            ))
        })?,
    };
    let url = url(&host, &port, environment);
    Ok(vec![("PGHOST", host), ("PGPORT", port), ("DATABASE_URL", url)])
}

fn socket(path: &Path) -> Option<(String, String)> {
    let port = path.file_name()?.to_str()?.strip_prefix(".s.PGSQL.")?;
    let port: u16 = port.parse().ok()?;
    Some((path.parent()?.to_str()?.to_owned(), port.to_string()))
}

/// The caller's own `DATABASE_URL`, or what libpq's variables say, led to the maintenance listener.
fn url(host: &str, port: &str, environment: &BTreeMap<String, String>) -> String {
    let own = environment.get("DATABASE_URL").and_then(|url| Conninfo::parse(url).ok());
    let variable = |name: &str| environment.get(name).cloned();
    let user = own.as_ref().and_then(|own| own.user.clone()).or_else(|| variable("PGUSER"));
    let password = own.as_ref().and_then(|own| own.password.clone());
    let database = own.and_then(|own| own.database).or_else(|| variable("PGDATABASE"));
    let user = user.map_or_else(String::new, |user| {
        let password = password.map_or_else(String::new, |password| format!(":{}", escaped(&password)));
        format!("{}{password}@", escaped(&user))
    });
    let database = database.map_or_else(String::new, |database| escaped(&database));
    format!("postgresql://{user}/{database}?host={}&port={port}", escaped(host))
}

/// For a part of a URL. Source: RFC 3986, "Unreserved Characters".
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let letter = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_childs_way_leads_to_the_maintenance_listener_as_the_same_principal() {
        let plan = |address: &str| WindowPlan {
            maintenance: Some(address.into()),
            has_smoke: false,
            stages: Vec::new(),
        };
        let own = [("DATABASE_URL".to_owned(), "postgres://app:p%40ss@db:5432/shop".to_owned())].into();
        let told = way(&plan("/run/fg/.s.PGSQL.5432"), &own).unwrap();
        assert_eq!(told[0].1, "/run/fg");
        assert_eq!(told[1].1, "5432");
        assert_eq!(told[2].1, "postgresql://app:p%40ss@/shop?host=%2Frun%2Ffg&port=5432");
        let variables = [("PGUSER".to_owned(), "ann".to_owned())].into();
        let told = way(&plan("127.0.0.1:6442"), &variables).unwrap();
        assert_eq!(told[2].1, "postgresql://ann@/?host=127.0.0.1&port=6442");
        assert!(way(&plan("/run/fg/maintenance.sock"), &variables).is_err());
        let none = WindowPlan { maintenance: None, ..plan("") };
        assert!(way(&none, &variables).is_err());
    }
}
