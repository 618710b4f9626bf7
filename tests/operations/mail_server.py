"""A mail server in this process, which keeps what it accepts, and refuses for the time being while `refuses` is set."""

from email import message_from_bytes

from aiosmtpd.controller import Controller


class MailServer(Controller):
    def __init__(self, port):
        self.mails, self.refuses = [], False
        super().__init__(self, hostname="127.0.0.1", port=port)
        self.start()

    async def handle_DATA(self, _server, _session, envelope):
        if self.refuses:
            return "451 later"
        self.mails.append(message_from_bytes(envelope.content))
        return "250 accepted"

    def mails_to(self, address):
        """In the order in which they were accepted."""
        return [mail for mail in self.mails if address in mail["To"]]
