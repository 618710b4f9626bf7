"""Connections, and ids for requests."""

import uuid
from pathlib import Path

import grpc

# Published with the protos: which calls are repeated, after which codes and pauses. Writes have a request id, so a repeat is safe.
SERVICE_CONFIG = Path("protos/service_config.json").read_text()


def connect(address):
    return grpc.insecure_channel(address, [("grpc.service_config", SERVICE_CONFIG)])


def connect_streams(address):
    """A connection for streams: those who read them call again, and what fails there does not use up the retries of the calls."""
    return grpc.insecure_channel(address, [("grpc.enable_retries", 0)])


def calling(token):
    """The metadata of a call with a token."""
    return [("authorization", f"Bearer {token}")]


def new_id():
    return str(uuid.uuid4())
