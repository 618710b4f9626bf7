//! The broker: reachable, with JetStream, and with the streams and consumers that Frontdesk creates.

use frontdesk_bus::{BrokerInspection, BrokerObject, Bus, ObjectKind, ObjectState};
use frontdesk_clock::Clock;

use super::{Finding, settings::build};
use crate::{Service, Settings};

pub(super) async fn check(settings: &Settings, services: &[Service], clock: &Clock) -> Vec<Finding> {
    if !settings.is_distributed() {
        return vec![Finding::skipped("bus.url", "it is not set: events stay within the process")];
    }
    let url = frontdesk_settings::without_credentials(&settings.bus.url);
    let subject = format!("bus.url = {url}");
    let bus = match Bus::jet_stream_now(settings.bus.clone(), clock).await {
        Ok(bus) => bus,
        Err(error) => {
            let wrong = format!("it cannot be reached, or refuses the connection: {error}");
            let remedy =
                "start nats-server, and check bus.url, the user and its password or credentials, and bus.ca_path";
            return vec![Finding::failure(subject, wrong, remedy)];
        }
    };
    // Where it fails, the check of the settings says why, and the consumers after that are not looked at.
    let _ = build(settings, services, &bus, clock).await;
    let sources: Vec<&str> = services.iter().map(|service| service.name()).collect();
    let Some(found) = bus.inspect(&sources).await else { return Vec::new() };
    let mut findings = check_server(&subject, &found);
    findings.extend(found.objects.iter().filter_map(|object| check_object(settings, object)));
    let good = |kind: ObjectKind| {
        found.objects.iter().filter(|object| object.kind == kind && object.state == ObjectState::AsExpected).count()
    };
    let (streams, consumers) = (good(ObjectKind::Stream), good(ObjectKind::Consumer));
    let text = format!("nats-server {}; streams as they must be: {streams}, consumers: {consumers}", found.version);
    findings.insert(0, Finding::ok(subject, text));
    findings
}

fn check_server(subject: &str, found: &BrokerInspection) -> Vec<Finding> {
    let mut problems = Vec::new();
    if let Some(wrong) = &found.old_version {
        problems.push(Finding::failure(subject, wrong, "upgrade nats-server"));
    }
    if !found.has_jet_stream {
        let remedy = "enable it in the configuration of the server, and for the account of the user";
        problems.push(Finding::failure(subject, "JetStream is not enabled", remedy));
    }
    if found.sends_password_unencrypted {
        let remedy = "set bus.ca_path, or begin the addresses with tls://";
        problems.push(Finding::warning(subject, "the password is sent without TLS", remedy));
    }
    problems
}

/// None: it is as it must be.
fn check_object(settings: &Settings, object: &BrokerObject) -> Option<Finding> {
    let kind = match object.kind {
        ObjectKind::Stream => "stream",
        ObjectKind::Consumer => "consumer",
    };
    let subject = format!("{kind} {}", object.name);
    let create = if settings.bus.manage_streams {
        "run `frontdesk migrate` with these settings"
    } else {
        "create it: bus.manage_streams is false"
    };
    match &object.state {
        ObjectState::AsExpected => None,
        ObjectState::Missing => Some(Finding::failure(subject, "it does not exist", create)),
        ObjectState::Different(differences) => {
            let remedy = match settings.bus.manage_streams {
                true => create,
                false => "change it: bus.manage_streams is false",
            };
            Some(Finding::warning(subject, differences.join("; "), remedy))
        }
        ObjectState::Unknown(why) => {
            let remedy = "allow the user the subjects of deploy/nats/permissions; the log of nats-server names those that it refused";
            Some(Finding::failure(subject, format!("the broker does not say what it has: {why}"), remedy))
        }
    }
}
