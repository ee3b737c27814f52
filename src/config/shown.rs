//! The configuration as it is told to operators: each key with the value that holds. Passwords are never in it, and
//! commands, which may hold some, are only counted.

use super::{
    settings::Config,
    tls::{ClientCertificate, TlsPolicy, TlsVersion},
    window::Smoke,
};
use std::{path::Path, time::Duration};

impl Config {
    /// See the module's text.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let mut shown = self.shown_ways();
        shown.extend(self.shown_limits());
        shown.extend(self.shown_tls());
        shown.extend(self.shown_logins());
        shown.extend(self.shown_freeze());
        shown
    }

    fn shown_ways(&self) -> Vec<(&'static str, String)> {
        let monitors: Vec<String> =
            self.upstreams.all().iter().filter_map(|of| Some(of.monitor.as_ref()?.to_string())).collect();
        let listen: Vec<String> = self.listen.iter().map(ToString::to_string).collect();
        vec![
            ("listen", listen.join(",")),
            ("maintenance_listen", none_or(self.maintenance_listen.as_ref().map(ToString::to_string))),
            ("upstream", self.upstreams.to_string()),
            ("databases", format!("{} given", self.upstreams.entries())),
            ("state_dir", path(&self.state_dir)),
            ("control", path(&self.control)),
            ("http", self.http.as_ref().map_or_else(|| "off".into(), ToString::to_string)),
            ("threads", self.threads.map_or_else(|| "one for each core".into(), |n| n.to_string())),
            ("advertise_read_only", self.advertise_read_only.to_string()),
            ("strict_functions", self.strict_functions.to_string()),
            ("monitor", none_or(Some(monitors.join(", ")).filter(|all| !all.is_empty()))),
            ("expect", format!("{} given", self.expect.len())),
        ]
    }

    fn shown_limits(&self) -> Vec<(&'static str, String)> {
        let limits = &self.limits;
        vec![
            ("limits.max_connections", limits.max_connections.to_string()),
            ("limits.max_statement_bytes", limits.max_statement.to_string()),
            ("limits.login_timeout_ms", ms(limits.login_timeout)),
            ("limits.connect_timeout_ms", ms(limits.connect_timeout)),
            ("limits.shutdown_timeout_ms", ms(limits.shutdown_timeout)),
            ("limits.keepalive_ms", ms(limits.keepalive.unwrap_or_default())),
            ("limits.monitor_interval_ms", ms(limits.monitor_interval)),
        ]
    }

    fn shown_tls(&self) -> Vec<(&'static str, String)> {
        let Some(tls) = &self.tls else { return vec![("tls.mode", "off".into())] };
        let policy = match tls.policy {
            TlsPolicy::Allow => "allow",
            TlsPolicy::Require => "require",
        };
        let certificate = match tls.client_certificate {
            ClientCertificate::Optional => "optional",
            ClientCertificate::Require => "require",
        };
        let version = match tls.min_version {
            TlsVersion::V12 => "TLSv1.2",
            TlsVersion::V13 => "TLSv1.3",
        };
        vec![
            ("tls.mode", policy.into()),
            ("tls.cert", path(&tls.cert)),
            ("tls.key", path(&tls.key)),
            ("tls.client_ca", none_or(tls.client_ca.as_deref().map(path))),
            ("tls.client_certificate", certificate.into()),
            ("tls.min_version", version.into()),
        ]
    }

    fn shown_logins(&self) -> Vec<(&'static str, String)> {
        let mut shown = vec![
            ("auth.rules", format!("{} given", self.auth.rules.len())),
            ("auth.secrets", none_or(self.auth.secrets.as_deref().map(path))),
            ("auth.query", none_or(self.auth.query.as_ref().map(|query| query.sql.clone()))),
        ];
        if let Some(console) = &self.console {
            shown.extend([
                ("console.database", console.database.clone()),
                ("console.secrets", none_or(console.auth.secrets.as_deref().map(path))),
                ("console.admins", console.admins.join(",")),
                ("console.viewers", console.viewers.join(",")),
                ("console.max_connections", console.max_connections.to_string()),
            ]);
        }
        shown
    }

    fn shown_freeze(&self) -> Vec<(&'static str, String)> {
        let (hooks, smoke) = (&self.window.hooks, self.window.smoke.as_ref());
        let commands = |given: &[String]| format!("{} command(s)", given.len());
        let stages: Vec<&str> = self.window.stages.iter().map(|stage| stage.name.as_str()).collect();
        let rules: Vec<&str> = self.rules.iter().map(|rule| rule.name.as_str()).collect();
        vec![
            ("refusal.sqlstate", self.refusal.sql_state.clone()),
            ("refusal.hint", self.refusal.hint.clone().unwrap_or_else(|| "a sentence of ours".into())),
            ("audit.interval_ms", ms(self.audit_interval)),
            ("audit.sql", self.audit_sql.to_string()),
            ("exceptions, deny", none_or(Some(rules.join(",")).filter(|names| !names.is_empty()))),
            ("hooks.before_freeze", commands(&hooks.before_freeze)),
            ("hooks.after_freeze", commands(&hooks.after_freeze)),
            ("hooks.after_thaw", commands(&hooks.after_thaw)),
            ("hooks.timeout_ms", ms(hooks.timeout)),
            ("smoke.conninfo", none_or(smoke.map(smoke_shown))),
            ("smoke.required", smoke.is_some_and(|smoke| smoke.is_required).to_string()),
            ("reopen", none_or(Some(stages.join(",")).filter(|names| !names.is_empty()))),
        ]
    }
}

fn smoke_shown(smoke: &Smoke) -> String {
    smoke.conninfos.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn none_or(value: Option<String>) -> String {
    value.unwrap_or_else(|| "none".into())
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn ms(length: Duration) -> String {
    length.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, RawConfig};

    #[test]
    fn no_password_and_no_command_is_shown() {
        let text = "upstream = 'host=h'\nmonitor = 'host=h user=m password=hush1'\n\
                    [smoke]\nconninfo = 'host=h user=s password=hush2'\n\
                    [hooks]\nbefore_freeze = 'backup --token hush3'\n\
                    [console]\nsecrets = 's'\nadmins = 'ann'\n";
        let config = Config::check(RawConfig::parse(text).unwrap(), "/state".into()).unwrap();
        let lines: Vec<String> =
            config.shown().into_iter().map(|(key, value)| format!("{key} {value}")).collect();
        let shown = lines.join("\n");
        assert!(!shown.contains("hush"), "{shown}");
        for told in ["upstream h:5432", "console.admins ann", "hooks.before_freeze 1 command(s)"] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
    }
}
