"""NATS in a cluster of three servers: one of them, the leader of a stream, is killed while agents write, and no event that was acknowledged
is lost.

    python nats_cluster.py FRONTDESK
"""

import asyncio
import os
import signal
import sys
import tempfile
import threading
import time

import nats
from installation import DATABASES, SERVICES, Installation
from play import Team, wait_until

STREAMS = [f"FRONTDESK_{database.upper()}" for database in DATABASES]
# How long agents write before the kill, and after it, in seconds.
WRITE_FOR = 15


async def streams(urls):
    """The configured replicas, the leader and the number of current followers of each stream."""
    connection = await nats.connect(urls)
    try:
        context, found = connection.jetstream(), {}
        for stream in STREAMS:
            info = await context.stream_info(stream)
            current = [peer.name for peer in info.cluster.replicas or [] if peer.current and not peer.offline]
            found[stream] = info.config.num_replicas, info.cluster.leader, len(current)
        return found
    finally:
        await connection.close()


async def ids_in(urls, stream):
    """The ids of the events in a stream, in order, with repeats."""
    connection = await nats.connect(urls)
    try:
        context, ids = connection.jetstream(), []
        info = await context.stream_info(stream)
        for sequence in range(info.state.first_seq, info.state.last_seq + 1):
            ids.append((await context.get_msg(stream, sequence)).headers["ce-id"])
        return ids
    finally:
        await connection.close()


class Writing(threading.Thread):
    """Posts messages until it is stopped, and counts them. A call that fails is repeated with its request id (service config)."""

    def __init__(self, team):
        super().__init__(daemon=True)
        self.team, self.written, self.failed, self.stopped = team, 0, [], threading.Event()
        self.chat = team.start_chat("busy")
        team.take_over(self.chat)

    def run(self):
        while not self.stopped.is_set():
            try:
                self.team.post(self.chat, f"message {self.written + 1}")
                self.written += 1
            except Exception as error:
                self.failed.append(error)

    def stop(self):
        self.stopped.set()
        self.join()
        assert not self.failed, self.failed


def published(installation):
    """The ids of all events of the conversation service; None while some are not published."""
    is_published = "SELECT settled_to = (SELECT max(position) FROM outbox_events) FROM outbox_progress"
    if installation.sql(is_published, "conversation") != "t":
        return None
    return installation.sql("SELECT event_id FROM outbox_events ORDER BY position", "conversation").split()


def check(installation):
    urls = installation.nats_urls()
    installation.create_database_server()
    installation.start_nats()
    # Streams with one copy, as on a single server; the next `migrate` makes three of them.
    os.environ["FRONTDESK__BUS__STREAM_REPLICAS"] = "1"
    wait_until("the cluster has a leader", lambda: "every stream" in migrate(installation))
    assert all(replicas == 1 for replicas, _, _ in asyncio.run(streams(urls)).values())
    del os.environ["FRONTDESK__BUS__STREAM_REPLICAS"]
    installation.frontdesk("migrate")
    complete = lambda: all((replicas, current) == (3, 2) for replicas, _, current in asyncio.run(streams(urls)).values())
    wait_until("each stream has three copies", complete)
    print("each stream has three copies")
    installation.serve(*SERVICES)
    team = Team(installation)
    writing = Writing(team)
    writing.start()
    time.sleep(WRITE_FOR)
    before = writing.written

    leader = asyncio.run(streams(urls))["FRONTDESK_CONVERSATION"][1]
    print(f"{before} messages; killing {leader}, the leader of FRONTDESK_CONVERSATION")
    killed = installation.nats.pop(leader)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    time.sleep(WRITE_FOR)
    writing.stop()
    rest = [url for name, url in zip(installation.brokers, urls) if name != leader]
    ids = wait_until("every event is published by two servers", lambda: published(installation))
    in_stream = asyncio.run(ids_in(rest, "FRONTDESK_CONVERSATION"))
    missing = set(ids) - set(in_stream)
    assert not missing, f"{len(missing)} events are not in the stream"
    repeats = len(in_stream) - len(set(in_stream))
    print(f"{writing.written} messages, {writing.written - before} of them after the kill; {len(ids)} events, none missing, {repeats} repeated")
    lost = installation.log_lines(0, "the broker lost events")
    assert not lost, lost
    team.play_chat("after")
    wait_until("a mail is sent with two servers", lambda: team.mails("after"))
    assert len(team.texts(writing.chat)) == writing.written + 1, "a message is missing"

    installation.start_nats(leader)
    wait_until("the killed server has every event again", complete)
    print("the killed server is current again")


def migrate(installation):
    try:
        return installation.frontdesk("migrate")
    except SystemExit as error:
        return str(error)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="frontdesk-cluster-") as folder:
        cluster = Installation(folder, sys.argv[1], brokers=3)
        try:
            check(cluster)
        finally:
            cluster.stop()
