"""A mail server for rehearsals: it takes each mail, and closes the connection in the place of the reply after the final dot."""

import socketserver
import sys


class LostReply(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self):
        self.say("220 rehearsal ready")
        for line in self.rfile:
            command = line.split(b" ")[0].strip().upper()
            if command == b"QUIT":
                return self.say("221 bye")
            if command != b"DATA":
                self.say("250 OK")
                continue
            self.say("354 go on")
            for text in self.rfile:
                if text == b".\r\n":
                    return


socketserver.ThreadingTCPServer.allow_reuse_address = True
with socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), LostReply) as server:
    server.serve_forever()
