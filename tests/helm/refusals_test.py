"""Values that cannot work are refused before anything is installed, by the name of the value."""

import copy
import unittest

import chart

# Changes of an example, and a part of the message.
REFUSED = [
    ("production", {"developmentKey": True}, "developmentKey: only with mode all-in-one"),
    ("production", {"settings.bus": {}}, "settings.bus.url: name your NATS servers"),
    ("production", {"settings.notification.smtp": {}}, "settings.notification.smtp.host: name your mail server"),
    ("production", {"tls.source": "outside"}, "tls.source: outside is for mode all-in-one"),
    ("production", {"secrets.databases.bot_session.name": ""}, "secrets.databases.bot_session.name: name the Secret"),
    ("production", {"settings.attachments": {}}, "attachments: with settings.web.public_url"),
    ("production", {"settings.identity.issuers": []}, "settings.identity.issuers: configure an issuer"),
    ("production", {"secrets.identity.secret.name": ""}, "secrets.identity.secret.name: name the Secret"),
    ("production", {"tls.source": "secrets"}, "tls.secrets.conversation: name the Secret"),
    ("production", {"files": [{"name": "a"}]}, "files: a must name either"),
    ("production", {"files": [{"name": "a", "secret": "b", "configMap": "c"}]}, "files: a must name either"),
    ("production", {"gateway.parentRefs": []}, "gateway.parentRefs: name the Gateway"),
    ("production", {"gateway.webHostnames": [], "gateway.grpcHostnames": []}, "gateway: set webHostnames"),
    ("production", {"settings.web.public_url": "https://shop.example/chat"}, "settings.web.public_url: https://shop.example/chat has a path"),
    ("production", {"settings.web.public_url": "", "settings.web.services": []}, "settings.web: the route for pages would be empty"),
    ("production", {"files": [{"name": "a", "secret": "b", "processes": ["bot_session"]}]}, "processes"),
    ("production", {"web.enabled": False}, "gateway.webHostnames: only with web.enabled"),
    ("production", {"ingress.enabled": True}, "ingress.host: name the host"),
    ("all-in-one", {"settings.bus.url": "nats://nats:4222"}, "settings.bus.url: only with mode distributed"),
    ("development", {"settings.identity.issuers": [{"issuer": "a", "jwks": "b"}]}, "developmentKey: not beside"),
    ("development", {"ingress.enabled": True}, "developmentKey: the process listens on loopback addresses only"),
    # By the schema.
    ("production", {"replicas": 2}, "replicas"),
    ("production", {"settings.limits.in_fligth": 2}, "in_fligth"),
    ("production", {"settings.limits.in_flight": "2"}, "in_flight"),
    ("production", {"settings.identity.secret": "s3cret"}, "secret"),
    ("production", {"settings.schema_wait": "1m"}, "schema_wait"),
    ("production", {"mode": "other"}, "mode"),
    ("production", {"image.digest": "sha256:0"}, "digest"),
]
# Only where the copy of the chart has none of these files.
if not (chart.CHART / "monitoring").exists():
    REFUSED += [
        ("production", {"monitoring.rules.enabled": True}, "monitoring.rules: this copy of the chart has no"),
        ("production", {"monitoring.dashboards.enabled": True}, "monitoring.dashboards: this copy of the chart has no"),
    ]


class Refusals(unittest.TestCase):
    def test_values_that_cannot_work_are_refused_by_name(self):
        for example, changes, message in REFUSED:
            values = copy.deepcopy(chart.read(chart.CHART / f"examples/{example}.yaml"))
            for path, value in changes.items():
                set_at(values, path.split("."), value)
            for helm in chart.HELMS:
                with self.subTest(example=example, changes=changes, helm=helm):
                    with self.assertRaises(chart.Refused) as refused:
                        chart.text(values, helm)
                    self.assertIn(message, str(refused.exception))

    def test_an_older_kubernetes_is_refused(self):
        values = chart.read(chart.CHART / "examples/development.yaml")
        with self.assertRaisesRegex(chart.Refused, "1.35"):
            chart.text(values, kubernetes="1.34.0")


def set_at(values, path, value):
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


if __name__ == "__main__":
    unittest.main()
