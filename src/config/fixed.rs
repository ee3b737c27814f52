//! Which keys are read at the start only, and so need a restart when they change.

use super::settings::Config;

impl Config {
    /// The keys that are said otherwise there and are read at the start only.
    pub fn differs_for_good(&self, other: &Self) -> Vec<&'static str> {
        // Named one by one, so that a new key can't be forgotten here.
        let Self {
            listen,
            maintenance_listen,
            upstreams,
            state_dir,
            control,
            http,
            threads,
            advertise_read_only,
            strict_functions,
            expect,
            limits,
            tls,
            auth,
            console,
            refusal,
            audit_interval,
            audit_sql,
            rules: _,
            window,
        } = self;
        let keys = [
            ("listen", *listen != other.listen),
            ("maintenance_listen", *maintenance_listen != other.maintenance_listen),
            ("upstream, upstreams, databases or monitor", *upstreams != other.upstreams),
            ("state_dir", *state_dir != other.state_dir),
            ("control", *control != other.control),
            ("http", *http != other.http),
            ("threads", *threads != other.threads),
            ("advertise_read_only", *advertise_read_only != other.advertise_read_only),
            ("strict_functions", *strict_functions != other.strict_functions),
            ("expect", *expect != other.expect),
            ("limits", *limits != other.limits),
            ("tls", *tls != other.tls),
            ("auth", *auth != other.auth),
            ("console", *console != other.console),
            ("refusal", *refusal != other.refusal),
            ("audit", (audit_interval, audit_sql) != (&other.audit_interval, &other.audit_sql)),
            ("hooks", window.hooks != other.window.hooks),
            ("smoke", window.smoke != other.window.smoke),
        ];
        keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    fn config(text: &str) -> Config {
        Config::check(RawConfig::parse(&format!("upstream = 'host=h'\n{text}")).unwrap(), "/state".into())
            .unwrap()
    }

    #[test]
    fn rules_and_stages_may_change_and_every_other_key_is_named() {
        let before = config("");
        let rules = "[[exceptions]]\nname = 'a'\nuser = 'a'\nreason = 'x'\n[[reopen]]\nname = 'all'\n";
        assert_eq!(before.differs_for_good(&config(rules)), [""; 0]);
        let others = "listen = '127.0.0.1:1'\nthreads = 9\n[limits]\nmax_connections = 9\n[audit]\nsql = true\n\
                      [hooks]\nafter_thaw = 'true'\n";
        assert_eq!(
            before.differs_for_good(&config(others)),
            ["listen", "threads", "limits", "audit", "hooks"]
        );
    }
}
