"""A bot as a program: it takes the turns of its bot's sessions, a limited number at a time, and answers them."""

import random
import threading
import time

import grpc
from frontdesk.actor.v1 import actor_pb2
from frontdesk.botsession.v1 import bot_engine_service_pb2 as api
from frontdesk.botsession.v1.bot_engine_service_pb2_grpc import BotEngineServiceStub
from refusal import read_refusal
from watch import FINAL

from .connect import calling, new_id


class Engine:
    """`answer(engine, turn, over)` answers a turn with `send`; the event `over` is set when the turn is over."""

    def __init__(self, connection, token, max_turns, answer):
        self.client, self.token, self.max_turns, self.answer = BotEngineServiceStub(connection), token, max_turns, answer
        self.working, self.stopped, self.stream = {}, threading.Event(), None

    def run(self):
        """Watches the turns, across lost connections, until `stop` or until the bot has no engine any more."""
        pause = 0.25
        while not self.stopped.is_set():
            delay = 0
            # Turns that were leased to the stream before are still worked on, and count.
            free = self.max_turns - len(self.working)
            try:
                if free > 0:  # Otherwise ask again when a turn has ended: 0 would mean the default.
                    self.stream = self.client.WatchTurns(api.WatchTurnsRequest(max_turns=free), metadata=calling(self.token))
                    for response in self.stream:
                        pause = 0.25
                        self.update(response)
            except grpc.RpcError as error:
                refusal = read_refusal(error)
                if not self.stopped.is_set() and (refusal.code in FINAL or refusal.reason == "BOT_HAS_NO_ENGINE"):
                    raise
                delay = refusal.retry_delay
            self.stopped.wait(delay + random.uniform(0, pause))
            pause = min(2 * pause, 30)

    def update(self, response):
        kind = response.WhichOneof("update")
        if kind == "turn":  # Others are skipped, also those of later versions.
            turn = response.turn
            over = self.working[turn.id, turn.attempt] = threading.Event()
            threading.Thread(target=self.work, args=[turn, over], daemon=True).start()
        elif kind == "turn_over":
            over = self.working.get((response.turn_over.turn_id, response.turn_over.attempt))
            if over:
                over.set()

    def work(self, turn, over):
        try:
            self.answer(self, turn, over)
        except grpc.RpcError as error:
            print("turn", turn.number, "was not answered:", error)  # It is sent again, or goes to the team.
        finally:
            del self.working[turn.id, turn.attempt]

    def stop(self):
        self.stopped.set()
        if self.stream:
            self.stream.cancel()

    def send(self, turn, over, ends_turn, *parts):
        """Answers a turn, or sends a part of the answer. After a lost response it repeats the call with its request id."""
        request = api.AnswerTurnRequest(turn_id=turn.id, attempt=turn.attempt, parts=parts, ends_turn=ends_turn, request_id=new_id())
        pause = 0.1
        while True:
            try:
                return self.client.AnswerTurn(request, metadata=calling(self.token), timeout=10)
            except grpc.RpcError as error:
                refusal = read_refusal(error)
                if over.is_set() or refusal.code not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise
                time.sleep(refusal.retry_delay + random.uniform(0, pause))
                pause = min(2 * pause, 5)

    def asked(self, turn):
        """What the visitor wrote since the previous turn."""
        texts, after, more = [], turn.previous_sequence, True
        while more:
            request = api.ListTurnEntriesRequest(turn_id=turn.id, after_sequence=after)
            page = self.client.ListTurnEntries(request, metadata=calling(self.token), timeout=30)
            for entry in page.entries:
                asked = entry.author.kind == actor_pb2.ACTOR_KIND_VISITOR and entry.sequence <= turn.last_sequence
                if asked and entry.WhichOneof("content") == "message":
                    texts.append(entry.message.text)
            after, more = page.last_sequence, page.has_more
        return texts


def say(text):
    return api.TurnPart(message=api.TurnMessage(text=text))


def hand_off(reason):
    return api.TurnPart(hand_off=api.TurnHandOff(reason=reason))
