//! `except` and `exceptions`.

use super::{
    args::{ExceptAddArgs, ExceptCommand, ExceptRemoveArgs, PlainArgs},
    client::Caller,
    error::{CliError, Exit},
    show::out,
};
use crate::{
    control::{ExceptCall, ExceptionsReply, RuleTold, UnexceptCall, instant, until},
    matching::{Rule, RuleKind},
};
use serde_json::json;

/// `except`.
///
/// # Errors
/// The proxy can't be reached or said no, or something typed is wrong.
pub async fn except(command: ExceptCommand, caller: &Caller) -> Result<Exit, CliError> {
    match command {
        ExceptCommand::Add(args) => add(args, caller).await,
        ExceptCommand::Remove(args) => remove(args, caller).await,
    }
}

async fn add(args: ExceptAddArgs, caller: &Caller) -> Result<Exit, CliError> {
    let end = args.until.as_deref().map(|text| until(text, &caller.now)).transpose();
    let rule = Rule {
        name: args.name.unwrap_or_default(),
        kind: if args.deny { RuleKind::Deny } else { RuleKind::Exempt },
        who: args.whom.whom()?.unwrap_or_default(),
        reason: args.reason,
        owner: args.owner,
        until: end.map_err(|problem| CliError::Usage { what: "--until", problem })?,
    };
    let by = args.by.unwrap_or_else(|| caller.name.clone());
    let made: RuleTold = caller.client(&args.reach).post("/v1/except", &ExceptCall { rule, by }).await?;
    out(&if args.reach.json { json!(made).to_string() } else { one(&made) })?;
    Ok(Exit::Done)
}

async fn remove(args: ExceptRemoveArgs, caller: &Caller) -> Result<Exit, CliError> {
    let by = args.by.unwrap_or_else(|| caller.name.clone());
    let call = UnexceptCall { name: args.name, by };
    let left: ExceptionsReply = caller.client(&args.reach).post("/v1/unexcept", &call).await?;
    out(&if args.reach.json { json!(left).to_string() } else { format!("{} is no more", call.name) })?;
    Ok(Exit::Done)
}

/// `exceptions`.
///
/// # Errors
/// The proxy can't be reached.
pub async fn exceptions(args: PlainArgs, caller: &Caller) -> Result<Exit, CliError> {
    let reply: ExceptionsReply = caller.client(&args.reach).get("/v1/exceptions").await?;
    out(&if args.reach.json { json!(reply).to_string() } else { all(&reply) })?;
    Ok(Exit::Done)
}

fn all(reply: &ExceptionsReply) -> String {
    if reply.exceptions.is_empty() {
        return "nobody is excepted, nobody is denied".into();
    }
    reply.exceptions.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(told: &RuleTold) -> String {
    let RuleTold { rule, sessions, statements, writes, .. } = told;
    let kind = match rule.kind {
        RuleKind::Exempt => "may write",
        RuleKind::Deny => "runs nothing",
    };
    let owner = rule.owner.as_deref().map_or_else(String::new, |owner| format!(", owner {owner}"));
    let until = rule.until.map_or_else(String::new, |until| format!(", until {}", instant(until)));
    let ends = if told.is_configured { "configured" } else { "ends with the freeze" };
    let used = match (rule.kind, *sessions) {
        (_, 0) => "UNUSED".to_owned(),
        (RuleKind::Exempt, _) => {
            format!("{sessions} session(s), {statements} statement(s), {writes} write(s)")
        }
        (RuleKind::Deny, _) => format!("{sessions} session(s) ended"),
    };
    let forgeable = if told.is_forgeable {
        "\n  no security boundary: anybody can give himself that name, or reach that database"
    } else {
        ""
    };
    format!("{}: {} {kind}: {}{owner}{until}; {ends}; {used}{forgeable}", rule.name, rule.who, rule.reason)
}
