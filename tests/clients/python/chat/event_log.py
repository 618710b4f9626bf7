"""The events that a program got, by one of the ways."""

import time

from .expect import expect


class EventLog:
    def __init__(self):
        self.ids, self.versions, self.contents = set(), {}, []

    def add(self, event_id, aggregate_id, version, content):
        """Handles an event once. In your program the id is stored in the transaction of the effect."""
        self.contents.append(content)
        if event_id not in self.ids:  # Every event can come again.
            self.ids.add(event_id)
            self.versions.setdefault(aggregate_id, []).append(version)

    def expect_all(self, aggregate_id, version):
        """Waits for the events of an aggregate up to a version. Each came, and in order."""
        while version not in self.versions.get(aggregate_id, []):
            time.sleep(0.05)
        seen = list(self.versions[aggregate_id])
        expect(seen, list(range(1, len(seen) + 1)))

    def expect_none(self, words):
        """No event contains one of the words."""
        expect([word for word in words if any(word.encode() in content for content in self.contents)], [])
