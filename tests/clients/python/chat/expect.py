"""What the programs expect."""

import grpc
from refusal import read_refusal


def expect(found, wanted):
    if found != wanted:
        raise SystemExit(f"found {found!r} instead of {wanted!r}")


def refused(call):
    """The refusal of a call."""
    try:
        call()
    except grpc.RpcError as error:
        refusal = read_refusal(error)
        print("refused:", refusal.code.name, refusal.reason, refusal.metadata, *refusal.fields)
        return refusal
    raise SystemExit("a call that should be refused was not")
