"""Backs an installation up, writes on, restores it to the earlier moment as docs/backup.md says, and checks what that page says of streams,
cursors, timers, mails, request ids and attachments.

    python restore.py FRONTDESK [distributed|embedded]

FRONTDESK is the program. Without a mode both are played.
"""

import shutil
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

from embedded import EmbeddedInstallation
from installation import SERVICES, Installation
from play import Team, new_id, refused, wait_until

# The state at the moment of the backup, and what was written after it.
Before = namedtuple("Before", "moment sent queued undecided chat waiting request_id note library cursor events")
After = namedtuple("After", "lost request_id note sequence cursor")


def write_before(installation, team):
    """Writes what the restored installation has, and leaves work in progress: a mail that waits for the mail server, a chat whose transcript
    is not decided, a bot's timeout that is due a minute later."""
    sent = team.play_chat("sent")
    wait_until("a mail is sent", lambda: team.mails("sent"))
    chat = team.start_chat("open")
    team.take_over(chat)
    request_id = new_id()
    team.post(chat, "before", request_id)
    note, library = team.attach(b"before"), team.attach(b"library")
    team.post(chat, "with a note", attachment_ids=[note])
    waiting = team.start_chat("waiting", team.greeted)
    installation.mail.refuses = True
    queued = team.play_chat("queued")
    wait_until("a mail waits for the mail server", lambda: any("451" in mail.last_response for mail in team.list_deliveries(queued)))
    installation.stop_consumers()
    undecided = team.play_chat("undecided")
    events = wait_until("events are published", lambda: has_closed(team, undecided))
    installation.back_up_attachments()
    moment = installation.end_backup()
    return Before(moment, sent, queued, undecided, chat, waiting, request_id, note, library, events[1], events[0])


def has_closed(team, chat):
    """All events, and the cursor after them, once the close of the chat is among them."""
    read, cursor = team.read_events()
    closed = [event for event in read if event.aggregate_id == chat and event.type.endswith("ConversationClosed")]
    return closed and ([event.id for event in read], cursor)


def write_after(installation, team, before):
    """Finishes the work that was in progress, and writes what the restore undoes."""
    installation.mail.refuses = False
    installation.start_consumers()
    team.connect()
    for name in ("queued", "undecided"):
        wait_until(f"the mail to {name} is sent", lambda: team.mails(name))
    request_id = new_id()
    team.post(before.chat, "after", request_id)
    note = team.attach(b"after")
    team.post(before.chat, "with another note", attachment_ids=[note])
    team.delete_attachment(before.library)
    wait_until("the deleted file is gone", lambda: not installation.files_of(before.library))
    lost = team.play_chat("lost")
    wait_until("the mail to lost is sent", lambda: team.mails("lost"))
    team.advance(120)
    wait_until("the timeout closes the chat", lambda: not team.is_open(before.waiting))
    sequence = team.post(before.chat, "the last one")
    _, cursor = wait_until("events are published", lambda: has_closed(team, before.waiting))
    return After(lost, request_id, note, sequence, cursor)


def check(installation, team, before, after):
    resources(team, before, after)
    work_in_progress(installation, team, before)
    cursors(team, before, after)
    assert "no dead letters" in installation.frontdesk("dead-letters", "list")


def resources(team, before, after):
    texts = wait_until("the installation answers", lambda: team.texts(before.chat))
    assert texts == ["This is open.", "before", "with a note"], texts
    assert refused(lambda: team.is_open(after.lost)) == ("NOT_FOUND", "NOT_FOUND")
    # Request ids of before are known, later ones are not: the repeat takes effect again.
    team.post(before.chat, "before", before.request_id)
    team.post(before.chat, "after", after.request_id)
    texts = team.texts(before.chat)
    assert texts == ["This is open.", "before", "with a note", "after"], texts
    print("entries and request ids are those of the moment")
    assert (team.read_attachment(before.note), team.read_attachment(before.library)) == (b"before", b"library")
    assert refused(lambda: team.read_attachment(after.note)) == ("NOT_FOUND", "NOT_FOUND")
    print("attachments have their bytes, also one that was deleted after the moment")


def work_in_progress(installation, team, before):
    wait_until("the timeout closes the chat again", lambda: not team.is_open(before.waiting))
    print("a timer that was due after the moment fires again")
    for name in ("queued", "undecided"):
        wait_until(f"the mail to {name} is sent again", lambda: len(team.mails(name)) == 2)
    chat = team.play_chat("new")
    wait_until("a new mail is sent", lambda: team.mails("new"))
    mails = {name: team.mails(name) for name in ("sent", "queued", "undecided", "lost", "new")}
    assert {name: len(ids) for name, ids in mails.items()} == {"sent": 1, "queued": 2, "undecided": 2, "lost": 1, "new": 1}, mails
    # A delivery of before keeps its Message-ID, so that mail programs show one mail. A decision that is made again makes another delivery.
    decisions = 2 if installation.decides_again else 1
    assert (len(set(mails["queued"])), len(set(mails["undecided"]))) == (1, decisions), mails
    assert all(len(team.list_deliveries(chat)) == 1 for chat in (before.sent, before.queued, before.undecided, chat))
    print("mails that were sent before the moment are not sent again, later ones are sent twice")


def cursors(team, before, after):
    beyond = refused(lambda: team.watch_after(before.chat, after.sequence + 10))
    assert beyond == ("OUT_OF_RANGE", "CURSOR_OUT_OF_RANGE"), beyond
    # A cursor of before continues; one of after misses nothing that is new, because positions were moved on.
    chat = team.play_chat("last")
    wait_until("events are published", lambda: has_closed(team, chat))
    read = {"before": team.read_events(before.cursor)[0], "after": team.read_events(after.cursor)[0]}
    ids = [event.id for event in team.read_events()[0]]
    assert ids[: len(before.events)] == before.events, "events of before the moment are missing"
    new = ids[len(before.events) :]
    for when, events in read.items():
        assert [event.id for event in events] == new[: len(events)], (when, len(events), len(new))
        assert any(event.aggregate_id == chat and event.type.endswith("ConversationClosed") for event in events), when
    print(f"{len(new)} new events are read with a cursor of before the moment, and with one of after it")


def play(installation):
    installation.start_servers()
    team = Team(installation)
    installation.begin_backup()
    before = write_before(installation, team)
    after = write_after(installation, team, before)
    installation.restore(before.moment)
    began = installation.logs
    installation.start_replicas()
    team.connect()
    check(installation, team, before, after)
    errors = [line for line in installation.log_lines(began, " ERROR ") if "the broker lost events" not in line]
    assert not errors, errors


MODES = {"distributed": Installation, "embedded": EmbeddedInstallation}

for mode in sys.argv[2:] or MODES:
    print(f"{mode}:")
    with tempfile.TemporaryDirectory(prefix="frontdesk-restore-") as folder:
        installation = MODES[mode](folder, sys.argv[1])
        try:
            play(installation)
        except BaseException:
            kept = tempfile.mkdtemp(prefix="frontdesk-restore-logs-")
            for log in Path(folder).glob("*.log"):
                shutil.copy(log, kept)
            print(f"the logs are in {kept}", file=sys.stderr)
            raise
        finally:
            installation.stop()
